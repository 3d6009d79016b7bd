"""Telling people, once each, that an exception or dispute ends in 30 and in 7 days."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from msgspec import Struct

from secmon.config import Config
from secmon.evaluate.model import Language, Text
from secmon.exceptions.model import Kind, Record, Scope
from secmon.japanese import local_date
from secmon.ledger.gaps import GAPS
from secmon.notify.queue import Letter
from secmon.notify.text import fold, one_line

DAYS_BEFORE: Final = (30, 7)
RULE: Final = "exception-reminder"
"""Of the delivery."""


class Reminder(Struct, frozen=True, kw_only=True):
    record: Record
    days: int
    """Of DAYS_BEFORE."""

    @property
    def job(self) -> str:
        """With the days as its period: what makes sure that it is said once. No task of its own, hence the slash."""
        return f"reminders/{self.record.number}"


class Line(Struct, frozen=True, kw_only=True):
    """What the mail says of one record, in the mail's language."""

    record: Record
    title: str
    machines: str
    problems: int
    """Findings that it covers now."""


def reminders(records: Sequence[Record], now: datetime, config: Config) -> list[Reminder]:
    """What is to be said at `now`, said before or not: of late reminders of one record the last, and none for what was
    entered with less time than that, or goes on under another number."""
    today = now.astimezone(config.tz).date()
    found = []
    for record in records:
        if not record.holds(now) or _goes_on(record, records, now):
            continue
        left = (record.last_day(config.tz) - today).days
        entered = record.recorded_at.astimezone(config.tz).date()
        found += [
            Reminder(record=record, days=days)
            for days in DAYS_BEFORE
            if left <= days and entered < record.last_day(config.tz) - timedelta(days=days)
        ]
    return found


def newest(due: Iterable[Reminder]) -> list[Reminder]:
    """One for each record, the one nearest to its end."""
    last = {each.record.number: each for each in sorted(due, key=lambda each: -each.days)}
    return sorted(last.values(), key=lambda each: (each.record.valid_to, each.record.number))


def _goes_on(record: Record, records: Iterable[Record], now: datetime) -> bool:
    """It has been entered anew for the time after."""
    return any(
        other.scope == record.scope
        and other.ended_at is None
        and other.recorded_at <= now
        and other.valid_from <= record.valid_to < other.valid_to
        for other in records
    )


def machines_of(scope: Scope, names: Mapping[uuid.UUID, str], config: Config, language: Language) -> str:
    """`PC-07`, `LGWAN接続系・総務課`, `すべての端末`."""
    zone = config.zone(scope.zone) if scope.zone else None
    role = scope.role and (f"用途 {scope.role}" if language == "ja" else f"role {scope.role}")
    host = names.get(scope.host_id, "?") if scope.host_id else None
    parts = [part for part in (host, zone.name if zone else scope.zone, scope.department, role) if part]
    everywhere = "すべての端末" if language == "ja" else "all machines"
    if scope.check in GAPS and scope.item:
        everywhere = f"台帳番号 {scope.item}" if language == "ja" else f"asset number {scope.item}"
    return ("・" if language == "ja" else ", ").join(parts) or everywhere


# ── the mail ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_JA = """次の例外措置・誤検知の扱いは、まもなく期限を迎えます。期限を過ぎると、対象の問題は自動で「要対応」に戻ります。

{lines}

■ 今すること（担当：{contact}）
　1. 問題を解消できたか、まだ続ける必要があるかを確かめてください。
　2. 続けるときは、期限までにあらためて承認を受け、登録してください
　   （誤検知は、理由を見直して登録し直してください）。
　3. 解消したもの、続けないものは、そのままで構いません。

■ 連絡先
{contact_folded}

--{space}
{office}　セキュリティ監視（secmon）
このメールは自動で送信しています。
"""
_EN = """These exceptions and disputes end soon. After that, what they cover needs action again by itself.

{lines}

What to do now ({contact})
  1. See whether the problem is gone or has to be borne with further.
  2. In that case have it approved and entered anew before the end
     (a dispute: look at its reason again and enter it anew).
  3. What is put right, or shall not go on, needs nothing.

Contact
{contact_folded}

--{space}
{office}, security monitor (secmon)
This mail was sent automatically.
"""


KINDS: Final[Mapping[Kind, Text]] = {
    "exception": Text(ja="例外措置", en="Exception"),
    "dispute": Text(ja="誤検知", en="Dispute"),
}


def letter(lines: Sequence[Line], today: date, config: Config) -> Letter:
    """One mail for all that is to be said today, the earliest end first."""
    japanese = config.office.language == "ja"
    contact = one_line(config.office.contact)
    text = (_JA if japanese else _EN).format(
        lines="\n\n".join(_told(line, today, config) for line in lines),
        contact=contact,
        contact_folded=fold(contact, "　" if japanese else "  "),
        office=one_line(config.office.name),
        space=" ",
    )
    first = lines[0].record
    day = local_date(first.last_moment, config.tz, config.office.language)
    kind = KINDS[first.kind].of(config.office.language)
    if japanese:
        subject = f"[期限のお知らせ] {kind} {first.number} は{day}まで"
        subject += f" ほか{len(lines) - 1}件" if len(lines) > 1 else ""
    else:
        subject = f"[Ending soon] {kind} {first.number}: until {day}"
        subject += f" and {len(lines) - 1} more" if len(lines) > 1 else ""
    return Letter(
        rule=RULE,
        group="reminder",
        window=today.isoformat(),
        recipients=config.mail.recipients,
        subject=subject,
        text=text,
    )


def _told(line: Line, today: date, config: Config) -> str:
    record = line.record
    last = local_date(record.last_moment, config.tz, config.office.language)
    left = (record.last_day(config.tz) - today).days
    item = f" [{one_line(record.scope.item, 80)}]" if record.scope.item else ""
    kind = KINDS[record.kind].of(config.office.language)
    if config.office.language == "ja":
        rows = [
            f"■ {kind} {record.number}",
            fold(f"項目：{one_line(line.title)}{item}", "　", "　　"),
            fold(f"端末：{one_line(line.machines)}（いま当たる指摘 {line.problems}件）", "　", "　　"),
            fold(f"期限：{last}まで（あと{left}日）", "　"),
            fold(f"理由：{one_line(record.reason, 300)}", "　", "　　"),
            fold(f"承認者：{one_line(record.approver)}" if record.approver else "", "　"),
        ]
    else:
        rows = [
            f"{kind} {record.number}",
            fold(f"check: {one_line(line.title)}{item}", "  ", "    "),
            fold(f"machines: {one_line(line.machines)} (findings now: {line.problems})", "  ", "    "),
            fold(f"until: {last} ({left} days left)", "  "),
            fold(f"reason: {one_line(record.reason, 300)}", "  ", "    "),
            fold(f"approved by: {one_line(record.approver)}" if record.approver else "", "  "),
        ]
    return "\n".join(row for row in rows if row)
