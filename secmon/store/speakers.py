"""Who speaks for a machine: one agent at a time, each with its keys."""

from __future__ import annotations

import uuid
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.store.schema import agent_keys, agents, host_agents


def new_agent(
    connection: Connection, host_id: uuid.UUID, key_id: bytes, public_key: bytes, sections: str | None, now: datetime
) -> None:
    """A new agent with this key speaks for the host from now on; whoever did before is revoked."""
    silence(connection, host_id, "replaced by a new enrollment", now)
    agent_id = uuid.uuid4()
    connection.execute(sa.insert(agents).values(agent_id=agent_id, enrolled_at=now, sections=sections))
    connection.execute(
        sa.insert(agent_keys).values(key_id=key_id, agent_id=agent_id, public_key=public_key, valid_from=now)
    )
    _speak(connection, host_id, agent_id, now)


def add_key(
    connection: Connection, agent_id: uuid.UUID, key_id: bytes, public_key: bytes, succeeds: bytes, now: datetime
) -> None:
    """The agent may speak by this key, too, until it does: then `end_older_keys`."""
    connection.execute(
        sa.insert(agent_keys).values(
            key_id=key_id, agent_id=agent_id, public_key=public_key, valid_from=now, succeeds=succeeds
        )
    )


def end_older_keys(connection: Connection, agent_id: uuid.UUID, key_id: bytes, now: datetime) -> list[bytes]:
    """The agent has spoken by this key and speaks by no other from now on; ids of the keys that end."""
    new = (agent_keys.c.key_id == key_id, agent_keys.c.heard_at.is_(None))
    if connection.execute(sa.update(agent_keys).where(*new).values(heard_at=now)).rowcount != 1:
        return []
    others = (
        agent_keys.c.agent_id == agent_id,
        agent_keys.c.key_id != key_id,
        agent_keys.c.revoked_at.is_(None),
    )
    ended = list(connection.execute(sa.select(agent_keys.c.key_id).where(*others)).scalars())
    connection.execute(sa.update(agent_keys).where(*others).values(revoked_at=now))
    return ended


def note_ca(connection: Connection, agent_id: uuid.UUID, mark: bytes) -> None:
    """The agent said that it has the successor CA of this mark."""
    connection.execute(sa.update(agents).where(agents.c.agent_id == agent_id).values(ca_mark=mark))


def move_agents(connection: Connection, source: uuid.UUID, target: uuid.UUID, now: datetime) -> None:
    """Whoever speaks for `source` speaks for `target` from now on, and nobody else does."""
    moving = speaking(connection, source)
    silence(connection, target, "replaced by the agent of another record", now)
    _end(connection, source, now)
    for agent_id in moving:
        _speak(connection, target, agent_id, now)


def silence(connection: Connection, host_id: uuid.UUID, reason: str, now: datetime) -> None:
    """Revoke whoever speaks for the host, and end that it does."""
    revoke(connection, host_id, reason, now)
    _end(connection, host_id, now)


def revoke(connection: Connection, host_id: uuid.UUID, reason: str, now: datetime) -> int:
    """Reports of the host are refused from now on, and said to be of a revoked key. Returns how many agents it had."""
    agent_ids = speaking(connection, host_id)
    connection.execute(
        sa.update(agents)
        .where(agents.c.agent_id.in_(agent_ids), agents.c.revoked_at.is_(None))
        .values(revoked_at=now, revoked_reason=reason)
    )
    return len(agent_ids)


def speaking(connection: Connection, host_id: uuid.UUID) -> list[uuid.UUID]:
    """Agents that speak for the host at present, revoked ones included."""
    query = sa.select(host_agents.c.agent_id).where(host_agents.c.host_id == host_id, host_agents.c.valid_to.is_(None))
    return list(connection.execute(query).scalars())


def is_heard(connection: Connection, host_id: uuid.UUID) -> bool:
    """Somebody speaks for the host who is not revoked."""
    query = sa.select(agents.c.agent_id).where(
        agents.c.agent_id.in_(speaking(connection, host_id)), agents.c.revoked_at.is_(None)
    )
    return connection.execute(query).first() is not None


def _speak(connection: Connection, host_id: uuid.UUID, agent_id: uuid.UUID, now: datetime) -> None:
    connection.execute(
        sa.insert(host_agents).values(host_id=host_id, agent_id=agent_id, valid_from=now, recorded_at=now)
    )


def _end(connection: Connection, host_id: uuid.UUID, now: datetime) -> None:
    connection.execute(
        sa.update(host_agents)
        .where(host_agents.c.host_id == host_id, host_agents.c.valid_to.is_(None))
        .values(valid_to=now)
    )
