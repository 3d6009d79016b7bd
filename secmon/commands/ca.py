"""The site's CA and its successor: who has it, and when it takes over."""

from __future__ import annotations

import hashlib
from argparse import Namespace
from datetime import datetime

import sqlalchemy as sa
from cryptography import x509
from sqlalchemy.engine import Connection

from secmon import certificates, succession
from secmon.app import now_utc
from secmon.commands.common import actor, note, opened, say
from secmon.config import Config
from secmon.errors import Failure
from secmon.store import audit
from secmon.store.schema import agents, host_agents, hosts
from secmon_agent import wire
from secmon_agent.successor import Successor

SHOWN = 20
"""Names of machines that are listed at most."""


def ca_show(options: Namespace, config: Config) -> int:
    with opened(config) as database, database.read() as connection:
        found, made = certificates.ensure(config, now_utc()), succession.offered(config)
        say(_described("CA", found.ca_der, found.ca_expires_at()))
        if made is None:
            note("there is no successor; `secmon ca renew` makes one")
            return 0
        expires_at = x509.load_der_x509_certificate(made.ca).not_valid_after_utc
        say(_described("successor", made.ca, expires_at))
        having, lacking = _agents(connection, made)
    say(f"trusted by {having} of {having + len(lacking)} machines")
    for name in lacking[:SHOWN]:
        say(f"not yet: {name}")
    if len(lacking) > SHOWN:
        say(f"and {len(lacking) - SHOWN} more")
    return 0


def _described(what: str, der: bytes, expires_at: datetime) -> str:
    return f"{what}: SHA-256 {hashlib.sha256(der).hexdigest()}, until {expires_at:%Y-%m-%d}"


def ca_renew(options: Namespace, config: Config) -> int:
    with opened(config) as database:
        made = succession.renew(config, now_utc())
        sha256 = hashlib.sha256(made.ca).digest()
        with database.write() as connection:
            _, lacking = _agents(connection, made)
            _note(connection, "ca.renew", sha256)
    say(f"successor: SHA-256 {sha256.hex()}")
    note(f"{len(lacking)} machines are told with their next reports; `secmon ca show` says who has it")
    return 0


def ca_switch(options: Namespace, config: Config) -> int:
    with opened(config) as database:
        made = succession.offered(config)
        with database.read() as connection:
            _, lacking = _agents(connection, made)
        if made is not None and lacking and not options.anyway:
            raise Failure(
                f"{len(lacking)} machines do not trust the successor yet and would have to enroll again "
                f"({', '.join(lacking[:3])}{', …' if len(lacking) > 3 else ''}); wait, or say --anyway"
            )
        sha256 = succession.switch(config, now_utc())
        with database.write() as connection:
            _note(connection, "ca.switch", sha256)
    say(f"CA: SHA-256 {sha256.hex()}")
    note("enrollment strings made before this do not hold any more")
    return 0


def _note(connection: Connection, action: str, sha256: bytes) -> None:
    audit.write(connection, at=now_utc(), actor=actor(), action=action, detail={"sha256": sha256.hex()})


def _agents(connection: Connection, made: Successor | None) -> tuple[int, list[str]]:
    """Of the agents that may report: how many have this successor, and names of the machines whose agents lack it."""
    rows = connection.execute(
        sa.select(hosts.c.name, agents.c.ca_mark)
        .join(host_agents, host_agents.c.host_id == hosts.c.host_id)
        .join(agents, agents.c.agent_id == host_agents.c.agent_id)
        .where(host_agents.c.valid_to.is_(None), agents.c.revoked_at.is_(None), hosts.c.retired_at.is_(None))
        .order_by(hosts.c.name)
    ).all()
    mark = b"" if made is None else wire.ca_mark(made.ca)
    lacking = [row.name for row in rows if row.ca_mark != mark]
    return len(rows) - len(lacking), lacking
