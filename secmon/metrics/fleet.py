"""The machines of one snapshot: who they are, where the office puts them, and whether they report.

A machine of the office's ledger is `reporting`, `silent`, `never_reported` or `stored`; one that reports without being
in the ledger is `unlisted`. A machine is stored when somebody says so, and then counts in no other metric. So that
reporting / (reporting + silent + never_reported) is the share of the ledger that can be seen, a ledger row without a
machine counts as `never_reported`, and as `stored` once its machine was retired.
An office without a ledger (no row at all) lists whatever enrolls.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection

from secmon.config import Config
from secmon.metrics.labels import NONE, Place
from secmon.store.gaps import in_ledger
from secmon.store.hosts import USE
from secmon.store.schema import assets, contacts, host_assets, host_attributes, hosts

_decode = msgspec.json.Decoder(dict[str, str]).decode
STATES: Final = ("reporting", "silent", "never_reported", "unlisted", "stored")


class Machine(Struct, frozen=True, kw_only=True):
    host_id: uuid.UUID
    name: str
    place: Place
    role: str
    state: str
    revision: int
    """Rises whenever anything but the contact changes."""
    last_report: datetime | None
    """Newest moment at which its state is known to be true; None before the first report."""
    agent_version: str | None


class Fleet(Struct, frozen=True, kw_only=True):
    machines: Mapping[uuid.UUID, Machine]
    """All that are neither retired nor stored."""
    stored: Mapping[Place, int]
    """Machines that lie in storage."""
    places: tuple[Place, ...]
    """Every pair of zone and department that occurs, and every configured zone: what gets a 0."""
    zones: tuple[str, ...]
    missing: Mapping[tuple[Place, str], int]
    """Rows of the ledger that no machine stands for, by place and state."""


def read_fleet(connection: Connection, config: Config, now: datetime) -> Fleet:
    found = _machines(connection, config, now)
    machines = {machine.host_id: machine for machine in found if machine.state != "stored"}
    missing = _missing(connection, now)
    places = {machine.place for machine in found} | {place for place, _ in missing}
    seen = {place.zone for place in places}
    places |= {Place(zone.id, NONE) for zone in config.zones if zone.id not in seen}
    places = places or {Place(NONE, NONE)}
    return Fleet(
        machines=machines,
        stored=Counter(machine.place for machine in found if machine.state == "stored"),
        places=tuple(sorted(places)),
        zones=tuple(sorted({place.zone for place in places})),
        missing=missing,
    )


def host_states(connection: Connection, config: Config, now: datetime) -> Mapping[uuid.UUID, str]:
    """The state of every machine that is not retired."""
    return {machine.host_id: machine.state for machine in _machines(connection, config, now)}


def _machines(connection: Connection, config: Config, now: datetime) -> list[Machine]:
    attributes = _attributes(connection)
    listed = _listed(connection)
    rows = [_Row(*values) for values in connection.execute(_HOSTS)]
    return [_machine(row, attributes.get(row.host_id, {}), config, now, listed) for row in rows]


class _Row(NamedTuple):
    host_id: uuid.UUID
    name: str
    revision: int
    observed_at: datetime | None
    agent_version: str | None


_HOSTS: Final = (
    sa.select(
        hosts.c.host_id,
        hosts.c.name,
        hosts.c.revision,
        contacts.c.observed_at,
        contacts.c.agent_version,
    )
    .join(contacts, contacts.c.host_id == hosts.c.host_id, isouter=True)
    .where(hosts.c.retired_at.is_(None))
    .order_by(hosts.c.name)
)


def _machine(
    row: _Row,
    attributes: Mapping[str, str],
    config: Config,
    now: datetime,
    listed: frozenset[uuid.UUID] | None,
) -> Machine:
    return Machine(
        host_id=row.host_id,
        name=row.name,
        place=Place(attributes.get("zone") or NONE, attributes.get("department") or NONE),
        role=attributes.get("role") or NONE,
        state=attributes.get(USE) or _state(row, config.silent_after_s(attributes.get("zone")), now, listed),
        revision=row.revision,
        last_report=row.observed_at,
        agent_version=row.agent_version,
    )


def _state(row: _Row, silent_after_s: float, now: datetime, listed: frozenset[uuid.UUID] | None) -> str:
    """Silence comes before the ledger: a machine that fell silent must not hide behind being unlisted."""
    if row.observed_at is None:
        return "never_reported"
    if now - row.observed_at > timedelta(seconds=silent_after_s):
        return "silent"
    return "reporting" if listed is None or row.host_id in listed else "unlisted"


def _attributes(connection: Connection) -> dict[uuid.UUID, dict[str, str]]:
    rows = connection.execute(
        sa.select(host_attributes.c.host_id, host_attributes.c.name, host_attributes.c.value).where(
            host_attributes.c.valid_to.is_(None), host_attributes.c.name.in_(("zone", "department", "role", USE))
        )
    )
    found: dict[uuid.UUID, dict[str, str]] = {}
    for host_id, name, value in rows:
        found.setdefault(host_id, {})[name] = value
    return found


def _listed(connection: Connection) -> frozenset[uuid.UUID] | None:
    """Hosts that stand in the ledger; None when the office keeps none."""
    present = assets.c.removed_at.is_(None)
    if connection.execute(sa.select(assets.c.asset_id).where(present).limit(1)).first() is None:
        return None
    linked = sa.select(host_assets.c.host_id).join(assets, assets.c.asset_id == host_assets.c.asset_id)
    query = linked.where(host_assets.c.valid_to.is_(None), present)
    return frozenset(connection.execute(query).scalars())


def asset_place(attributes: str) -> Place:
    """Where the ledger says that the machine is; `attributes` as `assets` has them."""
    said = _decode(attributes)
    return Place(said.get("zone") or NONE, said.get("department") or NONE)


def _missing(connection: Connection, now: datetime) -> Mapping[tuple[Place, str], int]:
    present = (
        sa.select(host_assets.c.asset_id)
        .join(hosts, hosts.c.host_id == host_assets.c.host_id)
        .where(host_assets.c.valid_to.is_(None), hosts.c.retired_at.is_(None))
    )
    ever = sa.exists().where(host_assets.c.asset_id == assets.c.asset_id)
    rows = connection.execute(
        sa.select(ever, assets.c.attributes).where(assets.c.asset_id.not_in(present), in_ledger(now))
    )
    return Counter((asset_place(said), "stored" if was_linked else "never_reported") for was_linked, said in rows)
