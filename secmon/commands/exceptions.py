"""例外措置 and 誤検知: entering, looking, taking back."""

from __future__ import annotations

from argparse import Namespace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection

from secmon.app import now_utc
from secmon.commands.common import actor, check_day, check_post, check_text, note, opened, say, say_json
from secmon.commands.common import spoken as _in
from secmon.commands.scopes import host_names, scope_of
from secmon.config import Config
from secmon.errors import Failure, UsageError
from secmon.evaluate.ruleset import RuleSet
from secmon.exceptions.model import REVIEW_DAYS, Kind, Record, begins, ends, fiscal_year, fiscal_year_end
from secmon.exceptions.reminders import machines_of
from secmon.ledger.gaps import described
from secmon.rulebook import open_rulebook
from secmon.store import audit, exceptions, followup
from secmon.store.followup import Choice
from secmon.store.settling import settle

_MAX_TEXT = 1_000


def exception_add(options: Namespace, config: Config) -> int:
    approver = check_post("--approver", options.approver, config)
    measure = _text("--measure", options.measure, config) if options.measure else ""
    today = now_utc().astimezone(config.tz).date()
    first = check_day("--start", options.start, config) if options.start else today
    last = check_day("--until", options.until, config) if options.until else fiscal_year_end(max(first, today))
    _check_days(first, last, today, config)
    return _add(options, config, "exception", days=(first, last), measure=measure, approver=approver)


def dispute_add(options: Namespace, config: Config) -> int:
    today = now_utc().astimezone(config.tz).date()
    latest = today + timedelta(days=REVIEW_DAYS)
    last = check_day("--review", options.review, config) if options.review else latest
    if not today <= last <= latest:
        raise UsageError(
            _in(
                config,
                f"--review {last}：見直しの日は今日から {REVIEW_DAYS} 日以内（{latest} まで）にしてください",
                f"--review {last}: within {REVIEW_DAYS} days, so not later than {latest}",
            )
        )
    return _add(options, config, "dispute", days=(today, last))


def exception_list(options: Namespace, config: Config) -> int:
    return _list(options, config, "exception")


def dispute_list(options: Namespace, config: Config) -> int:
    return _list(options, config, "dispute")


def exception_show(options: Namespace, config: Config) -> int:
    rules = open_rulebook(config).current
    with opened(config) as database, database.read() as connection:
        record = find_record(connection, options.number, options.kind, config)
        entry = _entry(connection, record, rules, config)
        covered = _covered(connection, record)
    if options.json:
        say_json(entry | {"covers": covered})
        return 0
    for label, value in _told(entry, config):
        say(f"{label}: {value}")
    for each in covered:
        say(f"  {each['host']}  {each['item'] or '-'}  {_day(each['opened_at'], config)}")
    return 0


def exception_end(options: Namespace, config: Config) -> int:
    reason = _text("--reason", options.reason, config)
    with opened(config) as database, database.write() as connection:
        now = now_utc()
        exceptions.lock(connection)
        record = find_record(connection, options.number, options.kind, config)
        if record.ended_at is not None or record.valid_to <= now:
            raise Failure(_in(config, f"{record.number} はすでに終わっています", f"{record.number} is over already"))
        exceptions.end(connection, record, reason=reason, actor=actor(), now=now)
        reopened = settle(connection, now, "attributes")
        _note(connection, record, "end", now, reason=reason)
    say(
        _in(
            config,
            f"{record.number} を終了しました。未対応に戻った指摘は {reopened} 件です",
            f"{record.number} is ended; {reopened} findings are open again",
        )
    )
    return 0


# ── entering ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _add(
    options: Namespace, config: Config, kind: Kind, *, days: tuple[date, date], measure: str = "", approver: str = ""
) -> int:
    reason = _text("--reason", options.reason, config)
    rules = open_rulebook(config).current
    with opened(config) as database, database.write() as connection:
        now = now_utc()
        wanted = exceptions.Wanted(
            kind=kind,
            scope=scope_of(connection, options, rules, config),
            reason=reason,
            measure=measure,
            approver=approver,
            valid_from=begins(days[0], config.tz),
            valid_to=ends(days[1], config.tz),
        )
        record = exceptions.add(connection, wanted, year=fiscal_year(days[0]), actor=actor(), now=now)
        settle(connection, now, "attributes")
        covered = _covered(connection, record)
        entry = _entry(connection, record, rules, config)
        detail = {name: value for name, value in entry.items() if value and name not in ("number", "kind")}
        _note(connection, record, "add", now, **detail)
    if options.json:
        say_json(entry | {"covers": covered})
        return 0
    say(
        _in(
            config,
            f"{record.number} を登録しました（{days[0]} から {days[1]} まで）。今当たる指摘は {len(covered)} 件です",
            f"{record.number} is recorded ({days[0]} to {days[1]}); it covers {len(covered)} findings now",
        )
    )
    if not covered and record.valid_from <= now:
        note(
            _in(
                config,
                "今は当たる指摘がありません。対象（--item など）の書き方を `secmon finding list` で確かめてください",
                "it covers nothing at present; compare the item with `secmon finding list`",
            )
        )
    return 0


def _check_days(first: date, last: date, today: date, config: Config) -> None:
    earliest = date(fiscal_year(today), 4, 1)
    latest = fiscal_year_end(fiscal_year_end(max(first, today)) + timedelta(days=1))
    wrong = ""
    if first < earliest:
        wrong = _in(
            config,
            f"--start {first}：今年度（{earliest} 以降）の日にしてください",
            f"--start {first}: not before {earliest}",
        )
    elif last < max(first, today):
        wrong = _in(
            config,
            f"--until {last}：終了日は開始日と今日（{today}）より前にできません",
            f"--until {last}: neither before the start nor before today ({today})",
        )
    elif last > latest:
        wrong = _in(
            config,
            f"--until {last}：期限は翌年度末（{latest}）までです。続けるときは、あらためて承認を受けてください",
            f"--until {last}: at most to the end of the next fiscal year ({latest}); then it is approved anew",
        )
    if wrong:
        raise UsageError(wrong)


def _text(option: str, text: str, config: Config) -> str:
    text = text.strip()
    check_text(option, text, _MAX_TEXT)
    if not text:
        raise UsageError(_in(config, f"{option} を書いてください", f"{option} must say something"))
    return text


def _note(connection: Connection, record: Record, act: str, now: datetime, **detail: object) -> None:
    audit.write(connection, at=now, actor=actor(), action=f"{record.kind}.{act}", subject=record.number, detail=detail)


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _list(options: Namespace, config: Config, kind: Kind) -> int:
    rules = open_rulebook(config).current
    with opened(config) as database, database.read() as connection:
        entries = [
            _entry(connection, record, rules, config)
            for record in exceptions.read_all(connection)
            if record.kind == kind
        ]
    entries = [entry for entry in entries if options.all or entry["state"] in ("in_force", "not_yet")]
    if options.json:
        say_json(entries)
        return 0
    for entry in entries:
        what = entry["title"] + (f" [{entry['item']}]" if entry["item"] else "")
        cells = [entry["number"], _STATES[entry["state"]].get(config.office.language, ""), entry["until"]]
        cells += [entry["machines"], what, *([entry["approver"]] if entry["approver"] else []), entry["reason"]]
        say("  ".join(cells))
    if not entries:
        note(_in(config, "該当するものはありません", "there are none"))
    return 0


_STATES: dict[str, dict[str, str]] = {
    "in_force": {"ja": "有効", "en": "in force"},
    "not_yet": {"ja": "開始前", "en": "not yet"},
    "expired": {"ja": "期限切れ", "en": "expired"},
    "ended": {"ja": "終了", "en": "ended"},
}


def _state(record: Record, now: datetime) -> str:
    if record.ended_at is not None:
        return "ended"
    if now < record.valid_from:
        return "not_yet"
    return "in_force" if now < record.valid_to else "expired"


def _entry(connection: Connection, record: Record, rules: RuleSet, config: Config) -> dict[str, Any]:
    check = described(rules, record.scope.check)
    names = host_names(connection)
    return {
        "number": record.number,
        "kind": record.kind,
        "state": _state(record, now_utc()),
        "check": record.scope.check,
        "title": check.title.of(config.office.language) if check else record.scope.check,
        "item": record.scope.item,
        "machines": machines_of(record.scope, names, config, config.office.language),
        "host": names.get(record.scope.host_id) if record.scope.host_id else None,
        "zone": record.scope.zone,
        "department": record.scope.department,
        "role": record.scope.role,
        "reason": record.reason,
        "measure": record.measure,
        "approver": record.approver,
        "start": record.valid_from.astimezone(config.tz).date().isoformat(),
        "until": record.last_day(config.tz).isoformat(),
        "recorded_at": record.recorded_at,
        "recorded_by": record.recorded_by,
        "ended_at": record.ended_at,
        "ended_by": record.ended_by,
        "ended_reason": record.ended_reason,
    }


def _told(entry: dict[str, Any], config: Config) -> list[tuple[str, str]]:
    words = (
        ("番号", "number", entry["number"]),
        ("状態", "state", _STATES[entry["state"]].get(config.office.language, "")),
        ("点検項目", "check", f"{entry['title']} ({entry['check']})"),
        ("対象", "item", entry["item"]),
        ("端末", "machines", entry["machines"]),
        ("理由", "reason", entry["reason"]),
        ("代替策", "measure", entry["measure"]),
        ("承認者", "approver", entry["approver"]),
        ("期間", "from, to", f"{entry['start']} – {entry['until']}"),
        ("登録", "recorded", f"{_day(entry['recorded_at'], config)} {entry['recorded_by']}"),
        ("終了", "ended", entry["ended_at"] and f"{_day(entry['ended_at'], config)} {entry['ended_reason']}"),
    )
    return [(_in(config, ja, en), str(value)) for ja, en, value in words if value]


def _day(instant: datetime, config: Config) -> str:
    return instant.astimezone(config.tz).date().isoformat()


def _covered(connection: Connection, record: Record) -> list[dict[str, Any]]:
    rows = followup.read(connection, Choice(check=record.scope.check))
    covered = [row for row in rows if row.exception_id == record.exception_id]
    covered.sort(key=lambda row: (row.host, row.item))
    return [{"host": row.host, "item": row.item, "opened_at": row.opened_at} for row in covered]


def find_record(connection: Connection, number: str, kind: Kind, config: Config) -> Record:
    record = exceptions.find(connection, number.upper())
    if record is None or record.kind != kind:
        raise Failure(
            _in(
                config,
                f"{number} は登録されていません。`secmon {kind} list --all` で確かめてください",
                f"there is no {number}; see `secmon {kind} list --all`",
            )
        )
    return record
