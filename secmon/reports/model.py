"""What a monthly report says, in no particular language: the model that is archived and that every rendering shows.

A machine's answer in an area is its worst answer there. Counts of machines hold five answers; `unknown` and `excepted`
belong to the denominator, `not_applicable` does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from secmon.attestations.model import Answer, State
from secmon.evaluate.model import Severity, Standing, Text

FORMAT = "secmon.monthly.v1"

AreaAnswer = Standing
"""適合: every machine passed; 要対応: one fails; 確認不能: none fails, one is unknown; 例外: all others passed or are
excepted; 対象なし: it concerns none."""


class Office(Struct, frozen=True, kw_only=True):
    name: str
    contact: str
    time_zone: str


class Counts(Struct, frozen=True, kw_only=True):
    """Machines (of an area or check), or answers (of the trend)."""

    passed: int = 0
    failed: int = 0
    unknown: int = 0
    excepted: int = 0
    not_applicable: int = 0

    @property
    def measured(self) -> int:
        """The denominator of every share."""
        return self.passed + self.failed + self.unknown + self.excepted

    @property
    def answer(self) -> AreaAnswer:
        if self.failed:
            return "fail"
        if self.unknown:
            return "unknown"
        if self.excepted:
            return "excepted"
        return "pass" if self.passed else "not_applicable"


class Coverage(Struct, frozen=True, kw_only=True):
    """Whom the report is about. machines = reporting + silent + never_reported."""

    ledger: int
    """Rows of the office's ledger."""
    ledger_unmonitored: int
    """Of those, without a machine here."""
    machines: int
    reporting: int
    silent: int
    never_reported: int
    unlisted: int
    """Machines that stand in no row of the ledger."""
    stored: int = 0
    """Machines in storage, which are in none of the other numbers of machines."""


class ZoneState(Struct, frozen=True, kw_only=True):
    zone: str
    """Empty: machines without a zone."""
    name: str
    machines: int
    reporting: int
    silent: int
    never_reported: int
    newest_data_at: datetime | None
    """Newest moment at which a machine of the zone is known to have been seen."""
    stale_days: int
    silent_days: int
    areas: Mapping[str, Counts]


class AreaState(Struct, frozen=True, kw_only=True):
    area: str
    title: Text
    answer: AreaAnswer
    machines: Counts
    previous: Counts | None
    """At the end of the month before, as known now; None when there was no machine yet."""


class Clause(Struct, frozen=True, kw_only=True):
    """A control of a framework that a check gives evidence for."""

    framework: str
    edition: str
    control: str
    title: Text
    local_article: str
    """The number in the office's own rules; empty where nobody has entered it."""
    verified: bool
    """False: the number has not been compared with the text of the framework yet."""

    @property
    def shown(self) -> str:
        """As paper names it: the office's own number, else the framework's, marked where nobody compared it."""
        return self.local_article or f"{self.control}{'' if self.verified else '＊'}"


class LimitState(Struct, frozen=True, kw_only=True):
    name: str
    default: int | float
    zones: Mapping[str, int | float]


class CheckState(Struct, frozen=True, kw_only=True):
    check: str
    area: str
    title: Text
    severity: Severity
    why: Text
    first_step: Text
    clauses: tuple[Clause, ...]
    limits: tuple[LimitState, ...]
    machines: Counts
    previous: Counts | None


class Problem(Struct, frozen=True, kw_only=True):
    """A failing item of a machine."""

    check: str
    severity: Severity
    item: str
    evidence: str
    since: datetime
    due_at: datetime | None


class MachineLine(Struct, frozen=True, kw_only=True):
    host_id: UUID
    name: str
    asset_number: str
    department: str
    location: str
    zone: str


class ExceptionLine(Struct, frozen=True, kw_only=True):
    """An exception (例外措置) or dispute (誤検知) that held at the moment described."""

    number: str
    kind: Literal["exception", "dispute"]
    check: str
    item: str | None
    """None: every item of the check."""
    host: str
    """Name of the one machine; this and the next three, where given, must all be so."""
    zone: str
    department: str
    role: str
    reason: str
    measure: str
    """What is done instead."""
    approver: str
    """A post; empty for a dispute."""
    valid_from: datetime
    valid_to: datetime
    """The first moment after its last day."""
    machines: int
    """Machines on which it covers something."""
    problems: int
    """Failing items that it covers."""


class AttestationLine(Struct, frozen=True, kw_only=True):
    """A question that no machine can answer, with its last answer up to the moment described."""

    question: str
    title: Text
    asked: str
    """Its words when it was answered; this and all that follows but the clauses is empty where nobody ever answered."""
    state: State
    answer: Answer | None = None
    attested_on: date | None = None
    """Local days, both."""
    due_on: date | None = None
    """The last day on which it holds."""
    post: str = ""
    name: str = ""
    """Of the person, as the office writes it."""
    evidence: str = ""
    number: str = ""
    clauses: tuple[Clause, ...] = ()
    """Controls that rest on it."""


class FailingMachine(Struct, frozen=True, kw_only=True):
    machine: MachineLine
    problems: tuple[Problem, ...]
    """Worst first."""


class UnknownMachine(Struct, frozen=True, kw_only=True):
    """A machine of which something could not be determined."""

    machine: MachineLine
    checks: int
    reasons: tuple[str, ...]
    """The most frequent first, at most three; stable English, as the evaluation wrote it."""


class AbsentMachine(Struct, frozen=True, kw_only=True):
    machine: MachineLine
    last_seen_at: datetime | None
    """None: it never reported."""


class AssetLine(Struct, frozen=True, kw_only=True):
    """A row of the ledger whose machine never reported."""

    asset_number: str
    name: str
    zone: str
    department: str
    location: str
    since: datetime
    """From when on it was to report."""
    exception: str
    """Number of the exception or dispute that covers it; empty where it needs action."""


class Decision(Struct, frozen=True, kw_only=True):
    """Something that a superior is asked to decide."""

    kind: Literal["fix", "find"]
    """`fix`: have a failing check put right; `find`: have machines that do not report looked for."""
    check: str
    """Empty for `find`."""
    severity: Severity
    machines: int
    overdue: int
    """Machines with a due date that has passed."""
    due_at: datetime
    """`fix`: the earliest due date that leaves a week; else, and for `find`, the end of the next month."""
    departments: tuple[str, ...]
    """Most machines first."""


class Movement(Struct, frozen=True, kw_only=True):
    """Problems that appeared or were put right during the month on the machines themselves."""

    opened: int
    resolved: int
    by_rules: int
    """Changes (either way) that come from other rules or attributes, and first states of new machines."""


class TrendPoint(Struct, frozen=True, kw_only=True):
    month: str
    answers: Counts
    """Answers, machine × check, at the month's end."""


class Correction(Struct, frozen=True, kw_only=True):
    """訂正: an answer at the end of the month before that became known only after that month was closed."""

    machine: MachineLine
    check: str
    reported: Standing
    corrected: Standing


class Corrections(Struct, frozen=True, kw_only=True):
    month: str
    closed_at: datetime
    total: int
    lines: tuple[Correction, ...]
    """At most CORRECTION_LINES of them."""


class EndOfSupport(Struct, frozen=True, kw_only=True):
    product: str
    label: str
    until: datetime
    """First instant without support."""
    machines: int
    passed: bool
    """Support had ended at the closing moment."""


class SupportOutlook(Struct, frozen=True, kw_only=True):
    lines: tuple[EndOfSupport, ...]
    """Ended, or ending within eighteen months; earliest first."""
    undetermined: int
    """Machines whose date could not be told: no facts, or a system that the lifecycle data does not know."""


class MonthlyReport(Struct, frozen=True, kw_only=True):
    format: str
    collector_id: UUID
    office: Office
    month: str
    begins_at: datetime
    as_of: datetime
    """The moment described: the month's end, or the closing time of a month in progress."""
    closed_at: datetime
    """What was recorded later is not in here."""
    interim: bool
    """速報: the month was not over."""
    coverage: Coverage
    zones: tuple[ZoneState, ...]
    areas: tuple[AreaState, ...]
    decisions: tuple[Decision, ...]
    movement: Movement
    trend: tuple[TrendPoint, ...]
    support: SupportOutlook
    failing: tuple[FailingMachine, ...]
    """Worst first."""
    unknown: tuple[UnknownMachine, ...]
    absent: tuple[AbsentMachine, ...]
    never_reported: tuple[AssetLine, ...] = ()
    """Rows of the ledger without a machine that ever reported, after the time they have for it."""
    checks: tuple[CheckState, ...]
    corrections: Corrections | None
    """None: no report of the month before was archived."""
    exceptions: tuple[ExceptionLine, ...] = ()
    """Exceptions and then disputes, the earliest end first."""
    attestations: tuple[AttestationLine, ...] = ()
    """In the order of the rules; none in reports that were made before there were any."""
    rulesets: tuple[str, ...]
    """Versions of the rules that the answers rest on."""
