"""From verdicts to what is kept: result intervals, findings and transitions, all in the caller's transaction."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection, Row

from secmon.evaluate.model import Item, Severity, Verdict
from secmon.store.bulk import execute_many, plain, plain_ids
from secmon.store.schema import findings, results, transitions
from secmon.store.types import instant

Cause = Literal["machine", "time", "rules", "attributes", "baseline"]

DUE_DAYS: Mapping[str, int] = {"high": 7, "medium": 30, "low": 90}
"""Days until a finding is due, by severity."""
REOPEN_WITHIN = timedelta(hours=24)
"""Failing again this soon reopens the same finding."""

_encode_items = msgspec.json.Encoder().encode
decode_items = msgspec.json.Decoder(tuple[Item, ...]).decode


class Judged(Struct, frozen=True, kw_only=True):
    """The circumstances under which verdicts are recorded."""

    host_id: uuid.UUID
    revision: int
    """Orders this host's rows; one higher than whatever was recorded before."""
    cause: Cause
    observed_at: datetime
    recorded_at: datetime
    ruleset: str
    zone: str = ""


class Answered(Struct, frozen=True, kw_only=True):
    """What was found out of one host."""

    judged: Judged
    verdicts: Sequence[Verdict]
    asked: frozenset[str] | None
    """The checks that were asked; None: all. One without a verdict is no more: its result and its findings end."""


def items_of(row: Row[Any]) -> tuple[Item, ...]:
    """Items of a row of `results`."""
    return decode_items(row.items)


def record(
    connection: Connection, answered: Sequence[Answered], severities: Mapping[str, Severity]
) -> dict[uuid.UUID, int]:
    """Write what changed; returns how many results did, by host. `severities` names the severity of each check.

    A late report never rewrites what was judged meanwhile: a change begins when the present interval did, or later.
    """
    current = _current(connection, answered)
    changes = [change for each in answered for change in _changes(each, current.get(each.judged.host_id, {}))]
    _write(connection, changes, severities)
    counts = dict.fromkeys((each.judged.host_id for each in answered), 0)
    for change in changes:
        counts[change.judged.host_id] += not change.ends
    return counts


def drop(connection: Connection, judged: Judged, checks: Iterable[str]) -> None:
    """These checks have no answer for the host any more: their results end here and their findings with them."""
    checks = frozenset(checks)
    current = _current(connection, [Answered(judged=judged, verdicts=(), asked=checks)])[judged.host_id]
    _write(connection, [_change(judged, _gone(check), current.get(check), ends=True) for check in sorted(checks)], {})


def _gone(check: str) -> Verdict:
    return Verdict(check=check, status="not_applicable", reason="no such check")


class _Present(NamedTuple):
    """The open interval of a check."""

    since: Any
    """As the database keeps it."""
    content: tuple[str, ...]


class _Change(NamedTuple):
    """An answer that is another one from `judged.observed_at` on."""

    judged: Judged
    verdict: Verdict
    has_before: bool
    ends: bool
    """Nothing takes the place of the one before."""


def _current(connection: Connection, answered: Sequence[Answered]) -> dict[uuid.UUID, dict[str, _Present]]:
    """The open intervals of the hosts, by check. Column types are passed over: of many rows few are another answer."""
    names = plain_ids(connection, [each.judged.host_id for each in answered])
    query = sa.select(
        plain(results.c.host_id),
        results.c.check_id,
        plain(results.c.observed_from),
        results.c.status,
        results.c.reason,
        results.c.evidence,
        results.c["items"],
    ).where(results.c.host_id.in_(list(names.values())), results.c.observed_to.is_(None))
    asked = [each.asked for each in answered if each.asked is not None]
    if len(asked) == len(answered):
        query = query.where(results.c.check_id.in_(frozenset().union(*asked)))
    found: dict[uuid.UUID, dict[str, _Present]] = {host_id: {} for host_id in names.values()}
    for row in connection.execute(query).all():
        found[names[row[0]]][row[1]] = _Present(row[2], row[3:])
    return found


def _changes(answered: Answered, current: Mapping[str, _Present]) -> Iterator[_Change]:
    for verdict in answered.verdicts:
        present = current.get(verdict.check)
        if present is None or present.content != _content(verdict):
            yield _change(answered.judged, verdict, present)
    asked = current.keys() if answered.asked is None else current.keys() & answered.asked
    for check in sorted(asked - {verdict.check for verdict in answered.verdicts}):
        yield _change(answered.judged, _gone(check), current[check], ends=True)


def _change(judged: Judged, verdict: Verdict, present: _Present | None, *, ends: bool = False) -> _Change:
    """It holds as observed, but not before the interval that it ends."""
    since = None if present is None else instant(present.since)
    if since is not None and since > judged.observed_at:
        judged = msgspec.structs.replace(judged, observed_at=since)
    return _Change(judged, verdict, present is not None, ends)


def _content(verdict: Verdict) -> tuple[str, ...]:
    return (verdict.status, verdict.reason, verdict.evidence, _items(verdict))


def _items(verdict: Verdict) -> str:
    return _encode_items(verdict.items).decode() if verdict.items else "[]"


def _write(connection: Connection, changes: list[_Change], severities: Mapping[str, Severity]) -> None:
    if not changes:
        return
    changes.sort(key=lambda change: change.judged.observed_at)
    closed = [
        (change.judged.observed_at, change.judged.recorded_at, change.judged.host_id, change.verdict.check)
        for change in changes
        if change.has_before
    ]
    execute_many(connection, _CLOSE, closed)
    execute_many(connection, _INSERT, [_row(change) for change in changes if not change.ends])
    _follow(connection, changes, severities)


_CLOSE = "UPDATE results SET observed_to = ?, closed_at = ? WHERE host_id = ? AND check_id = ? AND observed_to IS NULL"
_INSERT = (
    "INSERT INTO results (host_id, check_id, revision, status, reason, evidence, items, cause, ruleset, observed_from, "
    "recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def _row(change: _Change) -> tuple[object, ...]:
    judged, verdict = change.judged, change.verdict
    return (
        judged.host_id, verdict.check, judged.revision, *_content(verdict), judged.cause, judged.ruleset,
        judged.observed_at, judged.recorded_at,
    )  # fmt: skip


# ── findings ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_Key = tuple[uuid.UUID, str]
"""Host and check."""
_Event = tuple[str, str, str, uuid.UUID, str, str]
"""Event, check, item, finding, severity, evidence."""


class _Steps:
    """What is to be written of findings, gathered over all changes, so that each kind is one statement."""

    def __init__(self) -> None:
        self.confirmed: list[tuple[object, ...]] = []
        self.doubted: list[tuple[object, ...]] = []
        self.resolved: list[tuple[object, ...]] = []
        self.reopened: list[tuple[object, ...]] = []
        self.opened: list[tuple[object, ...]] = []
        self.events: list[tuple[Judged, _Event]] = []

    def write(self, connection: Connection) -> None:
        execute_many(connection, _CONFIRM, self.confirmed)
        execute_many(connection, _DOUBT, self.doubted)
        execute_many(connection, _RESOLVE, self.resolved)
        execute_many(connection, _REOPEN, self.reopened)
        execute_many(connection, _OPEN, self.opened)
        _write_events(connection, sorted(self.events, key=lambda event: event[0].observed_at))


_CONFIRM = "UPDATE findings SET evidence = ?, unconfirmed_since = NULL WHERE host_id = ? AND finding_id = ?"
_DOUBT = "UPDATE findings SET unconfirmed_since = ? WHERE host_id = ? AND finding_id = ?"
_RESOLVE = (
    "UPDATE findings SET state = 'resolved', resolved_at = ?, unconfirmed_since = NULL, exception_id = NULL "
    "WHERE host_id = ? AND finding_id = ?"
)
_REOPEN = (
    "UPDATE findings SET state = ?, evidence = ?, resolved_at = NULL, unconfirmed_since = NULL "
    "WHERE host_id = ? AND finding_id = ?"
)
_OPEN = (
    "INSERT INTO findings (host_id, finding_id, check_id, item, severity, state, evidence, opened_at, recorded_at, "
    "due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_TELL = (
    "INSERT INTO transitions (host_id, event, cause, check_id, item, finding_id, severity, zone, evidence, "
    "observed_at, recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def _follow(connection: Connection, changes: Sequence[_Change], severities: Mapping[str, Severity]) -> None:
    """Open, confirm, doubt and resolve findings as the changed verdicts demand."""
    unresolved = _unresolved(connection, changes)
    steps, opened = _Steps(), list[tuple[_Change, str, str]]()
    for change in changes:
        known = unresolved.get((change.judged.host_id, change.verdict.check), {})
        failing, doubtful = _problems(change.verdict)
        for item, evidence in failing.items():
            row = known.get(item)
            if row is None:
                opened.append((change, item, evidence))
            elif row.evidence != evidence or row.unconfirmed_since is not None:
                steps.confirmed.append((evidence, row.host_id, row.finding_id))
        for item, row in known.items():
            if item not in failing:
                _let_go(steps, change, row, is_doubtful=doubtful is None or item in doubtful)
    _open(connection, steps, opened, severities)
    steps.write(connection)


def _let_go(steps: _Steps, change: _Change, row: Row[Any], *, is_doubtful: bool) -> None:
    at = change.judged.observed_at
    if not is_doubtful:
        steps.resolved.append((at, row.host_id, row.finding_id))
        event = ("resolved", row.check_id, row.item, row.finding_id, row.severity, row.evidence)
        steps.events.append((change.judged, event))
    elif row.unconfirmed_since is None:
        steps.doubted.append((at, row.host_id, row.finding_id))


def _unresolved(connection: Connection, changes: Sequence[_Change]) -> dict[_Key, dict[str, Row[Any]]]:
    """Findings that are not resolved, by host and check, then by item."""
    rows = connection.execute(
        sa.select(findings).where(
            findings.c.host_id.in_({change.judged.host_id for change in changes}),
            findings.c.check_id.in_({change.verdict.check for change in changes}),
            findings.c.resolved_at.is_(None),
        )
    )
    found: defaultdict[_Key, dict[str, Row[Any]]] = defaultdict(dict)
    for row in rows:
        found[row.host_id, row.check_id][row.item] = row
    return found


def _problems(verdict: Verdict) -> tuple[dict[str, str], set[str] | None]:
    """Failing items with evidence, and items in doubt (None: all of them)."""
    if verdict.status == "unknown" and not verdict.items:
        return {}, None
    if verdict.status == "fail" and not verdict.items:
        return {"": verdict.evidence}, set()
    failing = {item.key[:255]: item.evidence for item in verdict.items if item.status == "fail"}
    return failing, {item.key[:255] for item in verdict.items if item.status == "unknown"}


def _open(
    connection: Connection,
    steps: _Steps,
    opened: Sequence[tuple[_Change, str, str]],
    severities: Mapping[str, Severity],
) -> None:
    recent = _recently_resolved(connection, [change for change, _, _ in opened]) if opened else {}
    for change, item, evidence in opened:
        judged, check = change.judged, change.verdict.check
        severity = severities[check]
        again = recent.get((judged.host_id, check, item))
        if again is not None and again.resolved_at >= judged.observed_at - REOPEN_WITHIN:
            state = "open" if again.acknowledged_at is None else "acknowledged"
            steps.reopened.append((state, evidence, again.host_id, again.finding_id))
            steps.events.append((judged, ("reopened", check, item, again.finding_id, severity, evidence)))
            continue
        finding_id, due_at = uuid.uuid4(), judged.observed_at + timedelta(days=DUE_DAYS[severity])
        steps.opened.append(
            (
                judged.host_id, finding_id, check, item, severity, "open", evidence, judged.observed_at,
                judged.recorded_at, due_at,
            )
        )  # fmt: skip
        steps.events.append((judged, ("opened", check, item, finding_id, severity, evidence)))


def _recently_resolved(
    connection: Connection, changes: Sequence[_Change]
) -> dict[tuple[uuid.UUID, str, str], Row[Any]]:
    """The finding of each item that was resolved last, where that was not long ago."""
    rows = connection.execute(
        sa.select(findings)
        .where(
            findings.c.host_id.in_({change.judged.host_id for change in changes}),
            findings.c.check_id.in_({change.verdict.check for change in changes}),
            findings.c.resolved_at >= min(change.judged.observed_at for change in changes) - REOPEN_WITHIN,
        )
        .order_by(findings.c.resolved_at)
    )
    return {(row.host_id, row.check_id, row.item): row for row in rows}


def write_transitions(connection: Connection, judged: Judged, events: Sequence[_Event]) -> None:
    """Events are (event, check, item, finding, severity, evidence)."""
    _write_events(connection, [(judged, event) for event in events])


def _write_events(connection: Connection, events: Sequence[tuple[Judged, _Event]]) -> None:
    execute_many(
        connection,
        _TELL,
        [
            (
                judged.host_id, event, judged.cause, check, item, finding_id, severity, judged.zone, evidence,
                judged.observed_at, judged.recorded_at,
            )
            for judged, (event, check, item, finding_id, severity, evidence) in events
        ],
    )  # fmt: skip


def note_first_states(connection: Connection, those: Iterable[Judged]) -> None:
    """Hosts were judged for the first time: one transition each, which becomes one summary."""
    for judged in those:
        connection.execute(
            sa.insert(transitions).values(
                host_id=judged.host_id,
                event="first_state",
                cause="baseline",
                zone=judged.zone,
                observed_at=judged.observed_at,
                recorded_at=judged.recorded_at,
            )
        )
