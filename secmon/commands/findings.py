"""Findings: seeing them, taking note of them, saying who looks after them until when."""

from __future__ import annotations

from argparse import Namespace
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection, Row

from secmon.app import now_utc
from secmon.commands.common import (
    actor,
    check_day,
    check_post,
    check_text,
    note,
    opened,
    say,
    say_json,
    spoken,
)
from secmon.commands.scopes import check_of, check_zone, host_of
from secmon.config import Config
from secmon.errors import Failure, UsageError
from secmon.evaluate.ruleset import RuleSet
from secmon.japanese import local_date
from secmon.ledger.gaps import described
from secmon.rulebook import open_rulebook
from secmon.store import audit, followup
from secmon.store.followup import Choice

SHORT_ID = 8
_STATES = {
    "open": ("未対応", "open"),
    "acknowledged": ("確認済み", "acknowledged"),
    "excepted": ("例外", "excepted"),
    "disputed": ("誤検知", "disputed"),
}
_SEVERITIES = {"high": ("高", "high"), "medium": ("中", "medium"), "low": ("低", "low")}


def finding_list(options: Namespace, config: Config) -> int:
    rules = open_rulebook(config).current
    with opened(config) as database, database.read() as connection:
        rows = followup.read(connection, _choice(connection, options, rules, config))
    if options.json:
        say_json([_entry(row, rules, config) for row in rows])
        return 0
    for row in rows:
        entry = _entry(row, rules, config)
        what = entry["title"] + (f" [{row.item}]" if row.item else "")
        state = spoken(config, *_STATES.get(row.state, (row.state, row.state)))
        state += f" {row.number}" if row.number else ""
        severity = spoken(config, *_SEVERITIES.get(row.severity, (row.severity, row.severity)))
        say("  ".join([entry["id"][:SHORT_ID], severity, state, entry["due"], row.host, what, row.owner or "-"]))
    if not rows:
        note(spoken(config, "該当する指摘はありません", "there are none"))
    return 0


def finding_acknowledge(options: Namespace, config: Config) -> int:
    with opened(config) as database, database.write() as connection:
        now = now_utc()
        rows = _chosen(connection, options, config)
        changed = followup.acknowledge(connection, rows, actor=actor(), now=now)
        _note(connection, "acknowledge", rows, now)
    say(spoken(config, f"{changed} 件を確認済みにしました", f"{changed} findings acknowledged"))
    return 0


def finding_assign(options: Namespace, config: Config) -> int:
    owner = check_post("--owner", options.owner, config) if options.owner else None
    with opened(config) as database, database.write() as connection:
        now = now_utc()
        rows = _chosen(connection, options, config)
        changed = followup.assign(connection, rows, owner)
        _note(connection, "assign", rows, now, owner=owner or "")
    shown = owner or spoken(config, "（なし）", "(nobody)")
    say(spoken(config, f"{changed} 件の担当を {shown} にしました", f"{changed} findings: owner {shown}"))
    return 0


def finding_due(options: Namespace, config: Config) -> int:
    day = check_day("--date", options.date, config)
    now = now_utc()
    if day < now.astimezone(config.tz).date():
        raise UsageError(
            spoken(config, f"--date {day}：過ぎた日は期限にできません", f"--date {day}: this day is over already")
        )
    due_at = followup.due_moment(day, config)
    with opened(config) as database, database.write() as connection:
        rows = _chosen(connection, options, config)
        changed = followup.set_due(connection, rows, due_at)
        _note(connection, "due", rows, now, due=day.isoformat())
    shown = local_date(due_at, config.tz, config.office.language)
    say(spoken(config, f"{changed} 件の期限を{shown}にしました", f"{changed} findings are due on {shown}"))
    return 0


def _chosen(connection: Connection, options: Namespace, config: Config) -> list[Row[Any]]:
    """What a change is about: never everything by mistake, never nothing."""
    rules = open_rulebook(config).current
    choice = _choice(connection, options, rules, config)
    if choice == Choice():
        raise UsageError(
            spoken(
                config,
                "対象の指摘を、番号（`secmon finding list` の先頭の 8 文字）か --host などで指定してください",
                "say which findings: ids (as `secmon finding list` prints them) or --host and the like",
            )
        )
    rows = followup.read(connection, choice)
    for wanted in choice.ids:
        matches = [row for row in rows if str(row.finding_id).replace("-", "").startswith(wanted.replace("-", ""))]
        if len(matches) > 1:
            raise Failure(
                spoken(
                    config, f"{wanted} で始まる指摘が {len(matches)} 件あります", f"{wanted}: {len(matches)} of them"
                )
            )
        if not matches:
            raise Failure(spoken(config, f"{wanted} という未解消の指摘はありません", f"{wanted}: no such open finding"))
    if not rows:
        raise Failure(spoken(config, "該当する指摘はありません", "there are none"))
    return rows


def _choice(connection: Connection, options: Namespace, rules: RuleSet, config: Config) -> Choice:
    ids = tuple(word.lower() for word in getattr(options, "ids", ()))
    for word in ids:
        if not 4 <= len(word.replace("-", "")) <= 32 or set(word) - set("0123456789abcdef-"):
            raise UsageError(
                spoken(config, f"{word}：指摘の番号は 4 桁以上の 16 進数です", f"{word}: 4 or more hex digits")
            )
    check_zone(options.zone, config)
    check_text("--department", options.department or "", 255)
    return Choice(
        host_id=host_of(connection, options.host, config) if options.host else None,
        zone=options.zone,
        department=options.department,
        check=check_of(options.check, rules, config) if options.check else None,
        item=options.item,
        severity=options.severity,
        state=getattr(options, "state", None),
        owner=getattr(options, "owned_by", None),
        overdue_at=now_utc() if getattr(options, "overdue", False) else None,
        ids=ids,
    )


def _entry(row: Row[Any], rules: RuleSet, config: Config) -> dict[str, Any]:
    check = described(rules, row.check_id)
    return {
        "id": str(row.finding_id),
        "host": row.host,
        "check": row.check_id,
        "title": check.title.of(config.office.language) if check else row.check_id,
        "item": row.item,
        "severity": row.severity,
        "state": row.state,
        "exception": row.number,
        "opened_at": row.opened_at,
        "due": row.due_at.astimezone(config.tz).date().isoformat(),
        "owner": row.owner,
        "acknowledged_at": row.acknowledged_at,
        "acknowledged_by": row.acknowledged_by,
        "baseline_at": row.baseline_at,
        "unconfirmed_since": row.unconfirmed_since,
    }


def _note(connection: Connection, act: str, rows: list[Row[Any]], now: datetime, **detail: object) -> None:
    """An entry for each machine and check, which is how somebody will look for it."""
    places: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        places.setdefault((row.host, row.check_id), []).append(row.item)
    for (host, check), items in places.items():
        audit.write(
            connection, at=now, actor=actor(), action=f"finding.{act}", subject=host,
            detail={"check": check, "items": items, **detail},
        )  # fmt: skip
