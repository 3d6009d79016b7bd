"""Controls and the checks that bear on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from secmon.evaluate.frameworks import load_frameworks, with_articles
from secmon.evaluate.ruleset import RulesError, RuleSet, load_rules

Write = Callable[..., Path]


def test_four_frameworks_ship_and_claim_no_more_than_was_verified(rules: RuleSet, rules_folder: Path) -> None:
    frameworks = {framework.id: framework for framework in load_frameworks(rules_folder, rules)}

    assert set(frameworks) == {"soumu-guideline", "cis-controls", "nist-csf", "government-standards"}
    assert [id_ for id_, it in frameworks.items() if it.verified] == ["nist-csf"]
    verified = {id_: [each.id for each in it.controls if each.verified] for id_, it in frameworks.items()}
    assert verified == {
        "soumu-guideline": ["6.1(13)"],
        "cis-controls": [],
        "nist-csf": [each.id for each in frameworks["nist-csf"].controls],
        "government-standards": [],
    }
    assert frameworks["cis-controls"].edition == "v8.1"
    assert all(it.listed.ja and it.listed.en for it in frameworks.values())


def test_the_lists_that_say_they_are_complete_are(rules: RuleSet, rules_folder: Path) -> None:
    """CIS counts 56 safeguards in IG1, by control as below; the CSF has 106 subcategories, by function as below."""
    frameworks = {framework.id: framework for framework in load_frameworks(rules_folder, rules)}
    first = [each.id.split(".")[0] for each in frameworks["cis-controls"].controls if each.level == "IG1"]
    functions = [each.id[:2] for each in frameworks["nist-csf"].controls]

    assert Counter(first) == {
        "1": 2, "2": 3, "3": 6, "4": 7, "5": 4, "6": 5, "7": 4, "8": 3, "9": 2, "10": 3, "11": 4, "12": 1, "14": 8,
        "15": 1, "17": 3,
    }  # fmt: skip
    assert Counter(functions) == {"GV": 31, "ID": 21, "PR": 22, "DE": 11, "RS": 13, "RC": 8}
    assert list(dict.fromkeys(functions)) == ["GV", "ID", "PR", "DE", "RS", "RC"]


def test_every_check_serves_some_control_of_the_guideline(rules: RuleSet, rules_folder: Path) -> None:
    guideline = next(it for it in load_frameworks(rules_folder, rules) if it.id == "soumu-guideline")

    assert [check for check in rules.checks if not guideline.controls_of(check)] == []


def test_controls_stand_as_people_count_wherever_they_stand_in_the_file(rules: RuleSet, rules_folder: Path) -> None:
    frameworks = {framework.id: framework for framework in load_frameworks(rules_folder, rules)}
    ids = [control.id for control in frameworks["soumu-guideline"].controls]

    assert ids[:4] == ["1", "2", "3(1)", "3(2)"]
    assert ids.index("6.1(2)") < ids.index("6.1(6)") < ids.index("6.1(13)") < ids.index("6.2(1)")
    assert frameworks["cis-controls"].controls[-1].id == "17.3"
    assert frameworks["nist-csf"].controls_of("patch.none") == ()


def test_what_is_not_there_or_stands_twice_is_a_mistake_with_its_line(write_check: Write) -> None:
    folder = write_check()
    (folder / "frameworks").mkdir()
    (folder / "frameworks" / "f.yaml").write_text(
        "id: f\ntitle: {ja: f, en: f}\nedition: '1'\nverified: maybe\ncontrols:\n"
        "  - {id: '1', title: {ja: あ, en: a}, checks: [patch.sample]}\n"
        "  - {id: '2', title: {ja: あ, en: a}, checks: [patch.gone, patch.sample, patch.sample], attested: [luck]}\n"
        "  - {id: '1', title: {ja: あ, en: a}, checks: [[patch.sample]]}\n"
    )

    with pytest.raises(RulesError) as caught:
        load_frameworks(folder, load_rules(folder))

    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "rules/frameworks/f.yaml:4: verified must be true or false",
        "rules/frameworks/f.yaml:7: checks: 'patch.sample' stands here twice",
        "rules/frameworks/f.yaml:7: there is no check 'patch.gone'",
        "rules/frameworks/f.yaml:7: there is no question 'luck'",
        "rules/frameworks/f.yaml:8: checks must be text",
        "rules/frameworks/f.yaml:8: the control '1' stands here twice",
    ]


def test_an_office_gives_controls_the_numbers_of_its_own_rules(rules: RuleSet, rules_folder: Path) -> None:
    shipped = load_frameworks(rules_folder, rules)
    guideline = next(each for each in shipped if each.id == "soumu-guideline")
    check = guideline.controls[2].checks[0]
    assert not any(each.local_article for each in guideline.controls_of(check)), "as the shipped rules have it"

    named = {
        each.id: each for each in with_articles(shipped, {"soumu-guideline": {"3(1)": "第12条", "6.1(2)": "第20条"}})
    }
    articles = {each.id: each.local_article for each in named["soumu-guideline"].controls if each.local_article}
    assert articles == {"3(1)": "第12条", "6.1(2)": "第20条"}
    assert "第12条" in [each.local_article for each in named["soumu-guideline"].controls_of(check)]
    assert named["nist-csf"] == next(each for each in shipped if each.id == "nist-csf")


def test_an_article_of_a_control_that_is_not_there_is_a_mistake(rules: RuleSet, rules_folder: Path) -> None:
    with pytest.raises(RulesError) as caught:
        with_articles(load_frameworks(rules_folder, rules), {"soumu-guideline": {"6.1(99)": "1"}, "iso": {"5.1": "2"}})

    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "[articles.iso]:1: there is no control '5.1'",
        "[articles.soumu-guideline]:1: there is no control '6.1(99)'",
    ]
