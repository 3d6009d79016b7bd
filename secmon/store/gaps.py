"""Rows of the ledger whose machine never reported: findings by asset, since there is no machine to hang them on."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from secmon.ledger.gaps import NEVER_REPORTED
from secmon.store import exceptions, turns
from secmon.store.hosts import is_stored
from secmon.store.results import DUE_DAYS, Cause
from secmon.store.schema import asset_findings, assets, contacts, host_assets, hosts, transitions
from secmon.store.settling import settle_assets

_attributes = msgspec.json.Decoder(dict[str, str]).decode


def in_ledger(at: datetime) -> sa.ColumnElement[bool]:
    """Of a query over `assets`: the row stood in the office's ledger, and its machine was to be there."""
    return sa.and_(
        sa.or_(assets.c.removed_at.is_(None), assets.c.removed_at > at),
        sa.or_(assets.c.expected_from.is_(None), assets.c.expected_from <= at),
        assets.c.recorded_at <= at,
    )


def is_silent(at: datetime) -> sa.ColumnElement[bool]:
    """Of a query over `assets`: in the ledger, and no machine that stands for the row, or did until it was retired,
    ever spoke. One that lies in storage need not."""
    until_retired = sa.and_(host_assets.c.valid_to.is_not(None), host_assets.c.valid_to == hosts.c.retired_at)
    known = sa.or_(contacts.c.host_id.is_not(None), is_stored(hosts.c.host_id))
    link = host_assets.join(hosts, hosts.c.host_id == host_assets.c.host_id).outerjoin(
        contacts, contacts.c.host_id == hosts.c.host_id
    )
    accounted = (
        sa.select(sa.literal(1))
        .select_from(link)
        .where(
            host_assets.c.asset_id == assets.c.asset_id,
            sa.or_(until_retired, sa.and_(host_assets.c.valid_to.is_(None), known)),
        )
        .correlate(assets)
        .exists()
    )
    return sa.and_(in_ledger(at), ~accounted)


def since() -> sa.ColumnElement[datetime]:
    """Of a query over `assets`: from when on its machine was to report."""
    return sa.func.coalesce(assets.c.expected_from, assets.c.recorded_at, type_=assets.c.recorded_at.type)


def settle_gaps(connection: Connection, now: datetime, grace_days: int, cause: Cause) -> tuple[int, int]:
    """Findings follow the ledger; how many were opened and resolved. A change of the grace closes nothing."""
    turns.take(connection, "gaps")  # last of all, so that nobody waits in a circle
    silent = connection.execute(sa.select(assets, since().label("since")).where(is_silent(now))).all()
    present = unresolved(connection)
    known = {row.asset_id for row in present}
    begins = now - timedelta(days=grace_days)
    fresh = [row for row in silent if row.asset_id not in known and row.since < begins]
    _open(connection, fresh, now, cause)
    still = {row.asset_id for row in silent}
    resolved = _resolve(connection, [row for row in present if row.asset_id not in still], now, now, cause)
    settle_assets(connection, exceptions.register(connection, now), now, cause)
    return len(fresh), resolved


def heard(connection: Connection, host_id: uuid.UUID, at: datetime, now: datetime) -> int:
    """A machine reported for the first time: what was missed of its row of the ledger is there."""
    linked = sa.select(host_assets.c.asset_id).where(host_assets.c.host_id == host_id, host_assets.c.valid_to.is_(None))
    return _resolve(connection, unresolved(connection, asset_findings.c.asset_id.in_(linked)), at, now, "machine")


def unresolved(connection: Connection, *conditions: sa.ColumnElement[bool]) -> Sequence[Row[Any]]:
    """Rows of `asset_findings` with number and attributes of their assets."""
    query = (
        sa.select(asset_findings, assets.c.asset_number, assets.c.attributes)
        .join(assets, assets.c.asset_id == asset_findings.c.asset_id)
        .where(asset_findings.c.resolved_at.is_(None), *conditions)
        .order_by(assets.c.asset_number)
    )
    return connection.execute(query).all()


def _open(connection: Connection, rows: Iterable[Row[Any]], now: datetime, cause: Cause) -> None:
    gap = NEVER_REPORTED
    for row in rows:
        finding = {"finding_id": uuid.uuid4(), "check_id": gap.id, "severity": gap.severity}
        due_at = now + timedelta(days=DUE_DAYS[gap.severity])
        times = {"opened_at": now, "recorded_at": now, "due_at": due_at}
        connection.execute(sa.insert(asset_findings).values(asset_id=row.asset_id, state="open", **finding, **times))
        _happened(connection, "opened", row, finding, now, now, cause)


def _resolve(connection: Connection, rows: Iterable[Row[Any]], at: datetime, now: datetime, cause: Cause) -> int:
    """Another process may have been quicker, and then has told so."""
    resolved = 0
    for row in rows:
        changed = connection.execute(
            sa.update(asset_findings)
            .where(
                asset_findings.c.asset_id == row.asset_id,
                asset_findings.c.finding_id == row.finding_id,
                asset_findings.c.resolved_at.is_(None),
            )
            .values(state="resolved", resolved_at=max(at, row.opened_at), exception_id=None)
        )
        if changed.rowcount:
            resolved += 1
            finding = {"finding_id": row.finding_id, "check_id": row.check_id, "severity": row.severity}
            _happened(connection, "resolved", row, finding, max(at, row.opened_at), now, cause)
    return resolved


def _happened(
    connection: Connection,
    event: str,
    row: Row[Any],
    finding: dict[str, object],
    at: datetime,
    now: datetime,
    cause: Cause,
) -> None:
    connection.execute(
        sa.insert(transitions).values(
            event=event, cause=cause, item=row.asset_number, zone=_attributes(row.attributes).get("zone", ""),
            observed_at=at, recorded_at=now, **finding,
        )
    )  # fmt: skip
