"""The ledger in the database: its rows, the machines they are about, and what will hold from a day to come."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time, tzinfo
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from secmon.errors import Failure
from secmon.ledger.plan import Known
from secmon.ledger.rows import LedgerRow
from secmon.store.hosts import attributes_of, link_asset, set_attribute
from secmon.store.schema import (
    assets,
    enrollments,
    host_assets,
    host_attributes,
    hosts,
    planned_attributes,
    results,
)

IN_LEDGER: Final = "zone.in-ledger"
"""The check that asks for the attribute."""
LEDGER: Final = "ledger"
"""The attribute that says whether a machine stands in the ledger, made at each judging; none without a ledger."""
LISTED, UNLISTED = "listed", "unlisted"
_CHUNK: Final = 500


def known_machines(connection: Connection, on: date | None = None) -> list[Known]:
    """Every machine in service; with `on`, attributes as they are planned to hold on that day."""
    rows = connection.execute(
        sa.select(hosts.c.host_id, hosts.c.name, hosts.c.hostname, hosts.c.serial, hosts.c.state, assets.c.asset_number)
        .outerjoin(host_assets, sa.and_(host_assets.c.host_id == hosts.c.host_id, host_assets.c.valid_to.is_(None)))
        .outerjoin(assets, assets.c.asset_id == host_assets.c.asset_id)
        .where(hosts.c.retired_at.is_(None))
        .order_by(hosts.c.name)
    ).all()
    said = attributes_of(connection, [row.host_id for row in rows])
    told: dict[uuid.UUID, str] = {
        row.host_id: row.asset_number
        for row in connection.execute(
            sa.select(enrollments.c.host_id, enrollments.c.asset_number)
            .where(enrollments.c.host_id.is_not(None), enrollments.c.asset_number.is_not(None))
            .order_by(enrollments.c.requested_at)
        )
    }
    if on is not None:
        for plan in _open_plans(connection, on):
            said.setdefault(plan.host_id, {})[plan.name] = plan.value
    return [
        Known(
            host_id=row.host_id,
            name=row.name,
            hostname=row.hostname,
            serial=row.serial or "",
            asset_number=row.asset_number or "",
            told_number=told.get(row.host_id, ""),
            reported=row.state is not None,
            attributes=said.get(row.host_id, {}),
        )
        for row in rows
    ]


def ledger_standings(connection: Connection, host_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """`listed` or `unlisted` for each; empty where the office keeps no ledger."""
    if not connection.execute(sa.select(sa.exists().where(assets.c.removed_at.is_(None)))).scalar_one():
        return {}
    query = sa.select(hosts.c.host_id).where(hosts.c.host_id.in_(list(host_ids)), _is_listed(hosts.c.host_id))
    listed = set(connection.execute(query).scalars())
    return {host_id: LISTED if host_id in listed else UNLISTED for host_id in host_ids}


def _is_listed(host_id: sa.ColumnElement[uuid.UUID]) -> sa.ColumnElement[bool]:
    return (
        sa.select(sa.literal(1))
        .select_from(host_assets.join(assets, assets.c.asset_id == host_assets.c.asset_id))
        .where(host_assets.c.host_id == host_id, host_assets.c.valid_to.is_(None), assets.c.removed_at.is_(None))
        .exists()
    )


def misjudged(connection: Connection) -> list[uuid.UUID]:
    """Judged machines whose answer about the ledger is none that it gives now."""
    kept = connection.execute(sa.select(sa.exists().where(assets.c.removed_at.is_(None)))).scalar_one()
    listed = sa.case((_is_listed(hosts.c.host_id), "pass"), else_="fail") if kept else sa.literal("not_applicable")
    answered = sa.and_(
        results.c.host_id == hosts.c.host_id, results.c.check_id == IN_LEDGER, results.c.observed_to.is_(None)
    )
    query = (
        sa.select(hosts.c.host_id)
        .join(results, answered)
        .where(hosts.c.retired_at.is_(None), hosts.c.judged_ruleset.is_not(None), results.c.status != listed)
    )
    return list(connection.execute(query.order_by(hosts.c.host_id)).scalars())


def list_row(connection: Connection, row: LedgerRow, now: datetime, later: datetime | None = None) -> None:
    """The row stands in the ledger from now on. Where it is to hold `later`, a row that is there keeps saying what it
    says, and the machine of a new one is not expected before."""
    found = connection.execute(sa.select(assets.c.asset_id).where(assets.c.asset_number == row.asset_number)).scalar()
    values: dict[str, object] = {"listed_at": now, "removed_at": None}
    values |= {name: said for name, said in (("name", row.name), ("serial", row.serial)) if said}
    if found is None or later is None:
        values["attributes"] = msgspec.json.encode(dict(sorted(row.attributes.items()))).decode()
        values |= {"location": row.attributes["location"]} if "location" in row.attributes else {}
    if found is not None and later is None:
        values["expected_from"] = sa.case((assets.c.expected_from > now, sa.null()), else_=assets.c.expected_from)
    if found is None:
        values |= {"asset_id": uuid.uuid4(), "asset_number": row.asset_number, "recorded_at": now}
        values["expected_from"] = later
        connection.execute(sa.insert(assets).values(**values))
    else:
        connection.execute(sa.update(assets).where(assets.c.asset_id == found).values(**values))


def vanished(connection: Connection, numbers: Collection[str]) -> list[Row[Any]]:
    """Rows of ledgers taken in before that have none of these numbers; what was put in by hand is not meant."""
    query = sa.select(assets).where(assets.c.listed_at.is_not(None), assets.c.removed_at.is_(None))
    rows = connection.execute(query.order_by(assets.c.asset_number))
    return [row for row in rows if row.asset_number not in numbers]


def take_off(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> None:
    """The office's ledger has them no more. A machine that stands for one of them goes on, and is not in the ledger."""
    for start in range(0, len(rows), _CHUNK):
        wanted = assets.c.asset_id.in_([row.asset_id for row in rows[start : start + _CHUNK]])
        connection.execute(sa.update(assets).where(wanted, assets.c.removed_at.is_(None)).values(removed_at=now))


def adopt(
    connection: Connection, host_id: uuid.UUID, asset_number: str | None, serial: str | None, now: datetime
) -> None:
    """A machine that enrolls is the row with its asset number, else with its serial number, and what the row says holds
    of it where nobody said otherwise. A number that no row has makes none: it may be a slip of the pen."""
    by_serial = sa.func.lower(assets.c.serial) == (serial or "").lower()
    same = [*([assets.c.asset_number == asset_number] if asset_number else []), *([by_serial] if serial else [])]
    for condition in same:
        rows = connection.execute(sa.select(assets).where(condition, ~_stands_for_another(host_id))).all()
        if len(rows) == 1:
            link_asset(connection, host_id, rows[0].asset_number, now)
            _take_over(connection, host_id, rows[0].attributes, now)
            return


def holder_of(connection: Connection, asset_number: str) -> Row[Any] | None:
    """The machine in service (of `hosts`) that stands for this row of the ledger."""
    query = (
        sa.select(hosts)
        .join(host_assets, host_assets.c.host_id == hosts.c.host_id)
        .join(assets, assets.c.asset_id == host_assets.c.asset_id)
        .where(assets.c.asset_number == asset_number, host_assets.c.valid_to.is_(None), hosts.c.retired_at.is_(None))
    )
    return connection.execute(query.limit(1)).first()


def enter_by_hand(connection: Connection, host: Row[Any], asset_number: str, now: datetime) -> None:
    """Somebody says that `host` is this row, which the ledger has, then; what the row says holds where nobody said
    otherwise. Raises Failure where another machine is the row already."""
    holder = holder_of(connection, asset_number)
    if holder is not None and holder.host_id != host.host_id:
        raise Failure(f"{asset_number} is {holder.name} already; see `secmon host replace` and `secmon host merge`")
    asset_id = link_asset(connection, host.host_id, asset_number, now, name=host.name)
    here = assets.c.asset_id == asset_id
    connection.execute(sa.update(assets).where(here).values(removed_at=None))
    said = connection.execute(sa.select(assets.c.attributes).where(here)).scalar_one()
    _take_over(connection, host.host_id, said, now)


def _stands_for_another(host_id: uuid.UUID) -> sa.ColumnElement[bool]:
    return (
        sa.exists()
        .where(
            host_assets.c.asset_id == assets.c.asset_id,
            host_assets.c.valid_to.is_(None),
            host_assets.c.host_id != host_id,
        )
        .correlate(assets)
    )


def _take_over(connection: Connection, host_id: uuid.UUID, text: str, now: datetime) -> None:
    present = attributes_of(connection, [host_id]).get(host_id, {})
    for name, value in msgspec.json.decode(text, type=dict[str, str]).items():
        if name not in present:
            set_attribute(connection, host_id, name, value, now)


# ── from a day to come ────────────────────────────────────────────────────────────────────────────────────────────────


def plan_attributes(
    connection: Connection, host_id: uuid.UUID, values: Mapping[str, str], on: date, now: datetime
) -> None:
    """From the first moment of `on` these hold. What was planned for the same day before is replaced."""
    for name, value in values.items():
        _settle(connection, _open(host_id, name, on), "replaced", now)
        connection.execute(
            sa.insert(planned_attributes).values(
                host_id=host_id, name=name, effective_on=on.isoformat(), recorded_at=now, value=value
            )
        )


def cancel_plans(connection: Connection, on: date, now: datetime) -> int:
    return _settle(connection, planned_attributes.c.effective_on == on.isoformat(), "cancelled", now)


def open_plans(connection: Connection) -> list[Row[Any]]:
    """What is planned: (name of the host, name, value, effective_on), in the order of days."""
    query = (
        sa.select(
            hosts.c.name.label("host"),
            planned_attributes.c.name,
            planned_attributes.c.value,
            planned_attributes.c.effective_on,
        )
        .join(hosts, hosts.c.host_id == planned_attributes.c.host_id)
        .where(planned_attributes.c.settled_at.is_(None), hosts.c.retired_at.is_(None))
    )
    return list(
        connection.execute(query.order_by(planned_attributes.c.effective_on, hosts.c.name, planned_attributes.c.name))
    )


def due_hosts(connection: Connection, today: date) -> list[uuid.UUID]:
    """Machines of which something planned holds by now."""
    query = sa.select(planned_attributes.c.host_id).where(
        planned_attributes.c.settled_at.is_(None), planned_attributes.c.effective_on <= today.isoformat()
    )
    return list(connection.execute(query.distinct().order_by(planned_attributes.c.host_id)).scalars())


def apply_due(connection: Connection, host_id: uuid.UUID, today: date, zone: tzinfo, now: datetime) -> bool:
    """What was planned up to `today` holds from its day on; False when that changes nothing.

    What somebody said of the machine on that day or later stands: the plan is overtaken.
    """
    changed = False
    for plan in _open_plans(connection, today, host_id):
        start = datetime.combine(date.fromisoformat(plan.effective_on), time(), zone).astimezone(now.tzinfo)
        later = sa.select(host_attributes.c.host_id).where(
            host_attributes.c.host_id == host_id,
            host_attributes.c.name == plan.name,
            host_attributes.c.valid_from >= start,
        )
        overtaken = connection.execute(later.limit(1)).first() is not None
        if not overtaken:
            changed |= set_attribute(connection, host_id, plan.name, plan.value, now, valid_from=start)
            if plan.name == "location":
                _move_asset(connection, host_id, plan.value)
        _settle(
            connection,
            _open(host_id, plan.name, date.fromisoformat(plan.effective_on)),
            "overtaken" if overtaken else "applied",
            now,
        )
    return changed


def move_plans(connection: Connection, source: uuid.UUID, target: uuid.UUID, now: datetime) -> None:
    """What was planned for a machine is planned for the one that takes its place."""
    for plan in _open_plans(connection, date.max, source):
        plan_attributes(connection, target, {plan.name: plan.value}, date.fromisoformat(plan.effective_on), now)
        _settle(connection, _open(source, plan.name, date.fromisoformat(plan.effective_on)), "replaced", now)


def _open_plans(connection: Connection, until: date, host_id: uuid.UUID | None = None) -> Iterable[Row[Any]]:
    query = sa.select(planned_attributes).where(
        planned_attributes.c.settled_at.is_(None), planned_attributes.c.effective_on <= until.isoformat()
    )
    if host_id is not None:
        query = query.where(planned_attributes.c.host_id == host_id)
    return connection.execute(query.order_by(planned_attributes.c.effective_on)).all()


def _open(host_id: uuid.UUID, name: str, on: date) -> sa.ColumnElement[bool]:
    return sa.and_(
        planned_attributes.c.host_id == host_id,
        planned_attributes.c.name == name,
        planned_attributes.c.effective_on == on.isoformat(),
    )


def _settle(connection: Connection, which: sa.ColumnElement[bool], outcome: str, now: datetime) -> int:
    return connection.execute(
        sa.update(planned_attributes)
        .where(which, planned_attributes.c.settled_at.is_(None))
        .values(settled_at=now, outcome=outcome)
    ).rowcount


def _move_asset(connection: Connection, host_id: uuid.UUID, location: str) -> None:
    linked = sa.select(host_assets.c.asset_id).where(host_assets.c.host_id == host_id, host_assets.c.valid_to.is_(None))
    connection.execute(sa.update(assets).where(assets.c.asset_id.in_(linked)).values(location=location))
