"""Letting machines in, and their agents out."""

from __future__ import annotations

import hashlib
import ipaddress
from argparse import Namespace
from datetime import timedelta

import msgspec

from secmon import certificates
from secmon.app import now_utc, read_started
from secmon.commands.common import actor, check_text, note, opened, say
from secmon.config import Config, is_loopback
from secmon.errors import UsageError
from secmon.ingest import rotation
from secmon.ingest.enrollment import approve, new_token, pending, refuse, revoke_host
from secmon_agent.invitation import Invitation

DAYS, POOL_DAYS = 7, 365
"""How long a string holds where nothing is said."""


def enroll(options: Namespace, config: Config) -> int:
    if options.zone is not None and config.zones and config.zone(options.zone) is None:
        raise UsageError(f"--zone {options.zone}: there is no such zone in the settings")
    for option in ("zone", "role"):
        check_text(f"--{option}", getattr(options, option) or "", 64)
    for network in options.network:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise UsageError(f"--network: {error}") from None
    networks = _pool_networks(options, config) if options.pool else options.network
    days = options.days or (POOL_DAYS if options.pool else DAYS)
    with opened(config) as database:
        now = now_utc()
        found = certificates.ensure(config, now)
        with database.write() as connection:
            token = new_token(
                connection, now=now, actor=actor(), uses=None if options.pool else options.uses,
                valid_for=timedelta(days=days), zone=options.zone, role=options.role, networks=networks,
            )  # fmt: skip
    started = None if options.ingest else read_started(config)
    if started is not None and not config.ingest.name:
        host = f"[{started.ingest[0]}]" if ":" in started.ingest[0] else started.ingest[0]
        address = f"{host}:{started.ingest[1]}"
        config = msgspec.structs.replace(config, ingest=msgspec.structs.replace(config.ingest, address=address))
    port = started.ingest[1] if started else int(config.ingest.address.rpartition(":")[2])
    invitation = Invitation(
        host=certificates.advertised_name(config), port=port, ca_sha256=hashlib.sha256(found.ca_der).digest(),
        token=token,
    )  # fmt: skip
    if options.pool:
        note("on the master, before its image is taken: secmon-agent generalize --string-file FILE")
        note(f"the string holds for {days} days; make another one, and another image, before that")
    else:
        note(f"on the new machine, within {days} days: secmon-agent enroll STRING")
    if is_loopback(invitation.host):
        note("note: the collector listens on loopback only; start it with --ingest ADDRESS:8443 for other machines")
    say(str(invitation))
    return 0


def _pool_networks(options: Namespace, config: Config) -> list[str]:
    """Where the string holds: it lies in an image for long, so that it must not hold everywhere."""
    zone = config.zone(options.zone)
    if config.zones and zone is None:
        raise UsageError("--pool needs --zone: of a machine that forgets nobody says it later")
    networks: list[str] = options.network or ([] if zone is None else list(zone.networks))
    if not networks:
        raise UsageError("--pool needs --network: the string lies in an image for long and must not hold everywhere")
    return networks


def enrollment_list(options: Namespace, config: Config) -> int:
    with opened(config) as database, database.read() as connection:
        rows = pending(connection)
    for row in rows:
        when = row.requested_at.astimezone(config.tz)
        why = f"{row.reason}; approved, it goes on as {row.host_name}"
        say(f"{str(row.enrollment_id)[:8]}  {row.hostname}  {row.address}  {when:%Y-%m-%d %H:%M}  {why}")
    if not rows:
        note("nobody waits")
    return 0


def enrollment_approve(options: Namespace, config: Config) -> int:
    with opened(config) as database, database.write() as connection:
        name = approve(connection, options.id, as_new=options.as_new, actor=actor(), now=now_utc())
    say(f"enrolled as {name}")
    return 0


def enrollment_refuse(options: Namespace, config: Config) -> int:
    with opened(config) as database, database.write() as connection:
        refuse(connection, options.id, reason=options.reason, actor=actor(), now=now_utc())
    say("refused")
    return 0


def agent_revoke(options: Namespace, config: Config) -> int:
    with opened(config) as database, database.write() as connection:
        count = revoke_host(connection, options.host, reason=options.reason, actor=actor(), now=now_utc())
    say(f"{count} agent(s) of {options.host} revoked")
    return 0


def agent_rotate(options: Namespace, config: Config) -> int:
    with opened(config) as database, database.write() as connection:
        name, key = rotation.ask(connection, options.agent, actor=actor(), now=now_utc())
    since = key.valid_from.astimezone(config.tz)
    say(f"{name} changes its key with one of its next reports; until then: {key.key_id.hex()} (since {since:%Y-%m-%d})")
    return 0
