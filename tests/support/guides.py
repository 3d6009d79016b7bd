"""The guidelines that ship, as a console is given them."""

from __future__ import annotations

from secmon.evaluate.frameworks import Framework, load_frameworks
from secmon.evaluate.questions import Question, load_questions
from secmon.evaluate.ruleset import RuleSet
from secmon.evaluate.threats import ThreatList, load_threats
from secmon.resources import rules_dir


class ShippedGuides:
    def __init__(self, rules: RuleSet) -> None:
        self.frameworks: tuple[Framework, ...] = load_frameworks(rules_dir(), rules)
        self.questions: dict[str, Question] = load_questions(rules_dir())
        self.threats: tuple[ThreatList, ...] = load_threats(rules_dir(), rules)
