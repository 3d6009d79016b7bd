"""How the office's ledger and the machines differ now: one reading for the page, the command and the numbers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection

from secmon.config import Config
from secmon.store.gaps import is_silent, since
from secmon.store.hosts import attributes_of, is_stored
from secmon.store.ledger import IN_LEDGER
from secmon.store.schema import asset_findings, assets, contacts, exceptions, findings, host_assets, hosts

_ONE_IMPORT = timedelta(hours=1)
"""Rows are taken one after the other; what is older than this was not in the newest file."""


class Finding(Struct, frozen=True, kw_only=True):
    state: str
    due_at: datetime
    owner: str | None
    exception: str | None


class SilentAsset(Struct, frozen=True, kw_only=True):
    """A row whose machine never reported."""

    asset_number: str
    name: str
    attributes: Mapping[str, str]
    since: datetime
    """From when on it was to report."""
    finding: Finding | None
    """None while it has time left."""


class UnlistedMachine(Struct, frozen=True, kw_only=True):
    host_id: uuid.UUID
    name: str
    serial: str | None
    attributes: Mapping[str, str]
    observed_at: datetime
    finding: Finding | None


class OlderRow(Struct, frozen=True, kw_only=True):
    asset_number: str
    name: str
    listed_at: datetime


class Differences(Struct, frozen=True, kw_only=True):
    rows: int
    """Of the ledger; 0: the office keeps none, and nothing can differ."""
    silent: tuple[SilentAsset, ...]
    unlisted: tuple[UnlistedMachine, ...]
    older: tuple[OlderRow, ...]
    """Rows that the newest file did not have."""


def read_differences(connection: Connection, config: Config, now: datetime) -> Differences:
    present = assets.c.removed_at.is_(None)
    rows = connection.execute(sa.select(sa.func.count()).select_from(assets).where(present)).scalar_one()
    return Differences(
        rows=rows,
        silent=_silent(connection, now),
        unlisted=_unlisted(connection) if rows else (),
        older=_older(connection),
    )


def _silent(connection: Connection, now: datetime) -> tuple[SilentAsset, ...]:
    open_ = sa.and_(asset_findings.c.asset_id == assets.c.asset_id, asset_findings.c.resolved_at.is_(None))
    query = (
        sa.select(
            assets.c.asset_number, assets.c.name, assets.c.attributes, since().label("since"), *_columns(asset_findings)
        )
        .outerjoin(asset_findings, open_)
        .outerjoin(exceptions, exceptions.c.exception_id == asset_findings.c.exception_id)
        .where(is_silent(now))
        .order_by(since(), assets.c.asset_number)
    )  # fmt: skip
    return tuple(
        SilentAsset(
            asset_number=row.asset_number,
            name=row.name,
            attributes=msgspec.json.decode(row.attributes, type=dict[str, str]),
            since=row.since,
            finding=_finding(row),
        )
        for row in connection.execute(query)
    )


def _unlisted(connection: Connection) -> tuple[UnlistedMachine, ...]:
    listed = (
        sa.select(sa.literal(1))
        .select_from(host_assets.join(assets, assets.c.asset_id == host_assets.c.asset_id))
        .where(host_assets.c.host_id == hosts.c.host_id, host_assets.c.valid_to.is_(None))
        .where(assets.c.removed_at.is_(None))
        .correlate(hosts)
        .exists()
    )
    open_ = sa.and_(
        findings.c.host_id == hosts.c.host_id, findings.c.check_id == IN_LEDGER, findings.c.resolved_at.is_(None)
    )
    query = (
        sa.select(hosts.c.host_id, hosts.c.name, hosts.c.serial, contacts.c.observed_at, *_columns(findings))
        .join(contacts, contacts.c.host_id == hosts.c.host_id)
        .outerjoin(findings, open_)
        .outerjoin(exceptions, exceptions.c.exception_id == findings.c.exception_id)
        .where(hosts.c.retired_at.is_(None), ~listed, ~is_stored(hosts.c.host_id))
        .order_by(hosts.c.name)
    )
    rows = connection.execute(query).all()
    said = attributes_of(connection, [row.host_id for row in rows])
    return tuple(
        UnlistedMachine(
            host_id=row.host_id,
            name=row.name,
            serial=row.serial,
            attributes=said.get(row.host_id, {}),
            observed_at=row.observed_at,
            finding=_finding(row),
        )
        for row in rows
    )


def _older(connection: Connection) -> tuple[OlderRow, ...]:
    query = sa.select(assets.c.asset_number, assets.c.name, assets.c.listed_at)
    rows = connection.execute(
        query.where(assets.c.listed_at.is_not(None), assets.c.removed_at.is_(None)).order_by(assets.c.asset_number)
    ).all()
    newest = max((row.listed_at for row in rows), default=None)
    return tuple(
        OlderRow(asset_number=row.asset_number, name=row.name, listed_at=row.listed_at)
        for row in rows
        if newest is not None and newest - row.listed_at > _ONE_IMPORT
    )


def _columns(table: sa.Table) -> tuple[sa.ColumnElement[object], ...]:
    return (table.c.state, table.c.due_at, table.c.owner, exceptions.c.number)


def _finding(row: sa.Row[tuple[object, ...]]) -> Finding | None:
    if row.state is None:
        return None
    return Finding(state=row.state, due_at=row.due_at, owner=row.owner, exception=row.number)
