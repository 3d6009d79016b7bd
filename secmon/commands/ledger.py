"""The office's asset ledger: taking it in, what is planned, and how it and the machines differ."""

from __future__ import annotations

import hashlib
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.app import now_utc
from secmon.commands.common import actor, note, opened, say
from secmon.config import Config
from secmon.errors import UsageError
from secmon.evaluate.ruleset import RuleSet
from secmon.judging import Occasion, rejudge_host
from secmon.ledger.columns import ColumnMap, read_mapping, understand
from secmon.ledger.plan import Plan, Taken, make_plan
from secmon.ledger.rows import read_rows
from secmon.ledger.table import read_file
from secmon.rulebook import open_rulebook
from secmon.store import audit
from secmon.store.database import Database
from secmon.store.hosts import link_asset, set_attribute
from secmon.store.ledger import cancel_plans, known_machines, list_row, open_plans, plan_attributes
from secmon.store.schema import assets

BATCH = 50
"""Rows taken in one transaction, so that reports get their turn in between."""
MAX_AHEAD = timedelta(days=2 * 366)


def ledger_import(options: Namespace, config: Config) -> int:
    """0 when every row was taken, 1 when some were not."""
    file, now = Path(options.file), now_utc()
    today = now.astimezone(config.tz).date()
    effective = _day(options.effective, today)
    mapping = _mapping(options.map, config)
    data = read_file(file)
    columns, table = understand(data, mapping)
    rows, bad = read_rows(columns, table, mapping, config.zones)
    later = effective if effective > today else None
    rules = open_rulebook(config).current
    with opened(config) as database:
        with database.read() as connection:
            plan = make_plan(rows, bad, known_machines(connection, later))
        for line in _told(plan, later):
            say(line)
        if options.dry_run:
            say("nothing was changed (--dry-run)")
        else:
            _take(database, plan, later, rules, config)
            detail = {**_counts(plan), "file": hashlib.sha256(data).hexdigest(), "effective": effective.isoformat()}
            with database.write() as connection:
                audit.write(
                    connection, at=now_utc(), actor=actor(), action="ledger.import", subject=file.name, detail=detail
                )
    return 1 if plan.bad else 0


def _mapping(file: str | None, config: Config) -> ColumnMap:
    if file is None:
        return ColumnMap()
    mapping = read_mapping(Path(file))
    for said, zone in mapping.zones.items():
        if config.zones and config.zone(zone) is None:
            raise UsageError(f"{file}: zones.{said}: there is no zone {zone!r} in the settings")
    return mapping


def _day(text: str | None, today: date) -> date:
    if text is None:
        return today
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--effective: {text!r} is no date; write it like 2027-04-01") from None
    if not today <= day <= today + MAX_AHEAD:
        raise UsageError(f"--effective: {day} is not between today and two years from now; the past stays as it was")
    return day


def _told(plan: Plan, later: date | None) -> Iterator[str]:
    for bad in plan.bad:
        yield f"row {bad.number}: not taken: {bad.reason}"
    for odd in plan.notes:
        yield f"row {odd.number}: taken, but {odd.reason}"
    since = f" from {later}" if later else ""
    for each in plan.taken:
        if each.machine is None:
            continue
        before = each.machine.attributes
        if each.links:
            yield f"row {each.row.number}: {each.machine.name} is {each.row.asset_number}"
        for name, value in each.changes.items():
            yield f"row {each.row.number}: {each.machine.name}: {name} {before.get(name, '-')} → {value}{since}"
    for row in plan.without_machine:
        yield f"row {row.number}: {row.asset_number} {row.name or '-'}: no machine reports for it"
    yield ", ".join(f"{number} {what.replace('_', ' ')}" for what, number in _counts(plan).items())


def _counts(plan: Plan) -> dict[str, int]:
    return {
        "rows_taken": len(plan.taken),
        "rows_not_taken": len(plan.bad),
        "machines_linked": sum(each.links for each in plan.taken),
        "attributes_changed": sum(len(each.changes) for each in plan.taken),
        "rows_without_a_machine": len(plan.without_machine),
    }


def _take(database: Database, plan: Plan, later: date | None, rules: RuleSet, config: Config) -> None:
    for start in range(0, len(plan.taken), BATCH):
        with database.write() as connection:
            now = now_utc()
            for each in plan.taken[start : start + BATCH]:
                _take_row(connection, each, later, now)
                if each.machine is not None and each.changes and later is None:
                    occasion = Occasion(cause="attributes", at=now, recorded_at=now)
                    rejudge_host(connection, rules, config, each.machine.host_id, occasion)


def _take_row(connection: Connection, each: Taken, later: date | None, now: datetime) -> None:
    list_row(connection, each.row, now, in_force=later is None)
    if each.machine is None:
        return
    link_asset(connection, each.machine.host_id, each.row.asset_number, now)
    if later is not None:
        plan_attributes(connection, each.machine.host_id, each.changes, later, now)
        return
    for name, value in each.changes.items():
        set_attribute(connection, each.machine.host_id, name, value, now)


def ledger_planned(options: Namespace, config: Config) -> int:
    with opened(config) as database:
        if options.cancel is not None:
            day = _day(options.cancel, now_utc().astimezone(config.tz).date())
            with database.write() as connection:
                now = now_utc()
                count = cancel_plans(connection, day, now)
                audit.write(
                    connection, at=now, actor=actor(), action="ledger.cancel", subject=day.isoformat(),
                    detail={"attributes": count},
                )  # fmt: skip
            say(f"{count} attributes planned for {day} are cancelled")
            return 0
        with database.read() as connection:
            plans = open_plans(connection)
    for plan in plans:
        say(f"{plan.effective_on}  {plan.host}  {plan.name}  {plan.value}")
    for day_, count in sorted(Counter(plan.effective_on for plan in plans).items()):
        note(f"{day_}: {count} attributes")
    if not plans:
        note("nothing is planned")
    return 0


def ledger_compare(options: Namespace, config: Config) -> int:
    """0 when every row has a machine that reports and every machine a row; 1 otherwise."""
    with opened(config) as database, database.read() as connection:
        machines = known_machines(connection)
        rows = connection.execute(
            sa.select(assets.c.asset_number, assets.c.name, assets.c.listed_at).order_by(assets.c.asset_number)
        ).all()
    by_number = {machine.asset_number: machine for machine in machines if machine.asset_number}
    newest = max((row.listed_at for row in rows if row.listed_at), default=None)
    missing = [
        f"{row.asset_number}  {row.name or '-'}"
        for row in rows
        if row.asset_number not in by_number or not by_number[row.asset_number].reported
    ]
    unlisted = [f"{machine.name}  {machine.serial or '-'}" for machine in machines if not machine.asset_number]
    older = [
        f"{row.asset_number}  {row.name or '-'}  {row.listed_at.astimezone(config.tz):%Y-%m-%d}"
        for row in rows
        if row.listed_at and newest and newest - row.listed_at > timedelta(hours=1)
    ]
    japanese = config.office.language == "ja"
    _list("台帳にあるが報告のない機器" if japanese else "in the ledger, never reported", missing)
    _list("報告しているが台帳にない機器" if japanese else "reporting, not in the ledger", unlisted)
    _list("最新の台帳に載っていない資産" if japanese else "not in the newest ledger any more", older)
    return 1 if missing or unlisted else 0


def _list(title: str, lines: Sequence[str]) -> None:
    say(f"{title}: {len(lines)}")
    for line in lines:
        say(f"  {line}")
