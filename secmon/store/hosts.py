"""Machines: the collector's hosts, what the office says of them, and who speaks for them."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.store.schema import assets, host_assets, host_attributes, hosts

ATTRIBUTES = ("zone", "department", "department_code", "role", "location", "contact", "owner")
"""What an office may say of a machine; `host_attributes.name`. `department_code` stays when a department is renamed;
`contact` and `owner` are posts, never persons."""
USE, STORED = "use", "stored"
"""The attribute that says what a machine is used for, and its only value: it lies in storage (倉庫保管)."""
CLONE = "clone"
"""The attribute that says that another machine spoke under this one's key, and which, as far as it said."""
POOL = "pool"
"""The attribute of a machine that forgets itself at every start; its value names the string that it enrolled by."""
MAX_NAME_CHARS = 255


def create_host(
    connection: Connection,
    *,
    hostname: str,
    now: datetime,
    machine_id: bytes | None = None,
    serial: str | None = None,
    attributes: Mapping[str, str] | None = None,
) -> uuid.UUID:
    """A new host under a display name that nobody has: `hostname`, or `hostname-2`, …"""
    host_id = uuid.uuid4()
    connection.execute(
        sa.insert(hosts).values(
            host_id=host_id,
            name=free_name(connection, hostname),
            hostname=hostname,
            machine_id=machine_id,
            serial=serial,
            created_at=now,
        )
    )
    for name, value in (attributes or {}).items():
        set_attribute(connection, host_id, name, value, now)
    return host_id


def free_name(connection: Connection, hostname: str) -> str:
    if not _is_taken(connection, hostname):
        return hostname
    return next(name for name in _numbered(hostname) if not _is_taken(connection, name))


def _numbered(hostname: str) -> Iterator[str]:
    for number in itertools.count(2):
        end = f"-{number}"
        yield hostname[: MAX_NAME_CHARS - len(end)] + end


def _is_taken(connection: Connection, name: str) -> bool:
    return connection.execute(sa.select(hosts.c.host_id).where(hosts.c.name == name)).first() is not None


def find_host(connection: Connection, name: str) -> uuid.UUID | None:
    """By display name, or by id."""
    found = connection.execute(sa.select(hosts.c.host_id).where(hosts.c.name == name)).scalar()
    if found is None:
        try:
            wanted = uuid.UUID(name)
        except ValueError:
            return None
        found = connection.execute(sa.select(hosts.c.host_id).where(hosts.c.host_id == wanted)).scalar()
    return found


def set_attribute(
    connection: Connection,
    host_id: uuid.UUID,
    name: str,
    value: str | None,
    now: datetime,
    valid_from: datetime | None = None,
) -> bool:
    """From `now` on the host's attribute is `value`; None ends it. False when nothing changes.

    `valid_from` lies before `now` where something decided earlier took effect while nobody was there to note it.
    """
    start = valid_from or now
    current = (
        host_attributes.c.host_id == host_id,
        host_attributes.c.name == name,
        host_attributes.c.valid_to.is_(None),
    )
    if connection.execute(sa.select(host_attributes.c.value).where(*current)).scalar() == value:
        return False
    connection.execute(sa.update(host_attributes).where(*current).values(valid_to=start))
    if value is not None:
        connection.execute(
            sa.insert(host_attributes).values(
                host_id=host_id, name=name, value=value, valid_from=start, recorded_at=now
            )
        )
    return True


def attributes_of(
    connection: Connection, host_ids: Iterable[uuid.UUID], at: datetime | None = None
) -> dict[uuid.UUID, dict[str, str]]:
    """Attributes by host: the present ones, or those valid at `at`."""
    query = sa.select(host_attributes.c.host_id, host_attributes.c.name, host_attributes.c.value)
    query = query.where(host_attributes.c.host_id.in_(list(host_ids)), *valid(host_attributes, at))
    found: dict[uuid.UUID, dict[str, str]] = {}
    for host_id, name, value in connection.execute(query):
        found.setdefault(host_id, {})[name] = value
    return found


def valid(table: sa.Table, at: datetime | None) -> tuple[sa.ColumnElement[bool], ...]:
    """Rows of an interval table that hold at `at`, or now."""
    if at is None:
        return (table.c.valid_to.is_(None),)
    return (table.c.valid_from <= at, sa.or_(table.c.valid_to.is_(None), table.c.valid_to > at))


def is_stored(
    host_id: sa.ColumnElement[uuid.UUID], at: datetime | None = None, known_at: datetime | None = None
) -> sa.ColumnElement[bool]:
    """Whether the host lay in storage at `at` as it was known at `known_at`, or lies there now."""
    said = (
        host_attributes.c.host_id == host_id,
        host_attributes.c.name == USE,
        host_attributes.c.value == STORED,
        *valid(host_attributes, at),
    )
    known = () if known_at is None else (host_attributes.c.recorded_at <= known_at,)
    return sa.exists().where(*said, *known).correlate_except(host_attributes)


def in_pool(host_id: sa.ColumnElement[uuid.UUID]) -> sa.ColumnElement[bool]:
    """Whether the host forgets itself at every start."""
    said = (host_attributes.c.host_id == host_id, host_attributes.c.name == POOL, host_attributes.c.valid_to.is_(None))
    return sa.exists().where(*said).correlate_except(host_attributes)


def in_use() -> tuple[sa.ColumnElement[bool], ...]:
    """Of a query over `hosts`: neither retired nor stored. These are the machines that shares are made of."""
    return (hosts.c.retired_at.is_(None), ~is_stored(hosts.c.host_id))


def link_asset(
    connection: Connection, host_id: uuid.UUID, asset_number: str, now: datetime, *, name: str = "", location: str = ""
) -> uuid.UUID:
    """From `now` on the host is this row of the ledger, which is made when it is not there yet."""
    found = connection.execute(sa.select(assets.c.asset_id).where(assets.c.asset_number == asset_number)).scalar()
    asset_id = found or uuid.uuid4()
    if found is None:
        connection.execute(
            sa.insert(assets).values(
                asset_id=asset_id, asset_number=asset_number, name=name, location=location, recorded_at=now
            )
        )
    current = (host_assets.c.host_id == host_id, host_assets.c.valid_to.is_(None))
    if connection.execute(sa.select(host_assets.c.asset_id).where(*current)).scalar() != asset_id:
        connection.execute(sa.update(host_assets).where(*current).values(valid_to=now))
        connection.execute(
            sa.insert(host_assets).values(host_id=host_id, asset_id=asset_id, valid_from=now, recorded_at=now)
        )
    return asset_id
