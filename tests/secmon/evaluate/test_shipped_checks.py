"""The checks that ship: every example, the reference, and what taking a fact away may do."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from secmon.evaluate.areas import AREAS
from secmon.evaluate.check import Check
from secmon.evaluate.command import wrong_examples
from secmon.evaluate.examples import Example
from secmon.evaluate.judge import judge
from secmon.evaluate.model import Machine, SectionState
from secmon.evaluate.ruleset import RuleSet, load_examples
from tests.secmon.evaluate.conftest import WORSE_WITHOUT

RULES = Path(__file__).resolve().parents[3] / "rules"
LOADED, EXAMPLES = load_examples(RULES)
ALL = [pytest.param(check, EXAMPLES[check.id], id=check.id) for check in LOADED.checks.values()]


def test_it_ships_enough_checks_over_all_areas() -> None:
    assert len(LOADED.checks) >= 120
    assert {check.area for check in LOADED.checks.values()} == set(AREAS)


def test_every_example_comes_out_as_it_says_and_as_the_cel_library_says() -> None:
    assert [str(mistake) for mistake in wrong_examples(LOADED, EXAMPLES)] == []


@pytest.mark.parametrize(("check", "examples"), ALL)
def test_every_check_can_pass_and_can_fail(check: Check, examples: tuple[Example, ...]) -> None:
    came_out = {judge(check, example.machine, example.now, LOADED.lifecycle).status for example in examples}

    assert {"pass", "fail"} <= came_out


@pytest.mark.parametrize(("check", "examples"), ALL)
def test_taking_a_fact_away_leaves_the_answer_or_makes_it_unknown(check: Check, examples: tuple[Example, ...]) -> None:
    for example in examples:
        before = judge(check, example.machine, example.now, LOADED.lifecycle).status
        for what, machine in poorer(example.machine):
            after = judge(check, machine, example.now, LOADED.lifecycle).status
            worse = what in WORSE_WITHOUT and (before, after) == ("pass", "fail")
            assert worse or after in (before, "unknown"), f"{check.file}:{example.line} without {what}"


@pytest.mark.parametrize(("check", "examples"), ALL)
def test_every_field_that_decides_is_missed_when_it_is_gone(check: Check, examples: tuple[Example, ...]) -> None:
    """Each path that a check reads turns an answer of one of its examples into unknown, or into the worse one where
    that stands for it: none is read for nothing."""
    missed = set()
    for example in examples:
        before = judge(check, example.machine, example.now, LOADED.lifecycle).status
        for what, machine in poorer(example.machine):
            after = judge(check, machine, example.now, LOADED.lifecycle)
            if after.status == "unknown" or before == "unknown" or (what in WORSE_WITHOUT and after.status != before):
                missed.add(what)

    assert check.paths <= missed


@pytest.mark.parametrize(("check", "examples"), ALL)
def test_what_cannot_be_read_is_unknown(check: Check, examples: tuple[Example, ...]) -> None:
    for example in examples:
        settled = judge(check, example.machine, example.now, LOADED.lifecycle)
        for status in ("denied", "failed", "unsupported", "undecodable"):
            for name in check.judged_sections:
                state = SectionState(status=status, reason="for a reason")
                machine = changed(example.machine, {**example.machine.sections, name: state})
                verdict = judge(check, machine, example.now, LOADED.lifecycle)
                # What `applies` alone has decided stays decided.
                assert verdict.status == "unknown" or verdict == settled


@pytest.mark.parametrize(("check", "examples"), ALL)
def test_texts_are_there_for_people(check: Check, examples: tuple[Example, ...]) -> None:
    japanese = [check.title.ja, check.why.ja, *check.fix["ja"]]
    assert all(
        any("\u3040" <= sign <= "\u9fff" for sign in text) for text in japanese if not text.startswith("Windows")
    )
    assert all(text.endswith(("。", "」", "`")) for text in (check.why.ja, *check.fix["ja"]))
    assert len(check.fix["ja"]) == len(check.fix["en"])


def test_titles_are_told_apart(rules: RuleSet) -> None:
    for language in ("ja", "en"):
        titles = [getattr(check.title, language) for check in rules.checks.values()]
        assert len(titles) == len(set(titles))


def poorer(machine: Machine) -> Iterator[tuple[str, Machine]]:
    """The machine without one section, and without one field of it or of an element of it, in turn."""
    for name, state in machine.sections.items():
        without = {other: value for other, value in machine.sections.items() if other != name}
        yield name, changed(machine, without)
        for path, keys in places(state.facts or {}, ()):
            facts = copy.deepcopy(dict(state.facts or {}))
            owner: object = facts
            for key in keys[:-1]:
                owner = owner[key]  # type: ignore[index]
            del owner[keys[-1]]  # type: ignore[attr-defined]
            yield f"{name}.{path}", changed(machine, {**without, name: SectionState(status="ok", facts=facts)})


def places(value: object, keys: tuple[str | int, ...]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield path_of((*keys, key)), (*keys, key)
            yield from places(inner, (*keys, key))
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from places(inner, (*keys, index))


def path_of(keys: tuple[str | int, ...]) -> str:
    return "".join("[]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")


def changed(machine: Machine, sections: Mapping[str, SectionState]) -> Machine:
    return Machine(
        sections=sections,
        observed_at=machine.observed_at,
        zone=machine.zone,
        attributes=machine.attributes,
        stale_after_s=machine.stale_after_s,
        networks=machine.networks,
    )
