"""Machines and their agents: enrolling, deciding, saying what they are."""

from __future__ import annotations

import hashlib
import ipaddress
from argparse import Namespace
from datetime import timedelta

import msgspec
import sqlalchemy as sa

from secmon import certificates
from secmon.app import now_utc, read_started
from secmon.commands.common import actor, note, opened, rules_folder, say
from secmon.config import Config, is_loopback
from secmon.errors import Failure, UsageError
from secmon.ingest.enrollment import approve, new_token, pending, refuse, revoke_host
from secmon.judging import Occasion, rejudge_host
from secmon.rulebook import Rulebook
from secmon.store import audit
from secmon.store.hosts import ATTRIBUTES, attributes_of, find_host, link_asset, set_attribute
from secmon.store.schema import contacts, hosts
from secmon_agent.invitation import Invitation


def enroll(options: Namespace, config: Config) -> int:
    if options.zone is not None and config.zones and config.zone(options.zone) is None:
        raise UsageError(f"--zone {options.zone}: there is no such zone in the settings")
    for option in ("zone", "role"):
        _check_text(f"--{option}", getattr(options, option) or "", 64)
    for network in options.network:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise UsageError(f"--network: {error}") from None
    with opened(config) as database:
        now = now_utc()
        found = certificates.ensure(config, now)
        with database.write() as connection:
            token = new_token(
                connection, now=now, actor=actor(), uses=options.uses, valid_for=timedelta(days=options.days),
                zone=options.zone, role=options.role, networks=options.network,
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
    note(f"on the new machine, within {options.days} days: secmon-agent enroll STRING")
    if is_loopback(invitation.host):
        note("note: the collector listens on loopback only; start it with --ingest ADDRESS:8443 for other machines")
    say(str(invitation))
    return 0


def _check_text(option: str, text: str, most: int) -> None:
    if len(text) > most or not text.isprintable():
        raise UsageError(f"{option}: at most {most} characters, none of them a control character")


def enrollment_list(options: Namespace, config: Config) -> int:
    with opened(config) as database, database.read() as connection:
        rows = pending(connection)
    for row in rows:
        when = row.requested_at.astimezone(config.tz)
        say(f"{str(row.enrollment_id)[:8]}  {row.hostname}  {row.address}  {when:%Y-%m-%d %H:%M}  {row.reason}")
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


def host_list(options: Namespace, config: Config) -> int:
    with opened(config) as database, database.read() as connection:
        rows = connection.execute(
            sa.select(hosts.c.host_id, hosts.c.name, contacts.c.received_at)
            .outerjoin(contacts, contacts.c.host_id == hosts.c.host_id)
            .where(hosts.c.retired_at.is_(None))
            .order_by(hosts.c.name)
        ).all()
        attributes = attributes_of(connection, [row.host_id for row in rows])
    for row in rows:
        said = attributes.get(row.host_id, {})
        seen = f"{row.received_at.astimezone(config.tz):%Y-%m-%d %H:%M}" if row.received_at else "never"
        say(f"{row.name}  {said.get('zone', '-')}  {said.get('department', '-')}  {seen}")
    return 0


def host_set(options: Namespace, config: Config) -> int:
    given = {name: value for name in ATTRIBUTES if (value := getattr(options, name)) is not None}
    if not given and options.asset_number is None:
        raise UsageError("nothing to set; see `secmon host set --help`")
    if given.get("zone") and config.zones and config.zone(given["zone"]) is None:
        raise UsageError(f"--zone {given['zone']}: there is no such zone in the settings")
    for name, value in {**given, "asset-number": options.asset_number or ""}.items():
        _check_text(f"--{name}", value, 64 if name in ("zone", "asset-number") else 255)
    rules = Rulebook(rules_folder(config)).current
    with opened(config) as database, database.write() as connection:
        now = now_utc()
        host_id = find_host(connection, options.host)
        if host_id is None:
            raise Failure(f"there is no host {options.host!r}; see `secmon host list`")
        for name, value in given.items():
            set_attribute(connection, host_id, name, value or None, now)
        if options.asset_number:
            link_asset(connection, host_id, options.asset_number, now, name=options.host)
        rejudge_host(connection, rules, config, host_id, Occasion(cause="attributes", at=now, recorded_at=now))
        detail = {**given, **({"asset_number": options.asset_number} if options.asset_number else {})}
        audit.write(connection, at=now, actor=actor(), action="host.set", subject=options.host, detail=detail)
    say(f"{options.host}: {', '.join(f'{name}={value}' for name, value in detail.items())}")
    return 0


def agent_revoke(options: Namespace, config: Config) -> int:
    with opened(config) as database, database.write() as connection:
        count = revoke_host(connection, options.host, reason=options.reason, actor=actor(), now=now_utc())
    say(f"{count} agent(s) of {options.host} revoked")
    return 0
