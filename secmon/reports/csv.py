"""The problems of a month as CSV for a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from secmon.evaluate.model import Language, Text
from secmon.evidence import evidence_line
from secmon.ledger.gaps import NEVER_REPORTED
from secmon.reasons import sentence
from secmon.reports.archive import Archived
from secmon.reports.exceptions import last_moment, why
from secmon.reports.model import MachineLine, MonthlyReport
from secmon.reports.speaker import Speaker
from secmon.reports.words import SEVERITY, STATUS, WORDS
from secmon.spreadsheet import as_csv

_COLUMNS = (
    Text(ja="対象月", en="Month"),
    Text(ja="端末", en="Machine"),
    Text(ja="台帳番号", en="Asset number"),
    Text(ja="課", en="Department"),
    Text(ja="設置場所", en="Location"),
    Text(ja="系統", en="Zone"),
    Text(ja="結果", en="Result"),
    Text(ja="点検項目", en="Check"),
    Text(ja="項目ID", en="Check id"),
    Text(ja="重要度", en="Severity"),
    Text(ja="対象", en="Item"),
    Text(ja="根拠・理由", en="Evidence or reason"),
    Text(ja="いつから", en="Since"),
    Text(ja="期限", en="Due"),
    Text(ja="関連する条項", en="Clauses"),
)


def render_csv(archived: Archived, language: Language) -> bytes:
    """A line per failing item, per exception and dispute, per machine with undetermined checks or without a report."""
    report = archived.report
    speaker = Speaker(language, report.office.time_zone)
    return as_csv([[speaker.of(column) for column in _COLUMNS], *_rows(report, speaker)])


def _rows(report: MonthlyReport, speaker: Speaker) -> Iterator[list[str]]:
    states = {state.check: state for state in report.checks}
    zones = {zone.zone: zone.name for zone in report.zones}

    def about(line: MachineLine) -> list[str]:
        return [report.month, line.name, line.asset_number, line.department, line.location, zones[line.zone]]

    for each in report.failing:
        for problem in each.problems:
            state = states[problem.check]
            yield [
                *about(each.machine),
                speaker.of(STATUS["fail"])[2:],
                speaker.of(state.title),
                problem.check,
                speaker.of(SEVERITY[problem.severity]),
                problem.item,
                evidence_line(problem.evidence, speaker.language),
                speaker.iso_day(problem.since),
                speaker.iso_day(problem.due_at),
                " ".join(f"{clause.framework}:{clause.local_article or clause.control}" for clause in state.clauses),
            ]
    yield from _exceptions(report, speaker, zones)
    for unknown in report.unknown:
        checks = speaker.say(f"{unknown.checks}項目", f"{unknown.checks} checks")
        reasons = speaker.say("", " ").join(sentence(reason, speaker.language) for reason in unknown.reasons)
        yield [*about(unknown.machine), speaker.of(STATUS["unknown"])[2:], checks, "", "", "", reasons, "", "", ""]
    for absent in report.absent:
        word = speaker.say("報告なし", "Does not report")
        seen = speaker.iso_day(absent.last_seen_at)
        yield [*about(absent.machine), word, "", "", "", "", "", seen, "", ""]
    yield from _never_reported(report, speaker, zones)


def _never_reported(report: MonthlyReport, speaker: Speaker, zones: Mapping[str, str]) -> Iterator[list[str]]:
    for line in report.never_reported:
        word = speaker.of(WORDS["never_reported"])
        if line.exception:
            word += speaker.say(f"（例外 {line.exception}）", f" (excepted: {line.exception})")
        about = [line.name, line.asset_number, line.department, line.location, zones.get(line.zone, line.zone)]
        yield [report.month, *about, word, "", NEVER_REPORTED.id, "", "", "", speaker.iso_day(line.since), "", ""]


def _exceptions(report: MonthlyReport, speaker: Speaker, zones: Mapping[str, str]) -> Iterator[list[str]]:
    """Machines as the record names them; since and due are its first and last day."""
    states = {state.check: state for state in report.checks}
    for line in report.exceptions:
        state = states.get(line.check)
        kind = speaker.of(STATUS["excepted"])[2:] if line.kind == "exception" else speaker.say("誤検知", "Disputed")
        yield [
            report.month,
            line.host,
            "",
            line.department,
            "",
            zones.get(line.zone, line.zone),
            f"{kind} {line.number}",
            speaker.of(state.title) if state else line.check,
            line.check,
            speaker.of(SEVERITY[state.severity]) if state else "",
            line.item or "",
            why(line, speaker),
            speaker.iso_day(line.valid_from),
            speaker.iso_day(last_moment(line)),
            "",
        ]
