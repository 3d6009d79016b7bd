"""Applying reports inside the writer's transaction: stream, sections, contact, judgement."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, Struct
from msgspec.structs import replace
from sqlalchemy.engine import Connection, Row

from secmon.config import Config
from secmon.evaluate.changes import changed_paths
from secmon.evaluate.ruleset import RuleSet
from secmon.ingest import clones, rotation
from secmon.ingest.admission import Admitted, Refused
from secmon.ingest.host_states import host_states, of_host, refuse
from secmon.ingest.sections import lacking, legible, store_sections
from secmon.ingest.streams import corrected, offset_of, open_stream, place, remember
from secmon.judging import Occasion, judge_host
from secmon.store import gaps, speakers
from secmon.store.bulk import execute_many
from secmon.store.schema import contacts, hosts
from secmon_agent import wire

CLAMP_TOLERANCE_S = 5.0
"""A correction of the observed time beyond this is shown as clamped."""


MAX_COUNT = 2**31 - 1
"""What a column of the database holds; a machine may say anything."""


class Applied(Struct, frozen=True, kw_only=True):
    """What became of a report. `outcome` is a label of `secmon_reports_total`."""

    outcome: str
    want: tuple[str, ...] = ()
    rotate: bool = False
    """The agent is to change its key."""
    ca_mark: bytes | None = None
    """Of the successor CA that the agent has."""


Outcome = Applied | Refused | Exception
"""An exception that is no `Refused` says that this one report could not be stored now."""


class Applier:
    """Applies batches under one set of rules and one configuration."""

    def __init__(self, rules: RuleSet, config: Config, observe: Callable[[float], None] = lambda _s: None) -> None:
        self._rules = rules
        self._config = config
        self._observe = observe
        self._shortest_limit_s = config.stale_after_s(None)

    def apply(self, connection: Connection, batch: Sequence[Admitted]) -> list[Outcome]:
        """Outcomes in the order of `batch`. A report that fails leaves no trace and does not touch the others."""
        outcomes: dict[int, Outcome] = {}
        waiting = list(enumerate(batch))
        while waiting:  # one report per host and round, so that each meets its host as the one before left it
            turn: dict[object, tuple[int, Admitted]] = {}
            later: list[tuple[int, Admitted]] = []
            for number, admitted in waiting:
                if turn.setdefault(admitted.key.host_id, (number, admitted))[0] != number:
                    later.append((number, admitted))
            self._round(connection, list(turn.values()), outcomes)
            waiting = later
        return [outcomes[number] for number in range(len(batch))]

    def _round(self, connection: Connection, turn: list[tuple[int, Admitted]], outcomes: dict[int, Outcome]) -> None:
        states = host_states(connection, [admitted.key.key_id for _, admitted in turn])
        beats: list[Admitted] = []
        for number, sent in turn:
            host = states.get(sent.key.key_id)
            refused = refuse(host)
            if host is None or refused is not None:
                outcomes[number] = refused or Refused("unknown-key", 401)
                continue
            if host.is_new_key:
                rotation.follow(connection, sent, host)
            if sent.report.ca is not UNSET:
                speakers.note_ca(connection, sent.key.agent_id, sent.report.ca)
            admitted = of_host(sent, host)
            if self._is_plain_heartbeat(host, admitted):
                beats.append(admitted)
                outcomes[number] = _with_requests(Applied(outcome="heartbeat"), host, admitted)
            else:
                outcome = self._apply_alone(connection, host, admitted)
                if isinstance(outcome, Applied):
                    outcome = _with_requests(outcome, host, admitted)
                outcomes[number] = outcome
        if beats:
            _touch(connection, [(each, states[each.key.key_id]) for each in beats])
            remember(connection, beats)

    def _is_plain_heartbeat(self, host: Row[Any], admitted: Admitted) -> bool:
        report = admitted.report
        return bool(
            report.sections is UNSET
            and report.state == host.state
            and not host.resyncing
            and report.stream == host.stream
            and report.sequence > host.sequence
            and host.judged_ruleset == self._rules.version
            and (admitted.received_at - host.observed_at).total_seconds() < self._shortest_limit_s
        )

    def _apply_alone(self, connection: Connection, host: Row[Any], admitted: Admitted) -> Outcome:
        try:
            with connection.begin_nested():
                return self._apply_one(connection, host, admitted)
        except Refused as refused:
            return refused
        except (sa.exc.OperationalError, sa.exc.InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 — one report must not take the batch along; it is logged and answered 503
            return error

    def _apply_one(self, connection: Connection, host: Row[Any], admitted: Admitted) -> Applied | Refused:
        where = place(connection, host, admitted)
        if where == "fork":
            return self._forked(connection, host, admitted)
        if where in ("repeated", "late"):
            remember(connection, [admitted] if where == "late" else [])
            return Applied(outcome=where, want=lacking(connection, host, admitted.report))
        if where == "new_stream":
            open_stream(connection, host, admitted)
        remember(connection, [admitted])
        return self._take(connection, host, admitted)

    def _forked(self, connection: Connection, host: Row[Any], admitted: Admitted) -> Refused:
        """What is noted of it is kept: the refusal is an answer, not a failure."""
        if clones.is_refused(connection, host, admitted):
            return Refused("clone", 409)
        clone = clones.weigh(connection, host, admitted)
        if clone is not None:
            clones.note(connection, host, clone, admitted)
            revision, now = host.revision + 1, admitted.received_at
            self._judge(connection, host, revision, "machine", now, now, self._rules.factless)
            connection.execute(sa.update(hosts).where(hosts.c.host_id == host.host_id).values(revision=revision))
        if clone == admitted.report.stream:
            return Refused("clone", 409)
        return Refused("fork", 409, f"sequence {admitted.report.sequence}")

    def _take(self, connection: Connection, host: Row[Any], admitted: Admitted) -> Applied:
        """The report is the newest of its host: bring the host to what it says."""
        report = admitted.report
        revision = host.revision + 1
        observed_at = corrected(admitted, host.observed_at or _created_at(connection, host))
        is_back = host.judged_ruleset is not None and host.judged_state is None
        if not is_back and host.judged_ruleset not in (None, self._rules.version):
            # new rules speak about the old facts first
            self._judge(connection, host, revision, "rules", admitted.received_at, admitted.received_at, None)
            revision += 1
        if report.sections is UNSET:
            stored = None
            want = lacking(connection, host, report)
        else:
            stored = store_sections(
                connection, host, report, revision=revision, observed_at=observed_at, now=admitted.received_at
            )
            want = stored.want
        _contact(connection, host, admitted, observed_at, confirmed=not want)
        values: dict[str, object] = {"revision": revision, "resyncing": bool(want)}
        if not want:
            all_checks = host.resyncing or is_back or host.state != host.judged_state or self._was_stale(host, admitted)
            changes = stored.changes() if stored is not None and not all_checks else ()
            checks = None if all_checks else self._rules.touched(changed_paths(changes))
            cause = "attributes" if is_back else "machine"
            self._judge(connection, host, revision, cause, observed_at, admitted.received_at, checks)
            if self._is_behind_the_sweep(host, observed_at):  # what the clock had changed since stays changed
                values["revision"] = revision + 1
                self._judge(connection, host, revision + 1, "time", admitted.received_at, admitted.received_at, None)
            values |= {
                "state": report.state,
                "judged_state": report.state,
                "judged_ruleset": self._rules.version,
            }
        connection.execute(sa.update(hosts).where(hosts.c.host_id == host.host_id).values(**values))
        outcome = "heartbeat" if report.sections is UNSET else "accepted"
        return Applied(outcome=outcome, want=want)

    def _judge(
        self,
        connection: Connection,
        host: Row[Any],
        revision: int,
        cause: Any,
        at: datetime,
        now: datetime,
        checks: frozenset[str] | None,
    ) -> None:
        started = time.perf_counter()
        judge_host(
            connection,
            self._rules,
            self._config,
            host,
            revision,
            Occasion(cause=cause, at=at, recorded_at=now, checks=checks),
        )
        self._observe(time.perf_counter() - started)

    def _is_behind_the_sweep(self, host: Row[Any], observed_at: datetime) -> bool:
        """The report tells of a day that the clock has already judged beyond."""
        return host.swept_on is not None and observed_at.astimezone(self._config.tz).date().isoformat() < host.swept_on

    def _was_stale(self, host: Row[Any], admitted: Admitted) -> bool:
        """The results may say `stale`, which ends with this report."""
        if host.observed_at is None:
            return False
        return bool((admitted.received_at - host.observed_at).total_seconds() >= self._shortest_limit_s)


def _with_requests(applied: Applied, host: Row[Any], admitted: Admitted) -> Applied:
    """What the answer says to the agent besides that the report was taken."""
    said = admitted.report.ca
    return replace(applied, rotate=bool(host.rotate), ca_mark=host.ca_mark if said is UNSET else said)


_TOUCH = (
    "UPDATE contacts SET sequence = ?, observed_at = ?, received_at = ?, collected_at = ?, offset_s = ?, clamped = ?, "
    "interval_s = ?, boot_id = ?, rejected = ?, vitals = ? WHERE host_id = ?"
)


def _touch(connection: Connection, beats: Sequence[tuple[Admitted, Row[Any]]]) -> None:
    rows = []
    for admitted, host in beats:
        told = _told(host, admitted, corrected(admitted, host.observed_at))
        rows.append((*told[1:], host.host_id))
    execute_many(connection, _TOUCH, rows)


def _created_at(connection: Connection, host: Row[Any]) -> datetime:
    """Before it was enrolled nothing was observed of a machine, whatever its clock says."""
    query = sa.select(hosts.c.created_at).where(hosts.c.host_id == host.host_id)
    created_at: datetime = connection.execute(query).scalar_one()
    return created_at


def _contact(
    connection: Connection, host: Row[Any], admitted: Admitted, observed_at: datetime, *, confirmed: bool
) -> None:
    """Note that the machine spoke; unless `confirmed`, what was known of it is no younger than before."""
    values: dict[str, Any] = _told(host, admitted, observed_at)._asdict()
    if not confirmed:
        values["observed_at"] = host.observed_at or observed_at
    if admitted.report.agent_version is not UNSET:
        values["agent_version"] = legible(admitted.report.agent_version)
    if host.stream is None:
        connection.execute(sa.insert(contacts).values(host_id=host.host_id, **values))
        gaps.heard(connection, host.host_id, observed_at, admitted.received_at)
    else:
        connection.execute(sa.update(contacts).where(contacts.c.host_id == host.host_id).values(**values))


class _Told(NamedTuple):
    """What a contact keeps of a report, in the order of `_TOUCH`, which leaves the stream as it is."""

    stream: bytes
    sequence: int
    observed_at: datetime
    received_at: datetime
    collected_at: datetime
    offset_s: float | None
    clamped: bool
    interval_s: int
    boot_id: bytes
    rejected: int | None
    vitals: str | None


def _told(host: Row[Any], admitted: Admitted, observed_at: datetime) -> _Told:
    report = admitted.report
    offset = offset_of(report)
    off_by_s = (report.collected_at - observed_at).total_seconds() + (offset or 0.0)
    return _Told(
        report.stream,
        report.sequence,
        observed_at,
        admitted.received_at,
        report.collected_at,
        offset,
        abs(off_by_s) > CLAMP_TOLERANCE_S,
        report.interval_s,
        report.boot_id,
        None if report.rejected is UNSET else min(max(report.rejected, 0), MAX_COUNT),
        host.vitals if report.vitals is UNSET else _merged(host.vitals, report.vitals),
    )


def _merged(stored: str | None, said: dict[str, float]) -> str:
    """A heartbeat says less than a full report: what it leaves out stays as it was."""
    before = msgspec.json.decode(stored, type=dict[str, float]) if stored else {}
    finite = {name: value for name, value in said.items() if math.isfinite(value)}
    merged = before | finite
    return msgspec.json.encode(merged if len(merged) <= 2 * wire.MAX_VITALS else finite).decode()
