"""An SCA check as a check file of ours, or the reasons why it cannot be one.

A check is taken whole or not at all: leaving a rule out would make it say something else. The one exception are rules
that ask whether a registry value is there at all, beside a rule of the same check that says what it must be: facts
tell what holds in effect, set or not.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import yaml
from msgspec import Struct

from secmon.evaluate.check import Check
from secmon.evaluate.checkfile import CheckFile, read_check
from secmon.evaluate.command import wrong_examples
from secmon.evaluate.examples import DEFAULT_NOW
from secmon.evaluate.judge import judge
from secmon.evaluate.lifecycle import Lifecycle
from secmon.evaluate.model import Machine, SectionState, Severity
from secmon.evaluate.proofs import missed
from secmon.evaluate.ruleset import RuleSet
from secmon.sca.policy import MAX_RULES, Policy, RuleError, SourceCheck, SourceRule, read_rule
from secmon.sca.targets import Facts, Target
from secmon.sca.translate import Translated, asks_for_presence, translate

MAX_TRIALS: Final = 4000
"""Combinations of values that are tried for an example that passes and one that fails."""
MAX_ALL_TRIALS: Final = 100_000
"""Of all checks of a policy together."""
_TEXT_CHARS: Final = 2000


class Converted(Struct, frozen=True, kw_only=True):
    name: str
    """`<area>/<name>.yaml`."""
    content: bytes


class Refused(Struct, frozen=True, kw_only=True):
    """Why a check cannot be taken over; a reason for each rule that stands in the way."""

    id: int | str
    title: str
    reasons: tuple[str, ...]


def convert(policy: Policy, severity: Severity) -> tuple[list[Converted], list[Refused]]:
    made: dict[str, Converted] = {}
    refused: list[Refused] = []
    trials = _Trials(MAX_ALL_TRIALS)
    for check in policy.checks:
        try:
            converted = _convert(policy, check, severity, trials)
        except _CannotError as error:
            refused.append(Refused(id=check.id, title=_line(check.title), reasons=error.reasons))
            continue
        if converted.name in made:
            reasons = (f"another check of this policy is {converted.name} already",)
            refused.append(Refused(id=check.id, title=_line(check.title), reasons=reasons))
        else:
            made[converted.name] = converted
    return list(made.values()), refused


class _Trials:
    """Counts what is tried for a whole policy."""

    def __init__(self, left: int) -> None:
        self.left = left

    def of(self, machines: Iterator[Facts]) -> Iterator[Facts]:
        """Those that may still be tried of one check."""
        for facts in itertools.islice(machines, MAX_TRIALS):
            self.left -= 1
            if self.left < 0:
                raise _CannotError(f"more than {MAX_ALL_TRIALS} machines were tried for this policy; split it")
            yield facts


class _CannotError(Exception):
    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def _convert(policy: Policy, check: SourceCheck, severity: Severity, trials: _Trials) -> Converted:
    if not 1 <= len(check.rules) <= MAX_RULES:
        raise _CannotError(f"{len(check.rules)} rules; 1 to {MAX_RULES} are taken")
    translated = _translated(policy, check)
    joined = " || " if check.condition == "any" else " && "
    sign = "!" if check.condition == "none" else ""
    conditions = list(dict.fromkeys(f"{sign}({each.condition})" for each in translated))
    targets = {target.key: target for each in translated for target in each.targets}
    document = _document(policy, check, severity, joined.join(conditions), targets)
    numbers = sorted({number for each in translated for number in each.numbers})
    return _with_examples(document, list(targets.values()), numbers, trials)


def _translated(policy: Policy, check: SourceCheck) -> list[Translated]:
    """Raises _CannotError with a reason for each rule that cannot be."""
    reasons: list[str] = []
    rules: list[SourceRule] = []
    for text in check.rules:
        try:
            rules.append(read_rule(text, policy.variables))
        except RuleError as error:
            reasons.append(f"{_line(text)}: {error}")
    found: list[Translated] = []
    for rule in _without_presence(rules, check.condition):
        try:
            found.append(translate(rule, policy.engines))
        except RuleError as error:
            reasons.append(f"{_line(rule.text)}: {error}")
    if reasons:
        raise _CannotError(*reasons)
    return found


def _without_presence(rules: Sequence[SourceRule], condition: str) -> Iterator[SourceRule]:
    """`K is there, K has V, V is 1` is `V is 1`; so is `K is not there, or V is not there, or V is 1`."""
    said = {"\\".join((rule.target.casefold(), rule.parts[0].casefold())) for rule in rules if len(rule.parts) == 2}
    for rule in rules:
        place = asks_for_presence(rule)
        implied = condition in ("all", "any") and rule.negated is (condition == "any")
        own = "\\".join((rule.target.casefold(), *(part.casefold() for part in rule.parts)))
        covered = any(each == own or each.startswith(f"{own}\\") for each in said)
        if place is None or not implied or not covered:
            yield rule


def _document(
    policy: Policy, check: SourceCheck, severity: Severity, condition: str, targets: Mapping[str, Target]
) -> dict[str, object]:
    area = next(iter(targets.values())).area
    slug = re.sub(r"[^a-z0-9]+", "-", f"{policy.policy.id} {check.id}".casefold()).strip("-")[:80] or "policy"
    why = _line(check.rationale or check.description or check.title)
    fix = _line(check.remediation or check.title)
    return {
        "id": f"{area}.sca-{slug}",
        "area": area,
        "title": _both(_line(check.title, 200)),
        "applies": " && ".join(dict.fromkeys(target.applies for target in targets.values())),
        "when_absent": "unknown",
        "pass": condition,
        "severity": severity,
        "why": _both(why),
        "fix": {"ja": [fix], "en": [fix]},
    }


def _both(text: str) -> dict[str, str]:
    """The policy's own words stand for both languages; secmon translates nothing."""
    return {"ja": text, "en": text}


def _line(text: str, limit: int = _TEXT_CHARS) -> str:
    shown = " ".join("".join(sign if sign.isprintable() or sign.isspace() else " " for sign in text).split())
    return shown[:limit] or "-"


# ── examples ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _with_examples(
    document: dict[str, object], targets: Sequence[Target], numbers: Sequence[int], trials: _Trials
) -> Converted:
    """A machine that passes and one that fails are sought among the values that the facts can have."""
    none_yet: list[Facts] = [{"facts": {}, "expect": expect} for expect in ("pass", "fail")]
    check = _read({**document, "examples": none_yet}).check
    found: dict[str, Facts] = {}
    for facts in trials.of(_machines(targets, numbers)):
        found.setdefault(judge(check, _machine(facts), DEFAULT_NOW).status, facts)
        if found.keys() >= {"pass", "fail"}:
            break
    missing = [expect for expect in ("pass", "fail") if expect not in found]
    if missing:
        raise _CannotError(f"no machine could {' or '.join(missing)}, by all that facts tell")
    examples = [(found[expect], expect) for expect in ("pass", "fail")]
    examples += _proofs(check, [facts for facts, _ in examples], trials.of(_machines(targets, numbers)))
    complete = {**document, "examples": [{"facts": facts, "expect": expect} for facts, expect in examples]}
    file = _read(complete)
    rules = RuleSet(version="sca", checks={check.id: file.check}, lifecycle=Lifecycle())
    mistakes = list(wrong_examples(rules, {check.id: file.examples}))
    if mistakes:
        raise _CannotError(mistakes[0].reason)
    return Converted(name=f"{check.id.replace('.', '/', 1)}.yaml", content=_written(complete))


def _proofs(check: Check, known: Sequence[Facts], machines: Iterator[Facts]) -> Iterator[tuple[Facts, str]]:
    """More machines, until every fact that decides is missed in one of them: `secmon rules check` asks for that."""
    lifecycle = Lifecycle()
    left = check.paths - frozenset().union(*(missed(check, _machine(facts), DEFAULT_NOW, lifecycle) for facts in known))
    while left:
        facts = next(machines, None)
        if facts is None:
            raise _CannotError(f"no machine shows what {', '.join(sorted(left))} decides")
        shown = left & missed(check, _machine(facts), DEFAULT_NOW, lifecycle)
        if shown:
            left -= shown
            yield facts, judge(check, _machine(facts), DEFAULT_NOW).status


def _read(document: Mapping[str, object]) -> CheckFile:
    """As the loader will; what it refuses is a reason to refuse the check."""
    area, _, name = str(document["id"]).partition(".")
    file, reader = read_check(_written(document), "check", area, name)
    if file is None:
        raise _CannotError(reader.mistakes[0].reason)
    return file


def _machine(facts: Facts) -> Machine:
    sections = {
        name: SectionState(status="ok", facts=section)
        for name, section in facts.items()
        if isinstance(section, Mapping)
    }
    return Machine(sections=sections, observed_at=DEFAULT_NOW)


def _machines(targets: Sequence[Target], numbers: Sequence[int]) -> Iterator[Facts]:
    applying: Facts = {}
    for target in targets:
        applying = _merged(applying, target.applies_facts)
    for values in itertools.product(*(_facts_of(target, numbers) for target in targets)):
        facts = applying
        for each in values:
            facts = _merged(facts, each)
        yield facts


def _facts_of(target: Target, numbers: Sequence[int]) -> list[Facts]:
    if not target.field:
        return [each.facts for each in target.candidates]
    around = sorted({n for number in numbers for n in (number - 1, number, number + 1) if n >= 0})
    shape = target.candidates[0].facts
    return [_with_number(shape, number) for number in around] + [each.facts for each in target.candidates]


def _with_number(shape: Facts, number: int) -> Facts:
    return {
        name: _with_number(inner, number) if isinstance(inner, Mapping) else number for name, inner in shape.items()
    }


def _merged(one: Facts, other: Facts) -> Facts:
    """Both; lists follow each other."""
    found = dict(one)
    for name, value in other.items():
        present = found.get(name)
        if isinstance(present, Mapping) and isinstance(value, Mapping):
            found[name] = _merged(present, value)
        elif isinstance(present, list) and isinstance(value, list):
            found[name] = [*present, *value]
        else:
            found[name] = value
    return found


class _Plain(yaml.SafeDumper):
    """Without anchors, which check files may not have."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _written(document: Mapping[str, object]) -> bytes:
    return yaml.dump(document, Dumper=_Plain, allow_unicode=True, sort_keys=False, width=120).encode()
