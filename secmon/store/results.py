"""From verdicts to what is kept: result intervals, findings and transitions, all in the caller's transaction."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection, Row

from secmon.evaluate.model import Item, Severity, Verdict
from secmon.store.schema import findings, results, transitions

Cause = Literal["machine", "time", "rules", "attributes", "baseline"]

DUE_DAYS: Mapping[str, int] = {"high": 7, "medium": 30, "low": 90}
"""Days until a finding is due, by severity."""
REOPEN_WITHIN = timedelta(hours=24)
"""Failing again this soon reopens the same finding."""

_encode_items = msgspec.json.Encoder().encode
decode_items = msgspec.json.Decoder(tuple[Item, ...]).decode


class Judged(Struct, frozen=True, kw_only=True):
    """The circumstances under which verdicts are recorded."""

    host_id: uuid.UUID | None
    """None: of a row of the ledger that no machine stands for."""
    revision: int
    """Orders this host's rows; one higher than whatever was recorded before."""
    cause: Cause
    observed_at: datetime
    recorded_at: datetime
    ruleset: str
    zone: str = ""


def items_of(row: Row[Any]) -> tuple[Item, ...]:
    """Items of a row of `results`."""
    return decode_items(row.items)


def record(
    connection: Connection, judged: Judged, verdicts: Sequence[Verdict], severities: Mapping[str, Severity]
) -> int:
    """Write what changed; returns how many results did. `severities` names the severity of each check.

    A late report never rewrites what was judged meanwhile: a change begins when the present interval did, or later.
    """
    current = _current(connection, judged, [verdict.check for verdict in verdicts])
    changed = [verdict for verdict in verdicts if _content(verdict) != current.get(verdict.check, _NONE).content]
    for moment, those in _by_moment(judged, current, changed):
        _close(connection, moment, [verdict.check for verdict in those])
        connection.execute(sa.insert(results), [_row(moment, verdict) for verdict in those])
        _follow(connection, moment, those, severities)
    return len(changed)


def drop(connection: Connection, judged: Judged, checks: Iterable[str]) -> None:
    """Checks that the rules no longer have: their results end here and their findings with them."""
    gone = [Verdict(check=check, status="not_applicable", reason="no such check") for check in checks]
    current = _current(connection, judged, [verdict.check for verdict in gone])
    for moment, those in _by_moment(judged, current, gone):
        _close(connection, moment, [verdict.check for verdict in those])
        _follow(connection, moment, those, {})


class _Present(NamedTuple):
    """The open interval of a check."""

    since: datetime | None
    content: tuple[str, ...]


_NONE = _Present(None, ())


def _current(connection: Connection, judged: Judged, checks: Sequence[str]) -> dict[str, _Present]:
    rows = connection.execute(
        sa.select(
            results.c.check_id,
            results.c.observed_from,
            results.c.status,
            results.c.reason,
            results.c.evidence,
            results.c["items"],
        ).where(results.c.host_id == judged.host_id, results.c.check_id.in_(checks), results.c.observed_to.is_(None))
    )
    return {row[0]: _Present(row[1], tuple(row[2:])) for row in rows}


def _content(verdict: Verdict) -> tuple[str, ...]:
    return (verdict.status, verdict.reason, verdict.evidence, _items(verdict))


def _by_moment(
    judged: Judged, current: Mapping[str, _Present], verdicts: Iterable[Verdict]
) -> list[tuple[Judged, list[Verdict]]]:
    """The verdicts by the moment from which they hold: as observed, but not before the interval that they end."""
    groups: dict[datetime, list[Verdict]] = {}
    for verdict in verdicts:
        since = current.get(verdict.check, _NONE).since
        groups.setdefault(max(judged.observed_at, since or judged.observed_at), []).append(verdict)
    return [(msgspec.structs.replace(judged, observed_at=at), groups[at]) for at in sorted(groups)]


def _items(verdict: Verdict) -> str:
    return _encode_items(verdict.items).decode()


def _row(judged: Judged, verdict: Verdict) -> dict[str, object]:
    return {
        "host_id": judged.host_id,
        "check_id": verdict.check,
        "revision": judged.revision,
        "status": verdict.status,
        "reason": verdict.reason,
        "evidence": verdict.evidence,
        "items": _items(verdict),
        "cause": judged.cause,
        "ruleset": judged.ruleset,
        "observed_from": judged.observed_at,
        "recorded_at": judged.recorded_at,
    }


def _close(connection: Connection, judged: Judged, checks: Sequence[str]) -> None:
    connection.execute(
        sa.update(results)
        .where(
            results.c.host_id == judged.host_id,
            results.c.check_id.in_(checks),
            results.c.observed_to.is_(None),
        )
        .values(observed_to=judged.observed_at, closed_at=judged.recorded_at)
    )


# ── findings ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _follow(
    connection: Connection, judged: Judged, verdicts: Sequence[Verdict], severities: Mapping[str, Severity]
) -> None:
    """Open, confirm, doubt and resolve findings as the changed verdicts demand."""
    if not verdicts:
        return
    rows = connection.execute(
        sa.select(findings).where(
            findings.c.host_id == judged.host_id,
            findings.c.check_id.in_([verdict.check for verdict in verdicts]),
            findings.c.resolved_at.is_(None),
        )
    )
    unresolved: dict[tuple[str, str], Row[Any]] = {(row.check_id, row.item): row for row in rows}
    opened: list[tuple[Verdict, str, str]] = []
    for verdict in verdicts:
        failing, doubtful = _problems(verdict)
        for item, evidence in failing.items():
            row = unresolved.get((verdict.check, item))
            if row is None:
                opened.append((verdict, item, evidence))
            elif row.evidence != evidence or row.unconfirmed_since is not None:
                _update(connection, row, evidence=evidence, unconfirmed_since=None)
        for (check, item), row in unresolved.items():
            if check != verdict.check or item in failing:
                continue
            if doubtful is None or item in doubtful:
                if row.unconfirmed_since is None:
                    _update(connection, row, unconfirmed_since=judged.observed_at)
            else:
                _resolve(connection, judged, row)
    _open(connection, judged, opened, severities)


def _problems(verdict: Verdict) -> tuple[dict[str, str], set[str] | None]:
    """Failing items with evidence, and items in doubt (None: all of them)."""
    if verdict.status == "unknown" and not verdict.items:
        return {}, None
    if verdict.status == "fail" and not verdict.items:
        return {"": verdict.evidence}, set()
    failing = {item.key[:255]: item.evidence for item in verdict.items if item.status == "fail"}
    return failing, {item.key[:255] for item in verdict.items if item.status == "unknown"}


def _update(connection: Connection, row: Row[Any], **values: object) -> None:
    connection.execute(
        sa.update(findings)
        .where(findings.c.host_id == row.host_id, findings.c.finding_id == row.finding_id)
        .values(**values)
    )


def _resolve(connection: Connection, judged: Judged, row: Row[Any]) -> None:
    _update(
        connection, row, state="resolved", resolved_at=judged.observed_at, unconfirmed_since=None, exception_id=None
    )
    write_transitions(
        connection,
        judged,
        [("resolved", row.check_id, row.item, row.finding_id, row.severity, row.evidence)],
    )


def _open(
    connection: Connection,
    judged: Judged,
    opened: Sequence[tuple[Verdict, str, str]],
    severities: Mapping[str, Severity],
) -> None:
    if not opened:
        return
    recent = _recently_resolved(connection, judged, {verdict.check for verdict, _, _ in opened})
    events: list[tuple[str, str, str, uuid.UUID, str, str]] = []
    fresh: list[dict[str, object]] = []
    for verdict, item, evidence in opened:
        severity = severities[verdict.check]
        again = recent.get((verdict.check, item))
        if again is not None:
            state = "open" if again.acknowledged_at is None else "acknowledged"
            _update(connection, again, state=state, resolved_at=None, unconfirmed_since=None, evidence=evidence)
            events.append(("reopened", verdict.check, item, again.finding_id, severity, evidence))
            continue
        finding_id = uuid.uuid4()
        fresh.append(
            {
                "host_id": judged.host_id,
                "finding_id": finding_id,
                "check_id": verdict.check,
                "item": item,
                "severity": severity,
                "state": "open",
                "evidence": evidence,
                "opened_at": judged.observed_at,
                "recorded_at": judged.recorded_at,
                "due_at": judged.observed_at + timedelta(days=DUE_DAYS[severity]),
            }
        )
        events.append(("opened", verdict.check, item, finding_id, severity, evidence))
    if fresh:
        connection.execute(sa.insert(findings), fresh)
    write_transitions(connection, judged, events)


def _recently_resolved(connection: Connection, judged: Judged, checks: set[str]) -> dict[tuple[str, str], Row[Any]]:
    rows = connection.execute(
        sa.select(findings)
        .where(
            findings.c.host_id == judged.host_id,
            findings.c.check_id.in_(checks),
            findings.c.resolved_at >= judged.observed_at - REOPEN_WITHIN,
        )
        .order_by(findings.c.resolved_at)
    )
    return {(row.check_id, row.item): row for row in rows}


def write_transitions(
    connection: Connection, judged: Judged, events: Sequence[tuple[str, str, str, uuid.UUID, str, str]]
) -> None:
    """Events are (event, check, item, finding, severity, evidence)."""
    connection.execute(
        sa.insert(transitions),
        [
            {
                "host_id": judged.host_id,
                "event": event,
                "cause": judged.cause,
                "check_id": check,
                "item": item,
                "finding_id": finding_id,
                "severity": severity,
                "zone": judged.zone,
                "evidence": evidence,
                "observed_at": judged.observed_at,
                "recorded_at": judged.recorded_at,
            }
            for event, check, item, finding_id, severity, evidence in events
        ],
    )


def note_first_state(connection: Connection, judged: Judged) -> None:
    """A host was judged for the first time: one transition, which becomes one summary."""
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
