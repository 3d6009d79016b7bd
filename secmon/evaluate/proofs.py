"""What the examples of a check prove beyond their own answers: that it is unknown where what it reads is left out.

Each example is asked again without each section, and without each field of it, in turn. Left out, a fact may turn an
answer into "unknown" and into nothing else, a pass into a failure where it only excuses; and every fact that decides
must be missed in at least one example, otherwise nothing shows that its absence is noticed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace

from secmon.evaluate.check import Check
from secmon.evaluate.examples import Example
from secmon.evaluate.judge import judge
from secmon.evaluate.lifecycle import Lifecycle
from secmon.evaluate.mistakes import Mistake
from secmon.evaluate.model import Machine, SectionState
from secmon.evaluate.ruleset import RuleSet

WORSE_WITHOUT: Final = frozenset({"ports.listening[].firewall"})
"""Facts that only excuse: not every agent tells them, and where one is left out, what it would excuse fails."""


def unproven(rules: RuleSet, examples: Mapping[str, tuple[Example, ...]]) -> Iterator[Mistake]:
    """Nothing of a check with an example that cannot be judged at all: that is told of the example."""
    for id_, check in (rules.written or rules.checks).items():
        with suppress(Exception):
            yield from _unproven(check, examples[id_], rules.lifecycle)


def _unproven(check: Check, examples: Sequence[Example], lifecycle: Lifecycle) -> Iterator[Mistake]:
    missed: set[str] = set()
    for example in examples:
        before = judge(check, example.machine, example.now, lifecycle).status
        for what, machine in poorer(example.machine):
            after = judge(check, machine, example.now, lifecycle).status
            excused = what in WORSE_WITHOUT and (before, after) == ("pass", "fail")
            if excused or "unknown" in (before, after):
                missed.add(what)
            elif after != before:
                reason = f"example: without {what} it is {after} instead of {before}; what is not known must not decide"
                yield Mistake(file=check.file, line=example.line, reason=reason)
    for path in sorted(check.paths - missed):
        reason = f"examples: none becomes unknown without {path}; add one that {path} decides"
        yield Mistake(file=check.file, line=1, reason=reason)


def missed(check: Check, machine: Machine, now: datetime, lifecycle: Lifecycle) -> frozenset[str]:
    """What the check reads and cannot answer without, for a machine that it has an answer for."""
    statuses = {what: judge(check, less, now, lifecycle).status for what, less in poorer(machine)}
    return frozenset(what for what, status in statuses.items() if status == "unknown") & check.paths


def poorer(machine: Machine) -> Iterator[tuple[str, Machine]]:
    """The machine without one section, and without one field of it or of an element of it, in turn; with its path."""
    for name, state in machine.sections.items():
        without = {other: value for other, value in machine.sections.items() if other != name}
        yield name, replace(machine, sections=without)
        for path, facts in _thinner(name, state.facts or {}):
            yield path, replace(machine, sections={**without, name: SectionState(status="ok", facts=facts)})


def _thinner(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The value without one of the fields in it, in turn, each with the path of what is left out."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            others = {other: kept for other, kept in value.items() if other != name}
            yield f"{path}.{name}", others
            for what, thinner in _thinner(f"{path}.{name}", inner):
                yield what, {**others, name: thinner}
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            for what, thinner in _thinner(f"{path}[]", inner):
                yield what, (*value[:index], thinner, *value[index + 1 :])
