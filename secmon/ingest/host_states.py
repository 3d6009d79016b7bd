"""What is known of whoever speaks, and of its host, before anything is taken from it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.engine import Connection, Row

from secmon.ingest.admission import Admitted, Refused
from secmon.store.schema import agent_keys, agents, contacts, host_agents, hosts

_STATES = (
    sa.select(
        agent_keys.c.key_id,
        agents.c.revoked_at.is_not(None).label("revoked"),
        agent_keys.c.revoked_at.is_not(None).label("ended"),
        sa.and_(agent_keys.c.succeeds.is_not(None), agent_keys.c.heard_at.is_(None)).label("is_new_key"),
        (agents.c.rotate_requested_at > agent_keys.c.valid_from).label("rotate"),
        agents.c.ca_mark,
        hosts.c.retired_at.is_not(None).label("retired"),
        hosts.c.host_id,
        hosts.c.revision,
        hosts.c.state,
        hosts.c.resyncing,
        hosts.c.judged_state,
        hosts.c.judged_ruleset,
        hosts.c.swept_on,
        contacts.c.stream,
        contacts.c.sequence,
        contacts.c.boot_id,
        contacts.c.observed_at,
        contacts.c.vitals,
    )
    .select_from(agent_keys)
    .join(agents, agents.c.agent_id == agent_keys.c.agent_id)
    .join(host_agents, sa.and_(host_agents.c.agent_id == agents.c.agent_id, host_agents.c.valid_to.is_(None)))
    .join(hosts, hosts.c.host_id == host_agents.c.host_id)
    .outerjoin(contacts, contacts.c.host_id == hosts.c.host_id)
    .where(agent_keys.c.key_id.in_(sa.bindparam("key_ids", expanding=True)))
    .order_by(hosts.c.host_id)
)
_HOST_STATES = _STATES.with_for_update(of=hosts, key_share=True)
"""Built once: putting it together costs more than SQLite needs to answer it."""


def host_states(connection: Connection, key_ids: list[bytes]) -> dict[bytes, Row[Any]]:
    """What a batch needs of each key's host; rows of hosts are locked, in id order."""
    return {row.key_id: row for row in connection.execute(_HOST_STATES, {"key_ids": key_ids})}


def of_host(admitted: Admitted, host: Row[Any]) -> Admitted:
    """Two records may have been merged since the key was looked up."""
    if admitted.key.host_id == host.host_id:
        return admitted
    return replace(admitted, key=replace(admitted.key, host_id=host.host_id))


def refuse(host: Row[Any] | None) -> Refused | None:
    """Why nothing is taken from the agent of this row of `host_states`."""
    if host is None:
        return Refused("unknown-key", 401)
    if host.revoked:
        return Refused("revoked-key", 401)
    if host.ended:
        return Refused("revoked-key", 401, "its agent goes on by a newer key")
    if host.retired:
        return Refused("revoked-key", 401, "the host is retired")
    return None


def standing(connection: Connection, key_id: bytes) -> str:
    """`wire.KeyAnswer.status` of this key; locks nothing."""
    row = connection.execute(_STATES, {"key_ids": [key_id]}).first()
    if row is None:
        return "unknown"
    said = {"retired": row.retired, "revoked": row.revoked, "ended": row.ended}
    return next((status for status, holds in said.items() if holds), "known")
