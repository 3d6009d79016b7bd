"""Machines: what the office says of them, and what becomes of them."""

from __future__ import annotations

import uuid
from argparse import Namespace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.app import now_utc
from secmon.commands.common import actor, check_text, note, opened, say, say_json
from secmon.config import Config
from secmon.errors import Failure, UsageError
from secmon.judging import Occasion, load_machine, rejudge_host
from secmon.metrics.fleet import host_states
from secmon.profiles import profiles_of
from secmon.rulebook import Rulebook, open_rulebook
from secmon.store import audit, life
from secmon.store.gaps import settle_gaps
from secmon.store.hosts import ATTRIBUTES, CLONE, POOL, attributes_of, find_host, set_attribute
from secmon.store.ledger import enter_by_hand
from secmon.store.life import Act
from secmon.store.schema import contacts, hosts
from secmon.whatif import profile as tell

MARKS = {CLONE: "cloned", POOL: "pool"}
"""What else is said of a machine in the list, by attribute."""


def host_list(options: Namespace, config: Config) -> int:
    rules = open_rulebook(config).current
    wanted = hosts.c.retired_at.is_not(None) if options.retired else hosts.c.retired_at.is_(None)
    with opened(config) as database, database.read() as connection:
        rows = connection.execute(
            sa.select(hosts.c.host_id, hosts.c.name, contacts.c.received_at)
            .outerjoin(contacts, contacts.c.host_id == hosts.c.host_id)
            .where(wanted)
            .order_by(hosts.c.name)
        ).all()
        attributes = attributes_of(connection, [row.host_id for row in rows])
        states = host_states(connection, config, now_utc())
        profiles = profiles_of(connection, rules, {row.host_id: attributes.get(row.host_id, {}) for row in rows})
    for row in rows:
        said = attributes.get(row.host_id, {})
        seen = f"{row.received_at.astimezone(config.tz):%Y-%m-%d %H:%M}" if row.received_at else "never"
        state = states.get(row.host_id, "retired")
        marks = "".join(f"  {mark}" for name, mark in MARKS.items() if name in said)
        profile = profiles[row.host_id]
        kind = profile.id if profile is not None else "-"
        say(f"{row.name}  {said.get('zone', '-')}  {said.get('department', '-')}  {kind}  {state}  {seen}{marks}")
    return 0


def host_show(options: Namespace, config: Config) -> int:
    """What is said of a machine, its profile, and what that and the office change for it."""
    rules = open_rulebook(config).current
    with opened(config) as database, database.read() as connection:
        host_id = find_host(connection, options.host)
        if host_id is None:
            raise Failure(f"there is no host {options.host!r}; see `secmon host list`")
        machine = load_machine(connection, config, host_id)
        name = connection.execute(sa.select(hosts.c.name).where(hosts.c.host_id == host_id)).scalar_one()
    shown = tell.shown(name, machine, rules)
    if options.json:
        say_json(shown)
        return 0
    for line in tell.lines(shown, config.office.language, config.tz):
        say(line)
    return 0


def host_set(options: Namespace, config: Config) -> int:
    given = {name: value for name in ATTRIBUTES if (value := getattr(options, name)) is not None}
    if not given and options.asset_number is None:
        raise UsageError("nothing to set; see `secmon host set --help`")
    if given.get("zone") and config.zones and config.zone(given["zone"]) is None:
        raise UsageError(f"--zone {given['zone']}: there is no such zone in the settings")
    for name, value in {**given, "asset-number": options.asset_number or ""}.items():
        check_text(
            f"--{name.replace('_', '-')}", value, 64 if name in ("zone", "department_code", "asset-number") else 255
        )
    rules = open_rulebook(config)
    with opened(config) as database, database.write() as connection:
        now = now_utc()
        (host,) = life.in_service(connection, options.host)
        for name, value in given.items():
            set_attribute(connection, host.host_id, name, value or None, now)
        if options.asset_number:
            enter_by_hand(connection, host, options.asset_number, now)
        _judge_anew(connection, rules, config, host.host_id, now)
        _settle(connection, config, now)
        detail = {**given, **({"asset_number": options.asset_number} if options.asset_number else {})}
        audit.write(connection, at=now, actor=actor(), action="host.set", subject=options.host, detail=detail)
    say(f"{options.host}: {', '.join(f'{name}={value}' for name, value in detail.items())}")
    return 0


def host_rename(options: Namespace, config: Config) -> int:
    with opened(config) as database, database.write() as connection:
        life.rename(connection, options.host, options.name, _act())
    say(f"{options.host} is called {options.name} now")
    return 0


def host_replace(options: Namespace, config: Config) -> int:
    rules = open_rulebook(config)
    with opened(config) as database, database.write() as connection:
        act = _act()
        host_id = life.replace(connection, options.old, options.new, act)
        _judge_anew(connection, rules, config, host_id, act.now)
        _settle(connection, config, act.now)
    say(f"{options.new} stands where {options.old} stood; {options.old} is retired")
    return 0


def host_merge(options: Namespace, config: Config) -> int:
    rules = open_rulebook(config)
    with opened(config) as database, database.write() as connection:
        act = _act()
        host_id = life.merge(connection, options.host, options.double, act)
        _judge_anew(connection, rules, config, host_id, act.now)
        _settle(connection, config, act.now)
    say(f"{options.double} was {options.host}, which goes on; {options.double} is retired")
    return 0


def host_store(options: Namespace, config: Config) -> int:
    with opened(config) as database, database.write() as connection:
        act = _act()
        (life.take_out if options.back else life.store)(connection, options.host, act)
        _settle(connection, config, act.now)
    say(f"{options.host} is {'in use again' if options.back else 'stored'}")
    return 0


def host_retire(options: Namespace, config: Config) -> int:
    check_text("--reason", options.reason, 255)
    with opened(config) as database, database.write() as connection:
        act = _act()
        life.retire(connection, options.host, act, reason=options.reason)
        _settle(connection, config, act.now)
    say(f"{options.host} is retired")
    note("its history stays; should it come back, it enrolls anew")
    return 0


def _settle(connection: Connection, config: Config, now: datetime) -> None:
    """Which machine of the ledger is missed may have changed."""
    settle_gaps(connection, now, config.ledger.grace_days, "attributes")


def _act() -> Act:
    return Act(actor=actor(), now=now_utc())


def _judge_anew(connection: Connection, rules: Rulebook, config: Config, host_id: uuid.UUID, now: datetime) -> None:
    rejudge_host(connection, rules.current, config, host_id, Occasion(cause="attributes", at=now, recorded_at=now))
