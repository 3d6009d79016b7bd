"""The checks that ship: every example, the reference, and what taking a fact away may do."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from secmon.evaluate.areas import AREAS
from secmon.evaluate.check import Check
from secmon.evaluate.command import wrong_examples
from secmon.evaluate.examples import Example
from secmon.evaluate.judge import judge
from secmon.evaluate.model import SectionState
from secmon.evaluate.proofs import unproven
from secmon.evaluate.ruleset import RuleSet, load_examples

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


def test_every_check_of_facts_shows_an_example_that_cannot_be_answered() -> None:
    """What the office itself says of a machine is always known."""
    shown = {id_ for id_, examples in EXAMPLES.items() if any(example.expect == "unknown" for example in examples)}

    assert {check.id for check in LOADED.checks.values() if check.reads} == shown


def test_leaving_a_fact_out_makes_an_answer_unknown_or_leaves_it_and_every_fact_that_decides_is_missed() -> None:
    assert [str(mistake) for mistake in unproven(LOADED, EXAMPLES)] == []


@pytest.mark.parametrize(("check", "examples"), ALL)
def test_what_cannot_be_read_is_unknown(check: Check, examples: tuple[Example, ...]) -> None:
    for example in examples:
        settled = judge(check, example.machine, example.now, LOADED.lifecycle)
        for status in ("denied", "failed", "unsupported", "undecodable"):
            for name in check.judged_sections:
                state = SectionState(status=status, reason="for a reason")
                machine = replace(example.machine, sections={**example.machine.sections, name: state})
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
