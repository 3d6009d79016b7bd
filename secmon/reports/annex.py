"""The annex, for those who put things right and those who audit, as finished strings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from secmon.evaluate.model import Text
from secmon.evidence import evidence_line
from secmon.notify.text import one_line
from secmon.reasons import sentence
from secmon.reports.attestations import attested_rows, open_rows
from secmon.reports.clauses import GUIDELINE
from secmon.reports.drawing import NO_DEPARTMENT, NO_NAME, NO_NUMBER, NO_ZONE, Bar, Rows, bar
from secmon.reports.exceptions import dispute_rows, exception_rows
from secmon.reports.model import (
    AssetLine,
    CheckState,
    FailingMachine,
    MachineLine,
    MonthlyReport,
    Problem,
    ZoneState,
)
from secmon.reports.speaker import Speaker
from secmon.reports.words import SEVERITY, STATUS, WORDS

SHOWN_ITEMS = 4
"""Items of one check that are named on paper; the files name all."""
MATRIX_COLUMNS = 4


class MatrixRow(Struct, frozen=True, kw_only=True):
    area: str
    bars: Sequence[Bar]


class Matrix(Struct, frozen=True, kw_only=True):
    """Up to MATRIX_COLUMNS zones side by side."""

    zones: Sequence[str]
    heads: Rows
    rows: Sequence[MatrixRow]


class MachineBlock(Struct, frozen=True, kw_only=True):
    name: str
    lines: Sequence[str]
    problems: Rows
    """Number of the check, title, severity, evidence, since, due."""


class Annex(Struct, frozen=True, kw_only=True):
    matrices: Sequence[Matrix]
    steps: Rows
    failing: Sequence[MachineBlock]
    absent: Rows
    never_reported: Rows
    """Asset number, machine, department, zone, entered on."""
    unknown: Rows
    checks: Rows
    exceptions: Rows
    """Number, check, machines, reason and measure, approver, last day."""
    disputes: Rows
    """The same without approver."""
    attested: Rows
    """Question, answer, day, who, until when, clauses."""
    unattested: Rows
    """Question, why it counts as unanswered, the last answer, clauses."""
    unverified: bool
    """A clause carries the mark ＊."""
    corrections: Rows
    corrections_note: str
    limits: Rows


class _Names(Struct, frozen=True, kw_only=True):
    """How checks and zones are called on this paper."""

    numbers: Mapping[str, str]
    titles: Mapping[str, str]
    zones: Mapping[str, str]


def annex(report: MonthlyReport, speaker: Speaker) -> Annex:
    names = _Names(
        numbers={state.check: str(number) for number, state in enumerate(report.checks, 1)},
        titles={state.check: speaker.of(state.title) for state in report.checks},
        zones={zone.zone: speaker.plain(zone.name, NO_ZONE) for zone in report.zones},
    )
    checks = [_check(state, names, speaker) for state in report.checks]
    attested, unattested = attested_rows(report, GUIDELINE, speaker), open_rows(report, GUIDELINE, speaker)
    return Annex(
        matrices=[
            _matrix(report.zones[first : first + MATRIX_COLUMNS], report, speaker)
            for first in range(0, len(report.zones), MATRIX_COLUMNS)
        ],
        steps=[_step(state, names, speaker) for state in report.checks if state.machines.failed],
        failing=[_block(machine, report.closed_at, names, speaker) for machine in report.failing],
        absent=[
            [*_machine(each.machine, names, speaker), _last_seen(each.last_seen_at, speaker)] for each in report.absent
        ],
        never_reported=[_asset(line, names, speaker) for line in report.never_reported],
        unknown=[
            [
                *_machine(each.machine, names, speaker),
                str(each.checks),
                speaker.say("", " ").join(sentence(reason, speaker.language) for reason in each.reasons),
            ]
            for each in report.unknown
        ],
        checks=checks,
        exceptions=exception_rows(report, names.titles, names.zones, speaker),
        disputes=dispute_rows(report, names.titles, names.zones, speaker),
        attested=attested,
        unattested=unattested,
        unverified=any("＊" in row[-1] for row in (*checks, *attested, *unattested)),
        corrections=_corrections(report, names, speaker),
        corrections_note=_corrections_note(report, speaker),
        limits=_limits(report, names, speaker),
    )


# ── zones ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _matrix(zones: Sequence[ZoneState], report: MonthlyReport, speaker: Speaker) -> Matrix:
    heads: tuple[tuple[str, list[str]], ...] = (
        ("machines", [str(zone.machines) for zone in zones]),
        ("reporting", [str(zone.reporting) for zone in zones]),
        ("silent", [str(zone.silent) for zone in zones]),
        ("never", [str(zone.never_reported) for zone in zones]),
        ("newest", [speaker.short_time(zone.newest_data_at) for zone in zones]),
        ("stale_days", [speaker.days(zone.stale_days) for zone in zones]),
        ("silent_days", [speaker.days(zone.silent_days) for zone in zones]),
    )
    return Matrix(
        zones=[speaker.plain(zone.name, NO_ZONE) for zone in zones],
        heads=[[speaker.of(WORDS[key]), *cells] for key, cells in heads],
        rows=[
            MatrixRow(area=speaker.of(area.title), bars=[bar(zone.areas[area.area]) for zone in zones])
            for area in report.areas
        ],
    )


# ── machines ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _machine(line: MachineLine, names: _Names, speaker: Speaker) -> list[str]:
    return [
        one_line(line.name),
        speaker.plain(line.asset_number, NO_NUMBER),
        speaker.plain(line.department, NO_DEPARTMENT),
        names.zones[line.zone],
    ]


def _asset(line: AssetLine, names: _Names, speaker: Speaker) -> list[str]:
    covered = speaker.say(f"（例外 {line.exception}）", f" (excepted: {line.exception})") if line.exception else ""
    return [
        one_line(line.asset_number),
        speaker.plain(one_line(line.name), NO_NAME),
        speaker.plain(line.department, NO_DEPARTMENT),
        names.zones.get(line.zone) or speaker.plain(line.zone, NO_ZONE),
        speaker.short_day(line.since) + covered,
    ]


def _last_seen(instant: datetime | None, speaker: Speaker) -> str:
    return speaker.short_time(instant) if instant else speaker.say("報告なし", "never")


def _block(each: FailingMachine, now: datetime, names: _Names, speaker: Speaker) -> MachineBlock:
    name, number, department, zone = _machine(each.machine, names, speaker)
    by_check: dict[str, list[Problem]] = {}
    for problem in each.problems:
        by_check.setdefault(problem.check, []).append(problem)
    place = speaker.say("　", " / ").join(filter(None, (department, each.machine.location)))
    return MachineBlock(
        name=name,
        lines=[number, place, zone],
        problems=[
            [
                names.numbers[check],
                names.titles[check],
                speaker.of(SEVERITY[problems[0].severity]),
                _evidence(problems, speaker),
                speaker.short_day(min(problem.since for problem in problems)),
                _due(problems, now, speaker),
            ]
            for check, problems in by_check.items()
        ],
    )


def _evidence(problems: Sequence[Problem], speaker: Speaker) -> str:
    if len(problems) == 1:
        item, evidence = one_line(problems[0].item), evidence_line(problems[0].evidence, speaker.language)
        return evidence if item in evidence else f"{item}: {evidence}".removesuffix(": ")
    rest = len(problems) - SHOWN_ITEMS
    shown = speaker.say("、", ", ").join(one_line(problem.item) for problem in problems[:SHOWN_ITEMS])
    return shown + (speaker.say(f" ほか{rest}件", f" and {rest} more") if rest > 0 else "")


def _due(problems: Iterable[Problem], now: datetime, speaker: Speaker) -> str:
    due = min((problem.due_at for problem in problems if problem.due_at), default=None)
    late = speaker.say(" 超過", " overdue") if due and due <= now else ""
    return speaker.short_day(due) + late


# ── checks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _step(state: CheckState, names: _Names, speaker: Speaker) -> list[str]:
    return [
        names.numbers[state.check],
        names.titles[state.check],
        speaker.machines(state.machines.failed),
        speaker.of(state.first_step),
    ]


def _check(state: CheckState, names: _Names, speaker: Speaker) -> list[str]:
    counts = state.machines
    clauses = [clause.shown for clause in state.clauses if clause.framework == GUIDELINE]
    return [
        names.numbers[state.check],
        names.titles[state.check],
        speaker.of(SEVERITY[state.severity]),
        str(counts.passed),
        str(counts.failed),
        str(counts.unknown),
        str(counts.excepted),
        str(counts.not_applicable),
        speaker.change(counts, state.previous),
        speaker.say("、", ", ").join(clauses) or "－",
    ]


def _limits(report: MonthlyReport, names: _Names, speaker: Speaker) -> list[list[str]]:
    rows: list[list[str]] = []
    for state in report.checks:
        for limit in state.limits:
            each = (f"{names.zones.get(zone, zone)} {_number(value)}" for zone, value in limit.zones.items())
            row = [limit.name, _number(limit.default), speaker.say("、", ", ").join(each) or "－"]
            rows.append([names.numbers[state.check], names.titles[state.check], *row])
    return rows


def _number(value: float) -> str:
    """Every digit of a whole number: bytes are no use as `6.71089e+07`."""
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


# ── corrections ───────────────────────────────────────────────────────────────────────────────────────────────────────

_NO_REPORT = Text(
    ja="前月の報告書がないため、訂正はありません。", en="There is no report of the month before to correct."
)
_NO_CORRECTION = Text(ja="前月の報告に訂正はありません。", en="The report of the month before needs no correction.")


def _corrections(report: MonthlyReport, names: _Names, speaker: Speaker) -> list[list[str]]:
    if report.corrections is None:
        return []
    return [
        [
            one_line(line.machine.name),
            speaker.plain(line.machine.asset_number, NO_NUMBER),
            names.titles.get(line.check, line.check),
            speaker.of(STATUS[line.reported]),
            speaker.of(STATUS[line.corrected]),
        ]
        for line in report.corrections.lines
    ]


def _corrections_note(report: MonthlyReport, speaker: Speaker) -> str:
    found = report.corrections
    if found is None or not found.total:
        return speaker.of(_NO_REPORT if found is None else _NO_CORRECTION)
    closed = speaker.time(found.closed_at)
    text = speaker.say(
        f"前月の締切（{closed}）より後に届いたデータにより、次の{found.total}件を訂正します。",
        f"Data that arrived after the closing of the month before ({closed}) correct {found.total} answers.",
    )
    if found.total > len(found.lines):
        text += speaker.say(f"うち{len(found.lines)}件を示します。", f" {len(found.lines)} are shown.")
    return text
