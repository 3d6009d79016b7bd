"""One SCA rule as a condition over facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from secmon.sca.pattern import Comparison, Term, read_pattern
from secmon.sca.places import registry_key, targets_of
from secmon.sca.policy import Engine, RuleError, SourceRule
from secmon.sca.targets import Candidate, Target

_COMPARISONS: Mapping[str, str] = {"==": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


class Translated(Struct, frozen=True, kw_only=True):
    condition: str
    targets: tuple[Target, ...]
    numbers: tuple[int, ...] = ()
    """Of the fact's unit, that it is compared with."""


def asks_for_presence(rule: SourceRule) -> str | None:
    """The registry place whose mere presence the rule asks for; None for other rules."""
    if rule.kind != "r" or len(rule.parts) > 1 or (not rule.parts and _is_service(rule)):
        return None
    return "\\".join((registry_key(rule), *(part.casefold() for part in rule.parts)))


def _is_service(rule: SourceRule) -> bool:
    return registry_key(rule).rpartition("\\")[0].endswith("\\services")


def translate(rule: SourceRule, engines: Sequence[Engine]) -> Translated:
    """Raises RuleError with the reason why facts cannot answer.

    Where it is not known for which engine a rule was written, the one in which it means something holds; a rule that
    means different things is refused.
    """
    found: list[Translated] = []
    reasons: list[RuleError] = []
    for engine in engines:
        try:
            found.append(_translate(rule, engine))
        except RuleError as error:
            reasons.append(error)
    if not found:
        raise reasons[0]
    if len({each.condition for each in found}) > 1:
        raise RuleError("it means one thing to osregex and another to pcre2; write regex_type into the policy")
    return found[0]


def _translate(rule: SourceRule, engine: Engine) -> Translated:
    targets = targets_of(rule)
    pattern = _pattern(rule)
    if pattern is None:
        target = targets[0]
        there = tuple(each.value for each in target.candidates if each.line)
        if rule.kind != "r" or rule.parts or len(there) == len(target.candidates):
            raise RuleError("facts do not tell whether it is there, only what holds")
        absent = tuple(each.value for each in target.candidates if not each.line)
        condition = target.express(absent)
        return Translated(condition=condition if rule.negated else f"!({condition})", targets=(target,))
    terms = read_pattern(pattern, engine=engine)
    for target in targets:
        found = _for_target(target, terms)
        if found is not None:
            condition = f"!({found.condition})" if rule.negated else found.condition
            return Translated(condition=condition, targets=found.targets, numbers=found.numbers)
    raise RuleError("no value that the facts can have is told apart by this pattern")


def _pattern(rule: SourceRule) -> str | None:
    """The last part; of a registry rule it stands behind the value's name."""
    expected = 2 if rule.kind == "r" else 1
    if len(rule.parts) > expected:
        raise RuleError("more arrows than a rule has")
    return rule.parts[-1] if len(rule.parts) == expected else None


def _for_target(target: Target, terms: Sequence[Term]) -> Translated | None:
    """None where the pattern says nothing about this target: it takes, or leaves, every value."""
    compared = [term for term in terms if term.comparison is not None]
    others = [term for term in terms if term.comparison is None]
    parts: list[str] = []
    numbers: list[int] = []
    for term in compared:
        if target.line is None or term.comparison is None or not _finds(term.comparison, target):
            return None
        numbers.append(term.comparison.number * target.scale)
        condition = f"{target.field} {_COMPARISONS[term.comparison.sign]} {_signed(numbers[-1])}"
        parts.append(f"!({condition})" if term.negated else condition)
    if others:
        accepted = [each for each in target.candidates if all(term.matches(each.line) for term in others)]
        told_apart = 0 < len(accepted) < len(target.candidates)
        if not told_apart and not (compared and accepted):
            return None
        if told_apart and not compared:
            parts.append(target.express(tuple(_values(accepted))))
        elif told_apart:
            raise RuleError("a comparison together with a pattern that only some numbers match")
    return Translated(condition=" && ".join(parts), targets=(target,), numbers=tuple(numbers))


def _values(candidates: Sequence[Candidate]) -> Iterator[bool | int | str]:
    """Each once, in order."""
    yield from dict.fromkeys(each.value for each in candidates)


def _finds(comparison: Comparison, target: Target) -> bool:
    """The regex finds the number in the line that shows it, for one digit and for several."""
    return target.line is not None and all(comparison.number_in(target.line(each)) == each for each in (7, 42, 1800))


def _signed(number: int) -> str:
    if number < 0:
        raise RuleError("facts have no negative numbers")
    return str(number)
