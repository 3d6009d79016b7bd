"""`secmon rules check`: everything that can be wrong with a rules folder, told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TextIO

from secmon.alerts.rules import load_alert_rules
from secmon.evaluate.examples import Example
from secmon.evaluate.frameworks import load_frameworks
from secmon.evaluate.judge import judge
from secmon.evaluate.mistakes import Mistake, RulesError
from secmon.evaluate.model import Verdict
from secmon.evaluate.proofs import unproven
from secmon.evaluate.questions import load_questions
from secmon.evaluate.reference import disagreements
from secmon.evaluate.ruleset import RuleSet, load_examples
from secmon.evaluate.threats import load_threats
from secmon.evaluate.timing import MAX_CONDITION_S, Timing, time_conditions


def check_rules(folder: Path, out: TextIO, site: Path | None = None) -> int:
    """Print every mistake as `file:line: reason` and one summary line; 0 when there is none, 1 otherwise.

    Examples are asked of the checks as they were written: they prove those, not the office's limits.
    """
    try:
        rules, examples = load_examples(folder, site)
    except RulesError as error:
        return _told(error.mistakes, out)
    mistakes = _wrong_frameworks(folder, site, rules)
    mistakes += _wrong_alerts(folder)
    mistakes += wrong_examples(rules, examples)
    mistakes += unproven(rules, examples)
    timings = list(time_conditions(folder, site))
    mistakes += _too_slow(rules, timings)
    if mistakes:
        return _told([*mistakes, *rules.misfits], out)
    if rules.misfits:
        return _set_aside(rules, out)
    slowest = max(timings, key=lambda timing: timing[2] or 0.0)
    out.write(
        f"{len(rules.checks)} checks, {sum(map(len, examples.values()))} examples: no mistakes; rules {rules.version}; "
        f"slowest on the largest facts: {slowest[0]} {slowest[1]}, {slowest[2] or 0.0:.2f} s\n"
    )
    return 0


def _told(mistakes: list[Mistake], out: TextIO) -> int:
    for mistake in sorted(mistakes):
        out.write(f"{mistake}\n")
    out.write(f"{len(mistakes)} mistake(s); these rules must not be used\n")
    return 1


def _set_aside(rules: RuleSet, out: TextIO) -> int:
    for misfit in rules.misfits:
        out.write(f"{misfit}\n")
    out.write(f"{len(rules.misfits)} mistake(s) in the office's own rules; everything else of them holds\n")
    return 1


def _wrong_frameworks(folder: Path, site: Path | None, rules: RuleSet) -> list[Mistake]:
    """Of threats, too: both name checks and questions."""
    mistakes: list[Mistake] = []
    loads: tuple[Callable[[], object], ...] = (
        partial(load_questions, folder, site),
        partial(load_frameworks, folder, rules),
        partial(load_threats, folder, rules),
    )
    for load in loads:
        try:
            load()
        except RulesError as error:
            mistakes += [each for each in error.mistakes if each not in mistakes]
    return mistakes


def _wrong_alerts(folder: Path) -> list[Mistake]:
    """A folder without any is one that somebody tries."""
    try:
        if (folder / "alerts").is_dir():
            load_alert_rules(folder)
    except RulesError as error:
        return error.mistakes
    return []


def wrong_examples(rules: RuleSet, examples: Mapping[str, tuple[Example, ...]]) -> Iterator[Mistake]:
    """Examples that do not come out as they say, or that the CEL library answers otherwise."""
    for id_, check in (rules.written or rules.checks).items():
        for example in examples[id_]:
            try:
                verdict = judge(check, example.machine, example.now, rules.lifecycle)
                reasons = [*_differences(example, verdict)]
                reasons += disagreements(check, example.machine, example.now, rules.lifecycle)
            except Exception as error:  # noqa: BLE001 — whatever an example is about, it is told and the others with it
                reasons = [f"judging failed: {type(error).__name__}: {error}"]
            for reason in reasons:
                yield Mistake(file=check.file, line=example.line, reason=f"example: {reason}")


def _differences(example: Example, verdict: Verdict) -> Iterator[str]:
    if verdict.status != example.expect:
        because = f" ({verdict.reason})" if verdict.reason else ""
        yield f"{example.expect} is expected, {verdict.status} came out{because}"
    elif example.reason not in verdict.reason:
        yield f"a reason with {example.reason!r} is expected, {verdict.reason!r} came out"
    keys = tuple(item.key for item in verdict.items)
    if example.items is not None and example.items != keys:
        yield f"the items {', '.join(example.items)} are expected, {', '.join(keys) or 'none'} came out"


def _too_slow(rules: RuleSet, timings: list[Timing]) -> Iterator[Mistake]:
    for id_, name, seconds in timings:
        if seconds is None or seconds > MAX_CONDITION_S:
            file = rules.checks[id_].file if id_ in rules.checks else "rules"
            took = "longer than" if seconds is None else f"{seconds:.1f} s, more than"
            yield Mistake(file=file, line=1, reason=f"{name}: takes {took} {MAX_CONDITION_S} s on the largest facts")
