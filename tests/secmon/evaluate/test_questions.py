"""Questions that no machine can answer, as the rules put them."""

from __future__ import annotations

from pathlib import Path

import pytest

from secmon.evaluate.frameworks import load_frameworks
from secmon.evaluate.mistakes import RulesError
from secmon.evaluate.questions import load_questions
from secmon.evaluate.ruleset import RuleSet


def test_every_question_that_ships_is_a_question_and_some_control_rests_on_it(
    rules: RuleSet, rules_folder: Path
) -> None:
    questions = load_questions(rules_folder)
    asked = {
        question
        for it in load_frameworks(rules_folder, rules)
        for control in it.controls
        for question in control.attested
    }

    assert asked == set(questions)
    assert len(questions) > 30
    assert all(each.question.ja.endswith("か。") and each.question.en.endswith("?") for each in questions.values())


def test_it_names_every_mistake_with_its_line(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    (folder / "attestations").mkdir(parents=True)
    (folder / "attestations" / "a.yaml").write_text(
        "questions:\n"
        "  - {id: a, title: {ja: あ, en: a}, question: {ja: あ, en: a}}\n"
        "  - {id: a, title: {ja: あ, en: a}, question: {ja: あ, en: a}, months: 5}\n"
        "  - {id: b, title: {ja: あ}, question: {ja: あ, en: a}, weeks: 2}\n"
    )
    (folder / "attestations" / "b.yaml").write_text("&a [*a]\n")

    with pytest.raises(RulesError) as caught:
        load_questions(folder)

    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "rules/attestations/a.yaml:3: months: one of 3, 6, 12",
        "rules/attestations/a.yaml:3: the question 'a' is there already",
        "rules/attestations/a.yaml:4: question: unknown key 'weeks'",
        "rules/attestations/a.yaml:4: title: 'en' is missing",
        "rules/attestations/b.yaml:1: anchors and aliases are not allowed",
    ]


def test_a_folder_without_questions_has_none(tmp_path: Path) -> None:
    assert load_questions(tmp_path) == {}


def test_the_office_asks_more_and_replaces_nothing(tmp_path: Path, rules_folder: Path) -> None:
    site = tmp_path / "own"
    (site / "attestations").mkdir(parents=True)
    file = site / "attestations" / "town.yaml"
    file.write_text(
        "questions:\n  - {id: keys, title: {ja: 鍵, en: Keys}, question: {ja: 数えましたか。, en: Counted?}}\n"
    )
    assert list(load_questions(rules_folder, site)) == [*load_questions(rules_folder), "keys"]
    assert load_questions(rules_folder, tmp_path / "none") == load_questions(rules_folder)

    file.write_text(file.read_text().replace("id: keys", "id: training"))
    with pytest.raises(RulesError, match="the question 'training' is there already") as caught:
        load_questions(rules_folder, site)
    assert caught.value.mistakes[0].file == str(file)
