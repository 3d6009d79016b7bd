"""What each command does. Errors are `UsageError` and `Failure`; what people read goes to standard output."""

from __future__ import annotations

import getpass
import hashlib
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from secmon.config import Config, is_loopback
from secmon.errors import Failure, UsageError
from secmon.resources import rules_dir
from secmon.store.database import Database
from secmon_agent.invitation import Invitation


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _note(line: str) -> None:
    sys.stderr.write(line + "\n")


def _actor() -> str:
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def _rules_folder(config: Config) -> Path:
    return Path(config.rules.folder) if config.rules.folder else rules_dir()


@contextmanager
def _opened(config: Config) -> Iterator[Database]:
    """The database of an installation that exists already."""
    from secmon.app import open_database

    if not config.database.url and not (config.folder / "secmon.db").exists():
        raise UsageError(f"there is no secmon data in {config.folder}; name the folder with --data-dir or --config")
    database = open_database(config)
    try:
        yield database
    finally:
        database.close()


# ── running ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def up(options: Namespace, config: Config) -> int:
    from secmon.up import up as run

    return run(config, config.office.language, once=options.once)


def serve(options: Namespace, config: Config) -> int:
    from secmon.app import Collector

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    collector = Collector(config, say=_note)
    started = collector.start()
    _note(f"agents report to {started.ingest[0]}:{started.ingest[1]}; the console is {started.console_url}")
    stop.wait()
    collector.stop()
    _note("stopped")
    return 0


def config_check(options: Namespace, config: Config) -> int:
    """The file has been read and checked on the way here; look at what it names, too."""
    from secmon import certificates
    from secmon.app import now_utc
    from secmon.rulebook import Rulebook

    Rulebook(_rules_folder(config))
    if config.ingest.certificate:
        certificates.ensure(config, now_utc())
    if not config.mail.host:
        _say(f"mail: no server; mails are written to {config.folder / 'mail'}")
    if not config.zones:
        _say("zones: none; every machine gets the strictest limits")
    _say("the settings are good")
    return 0


# ── judging ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def inspect(options: Namespace, config: Config) -> int:
    from secmon.inspect import run_inspect

    facts = None if options.facts is None else Path(options.facts)
    return run_inspect(
        facts, json=options.json, language=config.office.language, rules_dir=_rules_folder(config), out=sys.stdout
    )


def rules_check(options: Namespace, config: Config) -> int:
    from secmon.evaluate.command import check_rules

    return check_rules(Path(options.folder) if options.folder else _rules_folder(config), sys.stdout)


# ── people ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def report_monthly(options: Namespace, config: Config) -> int:
    from secmon.app import now_utc
    from secmon.reports.command import make_monthly
    from secmon.rulebook import Rulebook

    rules = Rulebook(_rules_folder(config)).rules
    with _opened(config) as database:
        files = make_monthly(
            database, config, rules.checks, rules.frameworks, options.month, Path(options.out), now_utc(), _note
        )
    for file in files:
        _say(str(file))
    return 0


def sign_in(options: Namespace, config: Config) -> int:
    from secmon.app import now_utc, read_started
    from secmon.console.sign_in import new_link

    host = config.console.address.rpartition(":")[0].strip("[]")
    started = read_started(config)
    url = started.console_url if started else f"{'http' if is_loopback(host) else 'https'}://{config.console.address}"
    with _opened(config) as database:
        _say(new_link(database, now_utc(), url))
    return 0


def mail_test(options: Namespace, config: Config) -> int:
    from secmon.app import now_utc
    from secmon.notify.trial import send_test

    send_test(config, now_utc(), sys.stdout)
    return 0


# ── machines ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def enroll(options: Namespace, config: Config) -> int:
    import ipaddress

    from secmon import certificates
    from secmon.app import now_utc, read_started
    from secmon.ingest.enrollment import new_token

    if options.zone is not None and config.zones and config.zone(options.zone) is None:
        raise UsageError(f"--zone {options.zone}: there is no such zone in the settings")
    for network in options.network:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise UsageError(f"--network: {error}") from None
    with _opened(config) as database:
        now = now_utc()
        found = certificates.ensure(config, now)
        with database.write() as connection:
            token = new_token(
                connection, now=now, actor=_actor(), uses=options.uses, valid_for=timedelta(days=options.days),
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
    _note(f"on the new machine, within {options.days} days: secmon-agent enroll STRING")
    if is_loopback(invitation.host):
        _note("note: the collector listens on loopback only; start it with --ingest ADDRESS:8443 for other machines")
    _say(str(invitation))
    return 0


def enrollment_list(options: Namespace, config: Config) -> int:
    from secmon.ingest.enrollment import pending

    with _opened(config) as database, database.read() as connection:
        rows = pending(connection)
    for row in rows:
        when = row.requested_at.astimezone(config.tz)
        _say(f"{str(row.enrollment_id)[:8]}  {row.hostname}  {row.address}  {when:%Y-%m-%d %H:%M}  {row.reason}")
    if not rows:
        _note("nobody waits")
    return 0


def enrollment_approve(options: Namespace, config: Config) -> int:
    from secmon.app import now_utc
    from secmon.ingest.enrollment import approve

    with _opened(config) as database, database.write() as connection:
        name = approve(connection, options.id, as_new=options.as_new, actor=_actor(), now=now_utc())
    _say(f"enrolled as {name}")
    return 0


def enrollment_refuse(options: Namespace, config: Config) -> int:
    from secmon.app import now_utc
    from secmon.ingest.enrollment import refuse

    with _opened(config) as database, database.write() as connection:
        refuse(connection, options.id, reason=options.reason, actor=_actor(), now=now_utc())
    _say("refused")
    return 0


def host_list(options: Namespace, config: Config) -> int:
    from secmon.store.hosts import attributes_of
    from secmon.store.schema import contacts, hosts

    with _opened(config) as database, database.read() as connection:
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
        _say(f"{row.name}  {said.get('zone', '-')}  {said.get('department', '-')}  {seen}")
    return 0


def host_set(options: Namespace, config: Config) -> int:
    from secmon.app import now_utc
    from secmon.judging import Occasion, rejudge_host
    from secmon.rulebook import Rulebook
    from secmon.store import audit
    from secmon.store.hosts import ATTRIBUTES, find_host, link_asset, set_attribute

    given = {name: value for name in ATTRIBUTES if (value := getattr(options, name)) is not None}
    if not given and options.asset_number is None:
        raise UsageError("nothing to set; see `secmon host set --help`")
    if given.get("zone") and config.zones and config.zone(given["zone"]) is None:
        raise UsageError(f"--zone {given['zone']}: there is no such zone in the settings")
    rules = Rulebook(_rules_folder(config)).current
    with _opened(config) as database, database.write() as connection:
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
        audit.write(connection, at=now, actor=_actor(), action="host.set", subject=options.host, detail=detail)
    _say(f"{options.host}: {', '.join(f'{name}={value}' for name, value in detail.items())}")
    return 0


def agent_revoke(options: Namespace, config: Config) -> int:
    from secmon.app import now_utc
    from secmon.ingest.enrollment import revoke_host

    with _opened(config) as database, database.write() as connection:
        count = revoke_host(connection, options.host, reason=options.reason, actor=_actor(), now=now_utc())
    _say(f"{count} agent(s) of {options.host} revoked")
    return 0
