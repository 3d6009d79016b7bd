"""The office's asset ledger: taking it in, what is planned, and how it and the machines differ."""

from __future__ import annotations

import hashlib
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection, Row

from secmon.app import now_utc
from secmon.commands.common import actor, note, opened, say
from secmon.config import Config
from secmon.errors import UsageError
from secmon.evaluate.ruleset import RuleSet
from secmon.exceptions.model import begins
from secmon.judging import Occasion, judge_by_ledger, rejudge_host
from secmon.ledger.columns import ColumnMap, read_mapping, understand
from secmon.ledger.plan import Plan, Taken, make_plan
from secmon.ledger.rows import read_rows
from secmon.ledger.table import read_file
from secmon.rulebook import open_rulebook
from secmon.store import audit
from secmon.store.database import Database
from secmon.store.differences import read_differences
from secmon.store.gaps import settle_gaps
from secmon.store.hosts import link_asset, set_attribute
from secmon.store.ledger import (
    cancel_plans,
    holder_of,
    known_machines,
    list_row,
    open_plans,
    plan_attributes,
    take_off,
    vanished,
)

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
    if options.complete and later is not None:
        raise UsageError("--complete goes with today's ledger only; what leaves on a day to come is told on that day")
    rules = open_rulebook(config).current
    with opened(config) as database:
        with database.read() as connection:
            plan = make_plan(rows, bad, known_machines(connection, later))
            numbers = {each.row.asset_number for each in plan.taken}
            gone = vanished(connection, numbers) if options.complete and not plan.bad else []
        for line in _told(plan, later, gone):
            say(line)
        if options.complete and plan.bad:
            note("nothing is taken off the ledger while rows of it cannot be taken")
        if options.dry_run:
            say("nothing was changed (--dry-run)")
        else:
            _take(database, plan, later, rules, config)
            _settle(database, gone, rules, config)
            detail = {
                **_counts(plan, gone),
                "file": hashlib.sha256(data).hexdigest(),
                "effective": effective.isoformat(),
            }
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


def _told(plan: Plan, later: date | None, gone: Sequence[Row[Any]]) -> Iterator[str]:
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
    for asset in gone:
        yield f"{asset.asset_number} {asset.name or '-'}: not in this file, taken off the ledger"
    yield ", ".join(f"{number} {what.replace('_', ' ')}" for what, number in _counts(plan, gone).items())


def _counts(plan: Plan, gone: Sequence[Row[Any]]) -> dict[str, int]:
    return {
        "rows_taken": len(plan.taken),
        "rows_not_taken": len(plan.bad),
        "machines_linked": sum(each.links for each in plan.taken),
        "attributes_changed": sum(len(each.changes) for each in plan.taken),
        "rows_without_a_machine": len(plan.without_machine),
        **({"rows_taken_off": len(gone)} if gone else {}),
    }


def _take(database: Database, plan: Plan, later: date | None, rules: RuleSet, config: Config) -> None:
    for start in range(0, len(plan.taken), BATCH):
        with database.write() as connection:
            now = now_utc()
            for each in plan.taken[start : start + BATCH]:
                _take_row(connection, each, later, now, config)
                if each.machine is not None and (each.links or each.changes) and later is None:
                    occasion = Occasion(cause="attributes", at=now, recorded_at=now)
                    rejudge_host(connection, rules, config, each.machine.host_id, occasion)


def _settle(database: Database, gone: Sequence[Row[Any]], rules: RuleSet, config: Config) -> None:
    """What the new ledger makes of machines and rows that do not belong together."""
    now = now_utc()
    with database.write() as connection:
        take_off(connection, gone, now)
        settle_gaps(connection, now, config.ledger.grace_days, "attributes")
    judge_by_ledger(database, rules, config, now)


def _take_row(connection: Connection, each: Taken, later: date | None, now: datetime, config: Config) -> None:
    list_row(connection, each.row, now, begins(later, config.tz) if later else None)
    if each.machine is None:
        return
    holder = holder_of(connection, each.row.asset_number)
    if holder is not None and holder.host_id != each.machine.host_id:  # it enrolled since the plan was made
        note(f"row {each.row.number}: {each.row.asset_number} is {holder.name} by now, not {each.machine.name}")
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
        found = read_differences(connection, config, now_utc())
    tz = config.tz
    japanese = config.office.language == "ja"
    _list(
        "台帳にあるが報告のない機器" if japanese else "in the ledger, never reported",
        [f"{each.asset_number}  {each.name or '-'}  {each.since.astimezone(tz):%Y-%m-%d}" for each in found.silent],
    )
    _list(
        "報告しているが台帳にない機器" if japanese else "reporting, not in the ledger",
        [f"{each.name}  {each.serial or '-'}" for each in found.unlisted],
    )
    _list(
        "最新の台帳に載っていない資産" if japanese else "not in the newest ledger any more",
        [f"{each.asset_number}  {each.name or '-'}  {each.listed_at.astimezone(tz):%Y-%m-%d}" for each in found.older],
    )
    return 1 if found.silent or found.unlisted else 0


def _list(title: str, lines: Sequence[str]) -> None:
    say(f"{title}: {len(lines)}")
    for line in lines:
        say(f"  {line}")
