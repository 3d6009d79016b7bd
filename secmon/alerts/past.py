"""Reading what is undecided and what was told before."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.alerts.decide import OPENINGS
from secmon.alerts.model import FLAPPING_CHANGES, MORNING, Kind, Past, Place, Transition
from secmon.config import Config
from secmon.exceptions.model import COVERED
from secmon.japanese import is_working_day
from secmon.store.exceptions import is_covered, is_due
from secmon.store.schema import asset_findings, deliveries, dispatches, findings, transitions
from secmon.store.schema import hosts as hosts_table

CLAIM_LIMIT = 20_000
"""Transitions decided upon at once."""
_ONE_BY_ONE = ("machine", "time")
_DAY = timedelta(hours=24)
_HOUR = timedelta(hours=1)


def undecided(connection: Connection, floor: int = 0, limit: int = CLAIM_LIMIT) -> list[Transition]:
    """Those above `floor`, in the order in which they happened. Of too many, those told one by one come first."""
    columns = [transitions.c[name] for name in Transition.__struct_fields__]
    rows = connection.execute(
        sa.select(*columns)
        .outerjoin(dispatches, dispatches.c.transition_id == transitions.c.transition_id)
        .where(transitions.c.transition_id > floor, dispatches.c.transition_id.is_(None))
        .order_by(transitions.c.cause.not_in(_ONE_BY_ONE), transitions.c.transition_id)
        .limit(limit)
    )
    found = [Transition(**row._mapping) for row in rows]
    return sorted(found, key=lambda transition: transition.transition_id)


def newest(connection: Connection) -> int:
    """The highest transition there is; 0 before the first."""
    return int(connection.execute(sa.select(sa.func.max(transitions.c.transition_id))).scalar() or 0)


def read_past(
    connection: Connection, waiting: Sequence[Transition], ruleset: str, now: datetime, config: Config
) -> Past:
    """What was told before, as far as these transitions are concerned. `ruleset` is the version in force."""
    concerned = [transition for transition in waiting if transition.cause in _ONE_BY_ONE]
    hosts = {transition.host_id for transition in concerned if transition.host_id is not None}
    checks = {transition.check_id for transition in concerned}
    told = _told(connection, hosts, checks, {each.finding_id for each in waiting if each.event in COVERED})
    return Past(
        told=frozenset().union(*told.values()),
        told_places=frozenset(told),
        unresolved=_unresolved(connection, hosts, told),
        flips=_flips(connection, hosts, now),
        flapping_told=_flapping_told(connection, hosts, now),
        mails=_mails(connection, now),
        covered=_covered(connection, {each.host_id for each in waiting if each.host_id is not None}),
        resolved=_resolved(connection, {each.finding_id for each in waiting if each.event in OPENINGS}),
        office_hours=_office_hours(now, config),
        rejudging=_rejudging(connection, waiting, ruleset, now),
    )


def _told(
    connection: Connection,
    hosts: Collection[uuid.UUID],
    checks: Collection[str],
    covered_since: Collection[uuid.UUID | None],
) -> dict[Place, frozenset[uuid.UUID]]:
    """Findings whose opening was told and whose recovery was not. A recovery is told for the whole check.

    One that was excepted or disputed afterwards is news when that ends.
    """
    rows = connection.execute(
        sa.select(
            transitions.c.host_id,
            transitions.c.check_id,
            transitions.c.event,
            transitions.c.cause,
            transitions.c.finding_id,
            dispatches.c.outcome,
        )
        .join(dispatches, dispatches.c.transition_id == transitions.c.transition_id)
        .where(transitions.c.host_id.in_(hosts), transitions.c.check_id.in_(checks))
        .order_by(transitions.c.transition_id)
    )
    told: dict[Place, set[uuid.UUID]] = defaultdict(set)
    for row in rows:
        place = told[row.host_id, row.check_id]
        one_by_one = row.cause in _ONE_BY_ONE
        if row.event in OPENINGS and one_by_one and row.outcome == "delivery":
            place.add(row.finding_id)
        elif row.event == "resolved" and one_by_one and row.outcome == "delivery":
            place.clear()
        elif row.event in COVERED or (row.event == "resolved" and not one_by_one):
            place.discard(row.finding_id)
    left = {place: frozenset(members.difference(covered_since)) for place, members in told.items()}
    return {place: members for place, members in left.items() if members}


def _unresolved(
    connection: Connection, hosts: Collection[uuid.UUID], told: Collection[Place]
) -> dict[Place, frozenset[uuid.UUID]]:
    rows = connection.execute(
        sa.select(findings.c.host_id, findings.c.check_id, findings.c.finding_id).where(
            findings.c.host_id.in_(hosts), is_due()
        )
    )
    found: dict[Place, set[uuid.UUID]] = defaultdict(set)
    for row in rows:
        if (row.host_id, row.check_id) in told:
            found[row.host_id, row.check_id].add(row.finding_id)
    return {place: frozenset(members) for place, members in found.items()}


def _covered(connection: Connection, hosts: Collection[uuid.UUID]) -> frozenset[uuid.UUID]:
    query = sa.select(findings.c.finding_id).where(findings.c.host_id.in_(hosts), is_covered())
    of_assets = sa.select(asset_findings.c.finding_id).where(is_covered(asset_findings))
    return frozenset(connection.execute(query.union_all(of_assets)).scalars())


def _resolved(connection: Connection, opened: Collection[uuid.UUID | None]) -> frozenset[uuid.UUID]:
    over = [
        sa.select(table.c.finding_id).where(table.c.finding_id.in_(opened), table.c.resolved_at.is_not(None))
        for table in (findings, asset_findings)
    ]
    return frozenset(connection.execute(sa.union_all(*over)).scalars())


def _office_hours(now: datetime, config: Config) -> bool:
    local = now.astimezone(config.tz)
    return local.time() >= MORNING and is_working_day(local.date(), config.office.holidays)


def _flips(connection: Connection, hosts: Collection[uuid.UUID], now: datetime) -> dict[Place, int]:
    changes = sa.func.count().label("changes")
    of = (transitions.c.host_id, transitions.c.check_id, transitions.c["item"])
    rows = connection.execute(
        sa.select(transitions.c.host_id, transitions.c.check_id, changes)
        .where(
            transitions.c.host_id.in_(hosts),
            transitions.c.cause.in_(_ONE_BY_ONE),
            transitions.c.observed_at > now - _DAY,
        )
        .group_by(*of)
        .having(changes > FLAPPING_CHANGES)
    )
    flips: dict[Place, int] = {}
    for row in rows:
        flips[row.host_id, row.check_id] = max(row.changes, flips.get((row.host_id, row.check_id), 0))
    return flips


def _flapping_told(connection: Connection, hosts: Collection[uuid.UUID], now: datetime) -> frozenset[Place]:
    rows = connection.execute(
        sa.select(transitions.c.host_id, transitions.c.check_id)
        .join(dispatches, dispatches.c.transition_id == transitions.c.transition_id)
        .join(deliveries, deliveries.c.delivery_id == dispatches.c.delivery_id)
        .where(
            transitions.c.host_id.in_(hosts),
            deliveries.c.group_key.startswith("flapping:"),
            deliveries.c.created_at > now - _DAY,
        )
    )
    return frozenset((row.host_id, row.check_id) for row in rows)


def _mails(connection: Connection, now: datetime) -> dict[tuple[str, Kind], int]:
    """A mail to several recipients counts once."""
    rows = connection.execute(
        sa.select(deliveries.c.rule, deliveries.c.group_key, deliveries.c.window_key)
        .where(deliveries.c.created_at > now - _HOUR)
        .distinct()
    )
    return dict(Counter((row.rule, cast(Kind, row.group_key.split(":")[0])) for row in rows))


def _rejudging(connection: Connection, waiting: Sequence[Transition], ruleset: str, now: datetime) -> bool:
    """New rules are less than an hour old, and some machine is not judged by them yet."""
    if not any(each.cause == "rules" and each.observed_at > now - _HOUR for each in waiting):
        return False
    behind = sa.select(hosts_table.c.host_id).where(
        hosts_table.c.retired_at.is_(None), hosts_table.c.state.is_not(None), hosts_table.c.judged_ruleset != ruleset
    )
    return connection.execute(behind.limit(1)).first() is not None
