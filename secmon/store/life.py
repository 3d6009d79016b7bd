"""A machine's life after enrollment: renamed, replaced by another, found to be another's double, stored, retired.

Each act runs in the caller's transaction, is written to the audit log, and deletes nothing. Each raises Failure with
one line for the person who asked for it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection, Row

from secmon.errors import Failure
from secmon.store import audit, exceptions, results, speakers
from secmon.store.hosts import (
    ATTRIBUTES,
    CLONE,
    MAX_NAME_CHARS,
    POOL,
    STORED,
    USE,
    attributes_of,
    find_host,
    in_pool,
    set_attribute,
)
from secmon.store.ledger import move_plans
from secmon.store.schema import agents, contacts, findings, host_agents, host_assets, host_attributes, hosts, streams
from secmon.store.schema import results as results_table

STILL_RUNNING = timedelta(days=1)
"""A machine may be stored on paper before it is switched off; a report after this says that it is in use."""
CLONE_QUIET = timedelta(days=7)
"""A clone that has not spoken for so long has enrolled anew, or is gone."""
POOL_QUIET = timedelta(days=1)
"""A machine of a pool that was not heard of for so long is off; it enrolls anew when it is used again."""
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Act(Struct, frozen=True, kw_only=True):
    """Who does something, and when."""

    actor: str
    now: datetime

    def note(self, connection: Connection, action: str, subject: str, **detail: object) -> None:
        audit.write(connection, at=self.now, actor=self.actor, action=action, subject=subject, detail=detail)


def in_service(connection: Connection, *names: str) -> list[Row[Any]]:
    """The hosts of these names or ids, locked. A name that is unknown, or that of a retired host, is a Failure."""
    ids = [find_host(connection, name) for name in names]
    query = sa.select(hosts).where(hosts.c.host_id.in_([host_id for host_id in ids if host_id is not None]))
    locked = connection.execute(query.order_by(hosts.c.host_id).with_for_update(key_share=True))
    found = {row.host_id: row for row in locked}
    for name, host_id in zip(names, ids, strict=True):
        if host_id is None:
            raise Failure(f"there is no host {name!r}; see `secmon host list`")
        if found[host_id].retired_at is not None:
            raise Failure(f"{name} was retired on {found[host_id].retired_at:%Y-%m-%d}; it is history")
    if len(found) < len(names):
        raise Failure(f"{names[0]} and {names[-1]} are the same host")
    return [found[host_id] for host_id in ids if host_id is not None]


def rename(connection: Connection, name: str, new_name: str, act: Act) -> None:
    """From now on pages, metrics and mails call the host `new_name`."""
    _check_name(new_name)
    (host,) = in_service(connection, name)
    taken = connection.execute(sa.select(hosts).where(hosts.c.name == new_name)).first()
    if taken is not None and taken.host_id != host.host_id:
        kind = "a host" if taken.retired_at is None else f"a host that was retired on {taken.retired_at:%Y-%m-%d}"
        raise Failure(f"{new_name} is the name of {kind} already")
    connection.execute(
        sa.update(hosts).where(hosts.c.host_id == host.host_id).values(name=new_name, revision=host.revision + 1)
    )
    act.note(connection, "host.rename", host.name, name=new_name)


def _check_name(name: str) -> None:
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable() or name != name.strip():
        raise Failure(f"a name has 1 to {MAX_NAME_CHARS} characters, no control characters and no outer spaces")
    try:
        uuid.UUID(name)
    except ValueError:
        return
    raise Failure(f"{name} reads like the id of a host; give it a name")


def store(connection: Connection, name: str, act: Act) -> None:
    """倉庫保管: nobody waits for its reports, and it counts in no share, until it is in use again."""
    (host,) = in_service(connection, name)
    if not set_attribute(connection, host.host_id, USE, STORED, act.now):
        raise Failure(f"{name} is stored already")
    act.note(connection, "host.store", host.name)


def take_out(connection: Connection, name: str, act: Act) -> None:
    (host,) = in_service(connection, name)
    if not set_attribute(connection, host.host_id, USE, None, act.now):
        raise Failure(f"{name} is not stored")
    act.note(connection, "host.take-out", host.name)


def take_out_what_reports(connection: Connection, act: Act) -> int:
    """Stored machines that report nevertheless are in use again; how many."""
    query = (
        sa.select(hosts.c.name, host_attributes.c.valid_from, contacts.c.observed_at)
        .join(host_attributes, host_attributes.c.host_id == hosts.c.host_id)
        .join(contacts, contacts.c.host_id == hosts.c.host_id)
        .where(hosts.c.retired_at.is_(None), host_attributes.c.name == USE, host_attributes.c.valid_to.is_(None))
    )
    found = [row.name for row in connection.execute(query) if row.observed_at > row.valid_from + STILL_RUNNING]
    for name in found:
        take_out(connection, name, act)
    return len(found)


def forget_quiet_clones(connection: Connection, act: Act) -> list[uuid.UUID]:
    """Ends that hosts have a clone where none has spoken for `CLONE_QUIET`; the hosts, which are to be judged anew."""
    spoke = sa.select(streams.c.host_id).where(streams.c.refused_at > act.now - CLONE_QUIET).scalar_subquery()
    query = (
        sa.select(hosts.c.host_id, hosts.c.name)
        .join(host_attributes, host_attributes.c.host_id == hosts.c.host_id)
        .where(host_attributes.c.name == CLONE, host_attributes.c.valid_to.is_(None), hosts.c.host_id.not_in(spoke))
        .order_by(hosts.c.host_id)
    )
    found = connection.execute(query).all()
    for row in found:
        set_attribute(connection, row.host_id, CLONE, None, act.now)
        act.note(connection, "host.clone-quiet", row.name)
    return [row.host_id for row in found]


def retire(connection: Connection, name: str, act: Act, *, reason: str) -> None:
    """The host is history from now on: its answers and findings end, its agent is refused, its row stays."""
    (host,) = in_service(connection, name)
    _end(connection, host, act, reason)
    act.note(connection, "host.retire", host.name, reason=reason)


def retire_from_pools(connection: Connection, act: Act) -> int:
    """Machines of pools that are off end without a word, and stay members: `take_back` brings them back. How many."""
    since = (
        sa.select(host_agents.c.host_id, sa.func.max(agents.c.enrolled_at).label("enrolled_at"))
        .join(agents, agents.c.agent_id == host_agents.c.agent_id)
        .group_by(host_agents.c.host_id)
        .subquery()
    )
    last = act.now - POOL_QUIET
    query = (
        sa.select(hosts)
        .outerjoin(contacts, contacts.c.host_id == hosts.c.host_id)
        .outerjoin(since, since.c.host_id == hosts.c.host_id)
        .where(
            hosts.c.retired_at.is_(None),
            in_pool(hosts.c.host_id),
            hosts.c.created_at < last,
            sa.or_(since.c.enrolled_at.is_(None), since.c.enrolled_at < last),
            sa.or_(contacts.c.received_at.is_(None), contacts.c.received_at < last),
        )
        .order_by(hosts.c.host_id)
        .with_for_update(of=hosts, key_share=True)
    )
    found = connection.execute(query).all()
    for host in found:
        _end(connection, host, act, "a machine of a pool that is off", stays_in_pool=True)
        act.note(connection, "host.retire", host.name, reason="off; it enrolls anew when it is used again")
    return len(found)


def take_back(connection: Connection, host_id: uuid.UUID, now: datetime) -> None:
    """A machine of a pool is used again: its record and its row of the ledger go on.

    Nothing is known of it until it reports. Then it is judged as a whole, without telling anybody one by one.
    """
    retired_at = connection.execute(sa.select(hosts.c.retired_at).where(hosts.c.host_id == host_id)).scalar_one()
    if retired_at is None:
        return
    linked = sa.select(host_assets.c.asset_id).where(
        host_assets.c.host_id == host_id, host_assets.c.valid_to == retired_at
    )
    for asset_id in connection.execute(linked).scalars().all():
        connection.execute(
            sa.insert(host_assets).values(host_id=host_id, asset_id=asset_id, valid_from=now, recorded_at=now)
        )
    connection.execute(
        sa.update(hosts)
        .where(hosts.c.host_id == host_id)
        .values(retired_at=None, state=None, judged_state=None, revision=hosts.c.revision + 1)
    )


def replace(connection: Connection, old_name: str, new_name: str, act: Act) -> uuid.UUID:
    """The machine `new_name` stands where `old_name` stood: it takes over what the office says of it, and its row of
    the ledger unless it has its own. Returns the id of the new one."""
    old, new = in_service(connection, old_name, new_name)
    moved = _attributes(connection, old)
    for attribute, value in moved.items():
        set_attribute(connection, new.host_id, attribute, value, act.now)
    _move_asset(connection, old.host_id, new.host_id, act.now)
    move_plans(connection, old.host_id, new.host_id, act.now)
    _end(connection, old, act, f"replaced by {new.name}")
    act.note(connection, "host.replace", old.name, by=new.name, **moved)
    return uuid.UUID(str(new.host_id))


def merge(connection: Connection, name: str, double: str, act: Act) -> uuid.UUID:
    """Two records turned out to be one machine: `name` goes on with its history, `double` ends.

    The agent that spoke last speaks for the record that goes on. What the office says of the double only, and its row
    of the ledger, are taken over where the other has none. Returns the id of the one that goes on.
    """
    host, other = in_service(connection, name, double)
    taken = {
        attribute: value
        for attribute, value in _attributes(connection, other).items()
        if attribute not in _attributes(connection, host)
    }
    for attribute, value in taken.items():
        set_attribute(connection, host.host_id, attribute, value, act.now)
    _move_asset(connection, other.host_id, host.host_id, act.now)
    move_plans(connection, other.host_id, host.host_id, act.now)
    if _last_heard(connection, other) > _last_heard(connection, host) and speakers.is_heard(connection, other.host_id):
        speakers.move_agents(connection, other.host_id, host.host_id, act.now)
        connection.execute(
            sa.update(hosts)
            .where(hosts.c.host_id == host.host_id)
            .values(hostname=other.hostname, machine_id=other.machine_id, serial=other.serial)
        )
    exceptions.move(connection, other.host_id, host.host_id, actor=act.actor, now=act.now)
    _end(connection, other, act, f"the same machine as {host.name}")
    act.note(connection, "host.merge", host.name, double=other.name, **taken)
    return uuid.UUID(str(host.host_id))


def _attributes(connection: Connection, host: Row[Any]) -> dict[str, str]:
    said = attributes_of(connection, [host.host_id]).get(host.host_id, {})
    return {name: said[name] for name in ATTRIBUTES if name in said}


def _last_heard(connection: Connection, host: Row[Any]) -> datetime:
    query = sa.select(contacts.c.received_at).where(contacts.c.host_id == host.host_id)
    return connection.execute(query).scalar() or _NEVER


def _move_asset(connection: Connection, source: uuid.UUID, target: uuid.UUID, now: datetime) -> None:
    """A ledger row of the target's own stays; the source's ends with the source."""
    moving, own = (_asset(connection, host_id) for host_id in (source, target))
    if moving is not None and own is None:
        connection.execute(
            sa.insert(host_assets).values(host_id=target, asset_id=moving, valid_from=now, recorded_at=now)
        )


def _asset(connection: Connection, host_id: uuid.UUID) -> uuid.UUID | None:
    query = sa.select(host_assets.c.asset_id).where(host_assets.c.host_id == host_id, host_assets.c.valid_to.is_(None))
    return connection.execute(query).scalar()


def _end(connection: Connection, host: Row[Any], act: Act, reason: str, *, stays_in_pool: bool = False) -> None:
    if not stays_in_pool:  # what people have ended does not come back by itself
        set_attribute(connection, host.host_id, POOL, None, act.now)
    speakers.revoke(connection, host.host_id, reason, act.now)
    exceptions.end_of_host(connection, host.host_id, reason=reason, actor=act.actor, now=act.now)
    judged = results.Judged(
        host_id=host.host_id,
        revision=host.revision + 1,
        cause="attributes",
        observed_at=act.now,
        recorded_at=act.now,
        ruleset=host.judged_ruleset or "",
        zone=_attributes(connection, host).get("zone", ""),
    )
    results.drop(connection, judged, _open_checks(connection, host.host_id))
    connection.execute(
        sa.update(host_assets)
        .where(host_assets.c.host_id == host.host_id, host_assets.c.valid_to.is_(None))
        .values(valid_to=act.now)
    )
    connection.execute(
        sa.update(hosts).where(hosts.c.host_id == host.host_id).values(retired_at=act.now, revision=judged.revision)
    )


def _open_checks(connection: Connection, host_id: uuid.UUID) -> Iterable[str]:
    answered = sa.select(results_table.c.check_id).where(
        results_table.c.host_id == host_id, results_table.c.observed_to.is_(None)
    )
    found = sa.select(findings.c.check_id).where(findings.c.host_id == host_id, findings.c.resolved_at.is_(None))
    return sorted(set(connection.execute(answered.union(found)).scalars()))
