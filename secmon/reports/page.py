"""Page one, for whoever decides, as finished strings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, timedelta

from msgspec import Struct

from secmon.japanese import wareki
from secmon.reports.drawing import NO_DEPARTMENT, NO_ZONE, Bar, Rows, bar
from secmon.reports.exceptions import in_force
from secmon.reports.model import Counts, Decision, EndOfSupport, MonthlyReport, ZoneState
from secmon.reports.month import parse_month
from secmon.reports.speaker import Speaker
from secmon.reports.words import STATUS, WORDS


class Figure(Struct, frozen=True, kw_only=True):
    label: str
    value: str


class Page(Struct, frozen=True, kw_only=True):
    coverage: Sequence[Figure]
    coverage_notes: Sequence[str]
    areas: Sequence[Bar]
    movement: str
    exceptions: str
    """How many are in force and end soon; empty where there are none."""
    decisions: Rows
    """Subject, machines, departments, deadline."""
    trend: Sequence[Bar]
    support: Rows
    """Product, last day, machines."""
    support_note: str


def page(report: MonthlyReport, speaker: Speaker) -> Page:
    return Page(
        coverage=_coverage(report, speaker),
        coverage_notes=_coverage_notes(report, speaker),
        areas=[
            bar(
                area.machines,
                label=speaker.of(area.title),
                answer=speaker.of(STATUS[area.answer]),
                note=speaker.change(area.machines, area.previous),
            )
            for area in report.areas
        ],
        movement=movement(report, speaker),
        exceptions=in_force(report, speaker),
        decisions=[_decision(decision, report, speaker) for decision in report.decisions],
        trend=[
            bar(point.answers, label=_short_month(point.month, speaker), note=_percent(point.answers))
            for point in report.trend
        ],
        support=[_support(line, speaker) for line in report.support.lines],
        support_note=_support_note(report.support.undetermined, speaker),
    )


def _coverage(report: MonthlyReport, speaker: Speaker) -> list[Figure]:
    coverage = report.coverage
    shown = (
        ("ledger", coverage.ledger),
        ("machines", coverage.machines),
        ("reporting", coverage.reporting),
        ("silent", coverage.silent),
        ("never", coverage.never_reported),
    )
    return [Figure(label=speaker.of(WORDS[key]), value=str(number)) for key, number in shown]


def _coverage_notes(report: MonthlyReport, speaker: Speaker) -> list[str]:
    coverage = report.coverage
    notes: list[str] = []
    if coverage.unlisted:
        notes.append(
            speaker.say(
                f"登録端末のうち、台帳に記載のないもの {coverage.unlisted}台",
                f"{speaker.machines(coverage.unlisted)} not in the ledger",
            )
        )
    if coverage.ledger_unmonitored:
        notes.append(
            speaker.say(
                f"台帳の機器のうち、点検の対象になっていないもの {coverage.ledger_unmonitored}台",
                f"{coverage.ledger_unmonitored} in the ledger, not monitored",
            )
        )
    silent = sum(not line.exception for line in report.never_reported)
    if silent:
        notes.append(
            speaker.say(
                f"台帳の機器のうち、猶予期間を過ぎても一度も報告のないもの {silent}台（別紙３）",
                f"{speaker.machines(silent)} in the ledger, never reported in the time they had (annex 3)",
            )
        )
    if coverage.stored:
        notes.append(
            speaker.say(
                f"倉庫に保管中のため、この報告書の台数に含めていないもの {coverage.stored}台",
                f"{speaker.machines(coverage.stored)} in storage, left out of all numbers here",
            )
        )
    ages = [_age(zone, report, speaker) for zone in report.zones if zone.machines]
    if ages:
        notes.append(speaker.say("最新データ　", "Newest data: ") + speaker.say("　", "; ").join(ages))
    return notes


def _age(zone: ZoneState, report: MonthlyReport, speaker: Speaker) -> str:
    name = speaker.plain(zone.name, NO_ZONE)
    if zone.newest_data_at is None:
        return speaker.say(f"{name} なし", f"{name} none")
    hours = int((report.as_of - zone.newest_data_at) / timedelta(hours=1))
    if hours < 1:
        return speaker.say(f"{name} 1時間以内", f"{name} under 1 h old")
    if hours < 48:
        return speaker.say(f"{name} {hours}時間前", f"{name} {hours} h old")
    return speaker.say(f"{name} {hours // 24}日前", f"{name} {hours // 24} days old")


def movement(report: MonthlyReport, speaker: Speaker) -> str:
    moved = report.movement
    text = speaker.say(
        f"当月中に新たに見つかった問題は{moved.opened}件、解消した問題は{moved.resolved}件です。",
        f"Problems found this month: {moved.opened}; put right: {moved.resolved}.",
    )
    if moved.by_rules:
        text += speaker.say(
            f"ほかに、端末の登録や基準の変更による増減が{moved.by_rules}件あります。",
            f" Another {moved.by_rules} came from new machines or changed rules.",
        )
    return text


def _decision(decision: Decision, report: MonthlyReport, speaker: Speaker) -> list[str]:
    if decision.kind == "find":
        subject = speaker.say("報告のない端末の所在と稼働の確認", "Look for the machines that do not report")
    else:
        title = next(state.title for state in report.checks if state.check == decision.check)
        subject = speaker.say(f"「{title.ja}」が要対応となっている端末の是正", f"Have “{title.en}” put right")
    affected = speaker.machines(decision.machines)
    if decision.overdue:
        affected += speaker.say(f"（期限超過 {decision.overdue}台）", f" ({decision.overdue} overdue)")
    return [subject, affected, _departments(decision.departments, speaker), speaker.day(decision.due_at)]


def _departments(names: Sequence[str], speaker: Speaker) -> str:
    shown = speaker.say("、", ", ").join(speaker.plain(name, NO_DEPARTMENT) for name in names[:2])
    rest = len(names) - 2
    return shown + (speaker.say(f" ほか{rest}課", f" and {rest} more") if rest > 0 else "")


def _short_month(month: str, speaker: Speaker) -> str:
    return speaker.say(f"{parse_month(month).month}月", month)


def _percent(counts: Counts) -> str:
    """Rounded down, so that 100 % is said only when all passed."""
    return f"{counts.passed * 100 // counts.measured}%" if counts.measured else "－"


def _support(line: EndOfSupport, speaker: Speaker) -> list[str]:
    last_day = (line.until - timedelta(microseconds=1)).astimezone(UTC)
    day = speaker.say(wareki(last_day), f"{last_day:%Y-%m-%d}")
    ended = speaker.say("（終了）", " (ended)") if line.passed else ""
    return [line.label, f"{day}{ended}", speaker.machines(line.machines)]


def _support_note(undetermined: int, speaker: Speaker) -> str:
    if not undetermined:
        return ""
    return speaker.say(f"終了日を確認できない端末 {undetermined}台", f"End date not known: {undetermined}")
