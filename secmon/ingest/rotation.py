"""An agent changes its key: the present one signs the next, which ends the present one by its first report.

Until then both hold, so that nothing is lost wherever either side is interrupted, and the same key offered again is
answered as before. The key goes to one machine alone: where the agent's state was given back, or where two machines
seem to speak under the present key, it is not changed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from secmon.errors import Failure
from secmon.ingest.admission import Admitted, KnownKey, Refused, refusal
from secmon.ingest.host_states import host_states, refuse, standing
from secmon.store import audit, speakers
from secmon.store.database import Database
from secmon.store.hosts import find_host
from secmon.store.schema import agent_keys, agents, enrollments, host_agents, hosts, streams
from secmon_agent import wire

PAUSE: Final = timedelta(hours=1)
"""Between two new keys of one agent."""
WITHIN: Final = timedelta(days=30)
STREAMS: Final = 2
"""An agent that opened more streams within that time is given back an older state again and again, or is two."""


class Rotations:
    """Answers rotations, each in a transaction of its own, and how a key stands."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def standing(self, key_id: bytes) -> str:
        """`wire.KeyAnswer.status` of this key, as it is now."""
        with self._database.read() as connection:
            return standing(connection, key_id)

    def request(self, body: bytes, key: KnownKey, now: datetime) -> wire.RotationAnswer:
        """Raises Refused."""
        try:
            envelope = wire.read_envelope(body)
            wire.verify(envelope, key.public_key)
            message = wire.read_rotation(envelope)
        except wire.WireError as error:
            raise refusal(error) from None
        try:
            with self._database.write() as connection:
                _take(connection, key, message, now)
        except (sa.exc.OperationalError, sa.exc.InterfaceError):
            raise Refused("busy", 503) from None
        return wire.RotationAnswer(key_id=wire.key_id(message.public_key), server_time=now)


def _take(connection: Connection, key: KnownKey, message: wire.Rotation, now: datetime) -> None:
    new_id = wire.key_id(message.public_key)
    host = host_states(connection, [key.key_id]).get(key.key_id)
    refused = refuse(host)
    if host is None or refused is not None:
        raise refused or Refused("unknown-key", 401)
    known = connection.execute(sa.select(agent_keys).where(agent_keys.c.key_id == new_id)).first()
    if known is not None and (known.agent_id, known.succeeds, known.revoked_at) == (key.agent_id, key.key_id, None):
        return
    if known is not None or _waits(connection, new_id):
        raise Refused("key-taken", 409)
    _check_state(connection, key, host, message, now)
    speakers.add_key(connection, key.agent_id, new_id, message.public_key, key.key_id, now)
    name = connection.execute(sa.select(hosts.c.name).where(hosts.c.host_id == host.host_id)).scalar_one()
    audit.write(
        connection, at=now, actor=f"agent:{key.key_id.hex()}", action="agent.rotation", subject=name,
        detail={"key": new_id.hex()},
    )  # fmt: skip


def _waits(connection: Connection, key_id: bytes) -> bool:
    """A machine asks to be enrolled by this key, or was turned away."""
    return connection.execute(sa.select(enrollments.c.key_id).where(enrollments.c.key_id == key_id)).first() is not None


def _check_state(connection: Connection, key: KnownKey, host: Row[Any], message: wire.Rotation, now: datetime) -> None:
    """The agent is where its last report left it. A stream that is not known here was drawn after a backup that was
    restored since."""
    if _is_behind(connection, host, message):
        raise Refused(
            "rotation-refused", 409, "a later report has been taken under this key: the state is an older one"
        )
    of_agent = (streams.c.host_id == host.host_id, streams.c.agent_id == key.agent_id)
    opened = sa.select(sa.func.count()).where(*of_agent, streams.c.opened_at > now - WITHIN)
    if connection.execute(opened).scalar_one() > STREAMS:
        detail = f"within {WITHIN.days} days its state was an older one several times, or two machines use this key"
        raise Refused("rotation-refused", 409, detail)
    newest = sa.select(sa.func.max(agent_keys.c.valid_from)).where(
        agent_keys.c.agent_id == key.agent_id, agent_keys.c.succeeds.is_not(None)
    )
    changed_at = connection.execute(newest).scalar()
    if changed_at is not None and now - changed_at < PAUSE:
        raise Refused("rotation-refused", 409, f"the key was changed at {changed_at:%Y-%m-%d %H:%M} UTC")


def _is_behind(connection: Connection, host: Row[Any], message: wire.Rotation) -> bool:
    if message.stream == host.stream:
        return bool(message.sequence < host.sequence)
    this = (streams.c.host_id == host.host_id, streams.c.stream == message.stream)
    return connection.execute(sa.select(streams.c.opened_at).where(*this)).first() is not None


def follow(connection: Connection, admitted: Admitted, host: Row[Any]) -> None:
    """The agent's first report by a new key, which is verified: the keys before it end."""
    key = admitted.key
    ended = speakers.end_older_keys(connection, key.agent_id, key.key_id, admitted.received_at)
    if ended:
        name = connection.execute(sa.select(hosts.c.name).where(hosts.c.host_id == host.host_id)).scalar_one()
        audit.write(
            connection, at=admitted.received_at, actor=f"agent:{key.key_id.hex()}", action="agent.key-ended",
            subject=name, detail={"keys": [each.hex() for each in ended]},
        )  # fmt: skip


def ask(connection: Connection, key_or_host: str, *, actor: str, now: datetime) -> tuple[str, Row[Any]]:
    """Ask the agent to change its key with one of its next reports: name of its host, and the key that it has now.

    `key_or_host`: a host's name or id, or a key's id as `secmon-agent status` prints it. Raises Failure."""
    present = (
        sa.select(agent_keys, hosts.c.name)
        .join(agents, agents.c.agent_id == agent_keys.c.agent_id)
        .join(host_agents, sa.and_(host_agents.c.agent_id == agents.c.agent_id, host_agents.c.valid_to.is_(None)))
        .join(hosts, hosts.c.host_id == host_agents.c.host_id)
        .where(agents.c.revoked_at.is_(None), agent_keys.c.revoked_at.is_(None), hosts.c.retired_at.is_(None))
        .order_by(agent_keys.c.valid_from)
    )
    host_id = find_host(connection, key_or_host)
    which = agent_keys.c.key_id == _key_id(key_or_host) if host_id is None else hosts.c.host_id == host_id
    key = connection.execute(present.where(which)).first()
    if key is None:
        raise Failure(f"no agent speaks for a host {key_or_host!r} or by such a key; see `secmon host list`")
    connection.execute(sa.update(agents).where(agents.c.agent_id == key.agent_id).values(rotate_requested_at=now))
    audit.write(
        connection, at=now, actor=actor, action="agent.rotate", subject=key.name, detail={"key": key.key_id.hex()}
    )
    return key.name, key


def _key_id(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
