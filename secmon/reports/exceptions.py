"""The register of exceptions and disputes as a month tells it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.ledger.gaps import GAPS
from secmon.notify.text import one_line
from secmon.reports.drawing import Rows
from secmon.reports.model import AssetLine, ExceptionLine, MonthlyReport
from secmon.reports.snapshot import Moment, Snapshot
from secmon.reports.speaker import Speaker
from secmon.store.exceptions import register
from secmon.store.schema import hosts

SOON = timedelta(days=60)
"""An exception that ends within this time is worth a word on page one: approving anew takes a meeting."""


def register_lines(
    connection: Connection, snap: Snapshot, never_reported: Sequence[AssetLine], moment: Moment
) -> tuple[ExceptionLine, ...]:
    """All that held at the moment, with what they covered then."""
    problems = Counter(line.exception for line in never_reported if line.exception)
    machines = Counter(problems)
    for answers in snap.answers.values():
        mine = Counter(record.number for answer in answers.values() for record in answer.covers.values())
        problems += mine
        machines += Counter(dict.fromkeys(mine, 1))
    records = register(connection, moment.at, moment.known_at).records
    wanted = {record.scope.host_id for record in records if record.scope.host_id is not None}
    rows = connection.execute(sa.select(hosts.c.host_id, hosts.c.name).where(hosts.c.host_id.in_(wanted)))
    names = {row.host_id: row.name for row in rows}
    lines = [
        ExceptionLine(
            number=record.number,
            kind=record.kind,
            check=record.scope.check,
            item=record.scope.item,
            host=names[record.scope.host_id] if record.scope.host_id else "",
            zone=record.scope.zone or "",
            department=record.scope.department or "",
            role=record.scope.role or "",
            reason=record.reason,
            measure=record.measure,
            approver=record.approver,
            valid_from=record.valid_from,
            valid_to=record.valid_to,
            machines=machines[record.number],
            problems=problems[record.number],
        )
        for record in records
    ]
    return tuple(sorted(lines, key=lambda line: (line.kind == "dispute", line.valid_to, line.number)))


def last_moment(line: ExceptionLine) -> datetime:
    """Within its last day."""
    return line.valid_to - timedelta(microseconds=1)


def why(line: ExceptionLine, speaker: Speaker) -> str:
    """The reason, and what is done instead."""
    measure = speaker.say("。代替策：", ". Instead: ") + line.measure if line.measure else ""
    return one_line(line.reason.rstrip("。.") + measure, 500)


def in_force(report: MonthlyReport, speaker: Speaker) -> str:
    """One line for page one and the mail; empty where there is nothing to say."""
    of_kind = {kind: [line for line in report.exceptions if line.kind == kind] for kind in ("exception", "dispute")}
    said = []
    if of_kind["exception"]:
        number = len(of_kind["exception"])
        soon = sum(line.valid_to <= report.as_of + SOON for line in of_kind["exception"])
        ending = speaker.say(f"（うち60日以内に期限 {soon}件）", f" ({soon} ending within 60 days)") if soon else ""
        said.append(speaker.say(f"有効な例外措置 {number}件{ending}", f"Exceptions in force: {number}{ending}"))
    if of_kind["dispute"]:
        number = len(of_kind["dispute"])
        said.append(speaker.say(f"誤検知として見直し中 {number}件", f"disputed answers: {number}"))
    if not said:
        return ""
    return speaker.say("、", "; ").join(said) + speaker.say("。内訳は別紙５のとおりです。", ". See annex 5.")


def exception_rows(
    report: MonthlyReport, titles: Mapping[str, str], zones: Mapping[str, str], speaker: Speaker
) -> Rows:
    """Number, check, machines, reason and measure, approver, last day."""
    return [
        [*_what(line, titles, zones, speaker), one_line(line.approver), speaker.short_day(last_moment(line))]
        for line in report.exceptions
        if line.kind == "exception"
    ]


def dispute_rows(report: MonthlyReport, titles: Mapping[str, str], zones: Mapping[str, str], speaker: Speaker) -> Rows:
    return [
        [*_what(line, titles, zones, speaker), speaker.short_day(last_moment(line))]
        for line in report.exceptions
        if line.kind == "dispute"
    ]


def _what(line: ExceptionLine, titles: Mapping[str, str], zones: Mapping[str, str], speaker: Speaker) -> list[str]:
    gap = GAPS.get(line.check)
    title = speaker.of(gap.title) if gap else titles.get(line.check, line.check)
    item = f" [{one_line(line.item, 80)}]" if line.item else ""
    role = speaker.say(f"用途 {line.role}", f"role {line.role}") if line.role else ""
    named = (line.host, zones.get(line.zone, line.zone), line.department, role)
    parts = [one_line(part) for part in named if part]
    everywhere = speaker.say("すべての端末", "all machines")
    if gap and line.item:
        everywhere = speaker.say(f"台帳番号 {line.item}", f"asset number {line.item}")
    place = speaker.say("・", ", ").join(parts) or one_line(everywhere)
    affected = speaker.say(f"（該当 {line.machines}台）", f" ({speaker.machines(line.machines)} now)")
    return [line.number, title + item, place + affected, why(line, speaker)]
