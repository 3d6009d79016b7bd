"""What people attested by hand, as a month tells it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, tzinfo

from sqlalchemy.engine import Connection

from secmon.attestations.model import STATES, Attestation, current, state
from secmon.attestations.words import ANSWERS
from secmon.attestations.words import STATES as STATE_WORDS
from secmon.evaluate.questions import Question
from secmon.notify.text import one_line
from secmon.reports.clauses import clauses_by_question
from secmon.reports.drawing import Rows
from secmon.reports.model import AttestationLine, Clause, MonthlyReport
from secmon.reports.snapshot import Moment
from secmon.reports.speaker import Speaker
from secmon.rulebook import Rules
from secmon.store.attestations import read_all

_NOT_COUNTING = ("missing", "overdue")


def attestation_lines(connection: Connection, rules: Rules, moment: Moment, tz: tzinfo) -> tuple[AttestationLine, ...]:
    """Every question of the rules with its last answer of that moment, as it was known at the closing."""
    day = moment.at.astimezone(tz).date()
    latest = current(read_all(connection), day, moment.known_at)
    clauses = clauses_by_question(rules.frameworks)
    return tuple(_line(question, latest, clauses.get(question.id, ()), day) for question in rules.questions.values())


def _line(
    question: Question, latest: Mapping[str, Attestation], clauses: tuple[Clause, ...], day: date
) -> AttestationLine:
    record = latest.get(question.id)
    if record is None:
        return AttestationLine(question=question.id, title=question.title, asked="", state="missing", clauses=clauses)
    return AttestationLine(
        question=question.id,
        title=question.title,
        asked=record.asked,
        state=state(record, day),
        answer=record.answer,
        attested_on=record.attested_on,
        due_on=record.due_on,
        post=record.post,
        name=record.name,
        evidence=record.evidence,
        number=record.number,
        clauses=clauses,
    )


# ── on paper ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def attested_rows(report: MonthlyReport, guideline: str, speaker: Speaker) -> Rows:
    """Question, answer, day, who and on what evidence, until when, clauses; the first that is due first."""
    lines = [line for line in report.attestations if line.state not in _NOT_COUNTING]
    return [_attested(line, guideline, speaker) for line in sorted(lines, key=lambda line: line.due_on or date.max)]


def _attested(line: AttestationLine, guideline: str, speaker: Speaker) -> list[str]:
    soon = f" {speaker.of(STATE_WORDS['due_soon'])}" if line.state == "due_soon" else ""
    who = one_line(f"{line.post} {line.name}")
    evidence = speaker.say(f"（{one_line(line.evidence, 200)}）", f" ({one_line(line.evidence, 200)})")
    return [
        speaker.of(line.title),
        speaker.of(ANSWERS[line.answer]) if line.answer else "－",
        speaker.short_date(line.attested_on),
        who + (evidence if line.evidence else ""),
        speaker.short_date(line.due_on) + soon,
        _clauses(line, guideline, speaker),
    ]


def open_rows(report: MonthlyReport, guideline: str, speaker: Speaker) -> Rows:
    """Question, why it counts as unanswered, the last answer, clauses; what nobody ever answered last."""
    lines = [line for line in report.attestations if line.state in _NOT_COUNTING]
    return [
        [
            speaker.of(line.title),
            speaker.of(STATE_WORDS[line.state]),
            speaker.say(f"{speaker.short_date(line.due_on)} まで", f"until {speaker.short_date(line.due_on)}")
            if line.due_on
            else "－",
            _clauses(line, guideline, speaker),
        ]
        for line in sorted(lines, key=lambda line: STATES.index(line.state))
    ]


def _clauses(line: AttestationLine, guideline: str, speaker: Speaker) -> str:
    mine = [clause for clause in line.clauses if clause.framework == guideline]
    return speaker.say("、", ", ").join(clause.shown for clause in mine) or "－"
