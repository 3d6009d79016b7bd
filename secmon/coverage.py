"""What covers each control of a framework: checks with their machines, answers that somebody gave by hand, or nothing.

Pure. Nothing here says that a control is met: checks look at a part of it, and an attestation is a person's word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, Literal, get_args

from msgspec import Struct

from secmon.attestations.model import Answer, Attestation, State, state
from secmon.evaluate.frameworks import Control, Framework
from secmon.evaluate.model import STANDINGS, Language, Standing
from secmon.evaluate.questions import Question
from secmon.evaluate.ruleset import RuleSet
from secmon.evaluate.threats import ThreatList

Means = Literal["checks", "hand", "none"]
"""How a control is looked after: by checks (and perhaps by hand, too), by hand alone, or not at all."""
MEANS: Final[tuple[Means, ...]] = get_args(Means)
Kept = Literal["yes", "not_yes", "overdue", "missing"]
"""Of what is attested by hand: the worst of its questions. `not_yes`: an answer that holds says partly or no."""
KEPT: Final[tuple[Kept, ...]] = get_args(Kept)


class CheckCoverage(Struct, frozen=True, kw_only=True):
    id: str
    title: str
    machines: Mapping[Standing, int] | None
    """Every standing by name; None: nothing is known of machines."""

    @property
    def answer(self) -> Standing | None:
        """The worst of any machine; None without machines."""
        told = self.machines or {}
        return next((standing for standing in STANDINGS if told.get(standing)), None)


class AttestedCoverage(Struct, frozen=True, kw_only=True):
    question: str
    title: str
    state: State
    answer: Answer | None = None
    """None, like all that follows, where nobody ever answered."""
    attested_on: date | None = None
    due_on: date | None = None
    post: str = ""
    name: str = ""
    number: str = ""

    @property
    def kept(self) -> Kept:
        if self.state in ("missing", "overdue"):
            return "missing" if self.state == "missing" else "overdue"
        return "yes" if self.answer == "yes" else "not_yes"


class ControlCoverage(Struct, frozen=True, kw_only=True):
    id: str
    title: str
    level: str
    local_article: str
    verified: bool
    means: Means
    checks: tuple[CheckCoverage, ...]
    attested: tuple[AttestedCoverage, ...]
    switched_off: Mapping[str, str] = {}
    """Title by id of the checks that the office asks of no machine; they cover nothing."""

    @property
    def answer(self) -> Standing | None:
        """The worst answer of any machine to any check; None without checks or machines."""
        told = [check.answer for check in self.checks if check.answer]
        return min(told, key=STANDINGS.index) if told else None

    @property
    def kept(self) -> Kept | None:
        """None where nothing is to be attested."""
        worst = [each.kept for each in self.attested]
        return max(worst, key=KEPT.index) if worst else None


class Totals(Struct, frozen=True, kw_only=True):
    """Of the controls that are listed."""

    controls: int
    checks: int
    """With checks; the next two are of these."""
    answers: Mapping[Standing, int]
    also_by_hand: int
    """Of those with checks: with questions that a person answers, too."""
    also_open: int
    """Of these: with one that is missing or overdue."""
    hand: int
    """By hand alone; the next is of these."""
    kept: Mapping[Kept, int]
    none: int


class Coverage(Struct, frozen=True, kw_only=True):
    id: str
    title: str
    edition: str
    listed: str
    totals: Totals
    levels: Mapping[str, Totals]
    """Of a framework with levels, each by itself."""
    controls: tuple[ControlCoverage, ...]


class Known(Struct, frozen=True, kw_only=True):
    """What is known at the moment in question."""

    checks: RuleSet
    questions: Mapping[str, Question]
    machines: Mapping[str, Mapping[Standing, int]]
    """By check; empty where there are no data."""
    attested: Mapping[str, Attestation]
    """By question, the last one."""
    today: date


def coverage(framework: Framework, known: Known, language: Language) -> Coverage:
    controls = tuple(_control(control, known, language) for control in framework.controls)
    levels = sorted({control.level for control in controls if control.level})
    return Coverage(
        id=framework.id,
        title=framework.title.of(language),
        edition=framework.edition,
        listed=framework.listed.of(language),
        totals=totals(controls),
        levels={level: totals([each for each in controls if each.level == level]) for level in levels},
        controls=controls,
    )


def threats(of: ThreatList, known: Known, language: Language) -> tuple[ControlCoverage, ...]:
    """What bears on each threat, told as of a control; nothing of it says that a threat is averted."""
    return tuple(
        _control(
            Control(
                id=threat.id,
                title=threat.title,
                checks=threat.checks,
                attested=threat.attested,
                verified=of.verified,
            ),
            known,
            language,
        )
        for threat in of.threats
    )


def _control(control: Control, known: Known, language: Language) -> ControlCoverage:
    titles = {check: known.checks.checks[check].title.of(language) for check in control.checks}
    off = {check: title for check, title in titles.items() if known.checks.is_asked_nowhere(check)}
    return ControlCoverage(
        id=control.id,
        title=control.title.of(language),
        level=control.level,
        local_article=control.local_article,
        verified=control.verified,
        means="checks" if titles.keys() - off.keys() else "hand" if control.attested else "none",
        checks=tuple(
            CheckCoverage(id=check, title=title, machines=known.machines.get(check))
            for check, title in titles.items()
            if check not in off
        ),
        switched_off=off,
        attested=tuple(attested(known.questions[question], known, language) for question in control.attested),
    )


def attested(question: Question, known: Known, language: Language) -> AttestedCoverage:
    record = known.attested.get(question.id)
    title, standing = question.title.of(language), state(record, known.today)
    if record is None:
        return AttestedCoverage(question=question.id, title=title, state=standing)
    return AttestedCoverage(
        question=question.id,
        title=title,
        state=standing,
        answer=record.answer,
        attested_on=record.attested_on,
        due_on=record.due_on,
        post=record.post,
        name=record.name,
        number=record.number,
    )


def totals(controls: Sequence[ControlCoverage]) -> Totals:
    checked = [each for each in controls if each.means == "checks"]
    by_hand = [each for each in controls if each.means == "hand"]
    answers = Counter(each.answer for each in checked if each.answer)
    kept = Counter(each.kept for each in by_hand if each.kept)
    also = [each for each in checked if each.attested]
    return Totals(
        controls=len(controls),
        checks=len(checked),
        answers={standing: answers[standing] for standing in STANDINGS if answers[standing]},
        also_by_hand=len(also),
        also_open=sum(each.kept in ("missing", "overdue") for each in also),
        hand=len(by_hand),
        kept={each: kept[each] for each in KEPT if kept[each]},
        none=len(controls) - len(checked) - len(by_hand),
    )
