"""The nouns: an attestation, which one holds on a day, and until when one lasts. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Final, Literal, get_args

from msgspec import Struct

from secmon.evaluate.questions import YEARLY
from secmon.exceptions.model import fiscal_year

Answer = Literal["yes", "partly", "no"]
ANSWERS: Final[tuple[Answer, ...]] = get_args(Answer)
State = Literal["held", "due_soon", "overdue", "missing"]
"""Of a question on a day. An answer that is due stays what it was, and stops counting as one."""
STATES: Final[tuple[State, ...]] = get_args(State)
SOON_DAYS: Final = 30
_APRIL: Final = 4


class Attestation(Struct, frozen=True, kw_only=True):
    """A row of `attestations`: written once, withdrawn at most once. A later one replaces it without touching it."""

    attestation_id: uuid.UUID
    number: str
    """How people call it: `2026-A01`."""
    question: str
    """Id of the question."""
    asked: str
    """Its words when it was answered, in the office's language: rules change, what was said does not."""
    answer: Answer
    attested_on: date
    """Local days, both."""
    due_on: date
    """The last day on which it holds."""
    post: str
    name: str
    """Who attests, as the office writes it."""
    evidence: str = ""
    """Where the proof is: a file number, a list, minutes."""
    recorded_at: datetime
    recorded_by: str
    withdrawn_at: datetime | None = None
    withdrawn_by: str | None = None
    withdrawn_reason: str | None = None

    def stands(self, known_at: datetime) -> bool:
        """Recorded by then, and not withdrawn by then."""
        return self.recorded_at <= known_at and (self.withdrawn_at is None or self.withdrawn_at > known_at)


def current(records: Iterable[Attestation], day: date, known_at: datetime) -> dict[str, Attestation]:
    """By question the last one that stood on `day`, due or not, as it was known at `known_at`."""
    standing = (each for each in records if each.stands(known_at) and each.attested_on <= day)
    return {each.question: each for each in sorted(standing, key=_age)}


def _age(record: Attestation) -> tuple[date, datetime, str]:
    """Of two of one day the later entry counts: it corrects the first."""
    return record.attested_on, record.recorded_at, record.number


def state(record: Attestation | None, day: date) -> State:
    if record is None:
        return "missing"
    if day > record.due_on:
        return "overdue"
    return "due_soon" if record.due_on - day < timedelta(days=SOON_DAYS) else "held"


# ── until when ────────────────────────────────────────────────────────────────────────────────────────────────────────


def due(day: date, months: int = YEARLY) -> date:
    """The last day of the part of the fiscal year in which `day` lies: for a yearly question, 31 March.

    What is attested in the last quarter of that part (at least its last month) is this part's answer and lasts through
    the next: nobody shall be asked in January, and again in March.
    """
    passed = (day.month - _APRIL) % YEARLY
    ends_after = (passed // months + 1) * months
    if ends_after - passed <= max(1, months // 4):
        ends_after += months
    return _first_of_month(fiscal_year(day), ends_after) - timedelta(days=1)


def latest_due(day: date) -> date:
    """31 March of the next fiscal year."""
    return _first_of_month(fiscal_year(day) + 1, YEARLY) - timedelta(days=1)


def _first_of_month(year: int, months: int) -> date:
    """The first day of the month that begins so many months after 1 April of `year`."""
    years, month = divmod(_APRIL - 1 + months, YEARLY)
    return date(year + years, month + 1, 1)
