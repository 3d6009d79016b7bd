"""One check: how many machines in use answer what, and which ones fail it or cannot tell."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection

from secmon.config import Config
from secmon.console.queries import current_attribute
from secmon.evaluate.adapt import Disabled
from secmon.evaluate.model import STANDINGS, Severity, Standing, Status
from secmon.evaluate.ruleset import RuleSet
from secmon.store.exceptions import softened
from secmon.store.hosts import in_use
from secmon.store.schema import findings, hosts, results
from secmon.store.standings import machines_by_answer

Borne = Mapping[uuid.UUID, tuple[Standing, str]]
"""How failing answers count that do not count as failing, by machine."""
MAX_MACHINES: Final = 500
"""Shown of each answer; the count tells how many there are."""


class MachineAnswer(Struct, frozen=True, kw_only=True):
    host_id: uuid.UUID
    name: str
    zone: str | None
    department: str | None
    reason: str
    evidence: str
    since: datetime | None
    """None: no answer has ever been given."""
    findings: int
    """Unresolved ones of this check."""


class CheckAnswers(Struct, frozen=True, kw_only=True):
    counts: dict[Standing, int]
    """Machines by answer as it counts. A machine that never answered is unknown."""
    failing: tuple[MachineAnswer, ...]
    """Oldest first."""
    unknown: tuple[MachineAnswer, ...]
    excepted: tuple[MachineAnswer, ...]


class Adaptation(Struct, frozen=True, kw_only=True):
    """What the office changed of a check, or that it wrote it."""

    is_own: bool = False
    severity: tuple[Severity, Severity] | None = None
    """As it was written, and as it is."""
    limits: tuple[tuple[str, str, str], ...] = ()
    """Name with zone, number as it was written, number as it is."""
    disabled: Disabled | None = None
    reason: str = ""


def adaptation(rules: RuleSet, check: str, config: Config) -> Adaptation | None:
    """None for a check that is in force as it was shipped."""
    override = rules.overrides.get(check)
    if override is None:
        return Adaptation(is_own=True) if check in rules.own else None
    written, now = rules.written[check], rules.checks[check]
    places = [None, *(zone.id for zone in config.zones)]
    numbers = [
        (f"{name} ({zone})" if zone else name, written.limits[name].of(zone), now.limits[name].of(zone))
        for name in override.limits
        for zone in places
    ]
    return Adaptation(
        is_own=check in rules.own,
        severity=(written.severity, now.severity) if written.severity != now.severity else None,
        limits=tuple((name, str(before), str(after)) for name, before, after in numbers if before != after),
        disabled=override.disabled,
        reason=override.reason,
    )


def read(connection: Connection, check: str) -> CheckAnswers:
    covered = softened(connection, checks=[check])
    borne = {host_id: counts_as for (host_id, _), counts_as in covered.items()}
    failing = _machines(connection, check, "fail", borne)
    disputed = [msgspec.structs.replace(each, reason=borne[each.host_id][1]) for each in failing["unknown"]]
    return CheckAnswers(
        counts=machines_by_answer(connection, [check], covered)[check],
        failing=tuple(failing["fail"]),
        unknown=(*disputed, *_machines(connection, check, "unknown", {})["unknown"]),
        excepted=tuple(failing["excepted"]),
    )


def _machines(connection: Connection, check: str, status: Status, borne: Borne) -> dict[Standing, list[MachineAnswer]]:
    """Those of this answer, by how it counts."""
    present = sa.and_(
        results.c.host_id == hosts.c.host_id, results.c.check_id == check, results.c.observed_to.is_(None)
    )
    wanted = results.c.status == status
    if status == "unknown":
        wanted = sa.or_(wanted, results.c.status.is_(None))
    rows = connection.execute(
        sa.select(
            hosts.c.host_id, hosts.c.name, results.c.reason, results.c.evidence, results.c.observed_from,
            current_attribute("zone").label("zone"), current_attribute("department").label("department"),
        )
        .select_from(hosts.join(results, present, isouter=status == "unknown"))
        .where(wanted, *in_use())
        .order_by(results.c.observed_from, hosts.c.name)
        .limit(MAX_MACHINES)
    ).all()  # fmt: skip
    opened = _opened(connection, check, [row.host_id for row in rows])
    found: dict[Standing, list[MachineAnswer]] = {standing: [] for standing in STANDINGS}
    for row in rows:
        found[borne.get(row.host_id, (status, ""))[0]].append(_answer(row, opened.get(row.host_id)))
    return found


def _answer(row: Any, opened: tuple[int, datetime] | None) -> MachineAnswer:
    number, first = opened or (0, row.observed_from)
    return MachineAnswer(
        host_id=row.host_id,
        name=row.name,
        zone=row.zone,
        department=row.department,
        reason=row.reason or "",
        evidence=row.evidence or "",
        since=None if row.observed_from is None else min(row.observed_from, first),
        findings=number,
    )


def _opened(connection: Connection, check: str, host_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[int, datetime]]:
    """Number and beginning of a machine's unresolved findings of the check."""
    rows = connection.execute(
        sa.select(findings.c.host_id, sa.func.count(), sa.func.min(findings.c.opened_at))
        .where(findings.c.host_id.in_(host_ids), findings.c.check_id == check, findings.c.resolved_at.is_(None))
        .group_by(findings.c.host_id)
    )
    return {host_id: (count, opened_at) for host_id, count, opened_at in rows}
