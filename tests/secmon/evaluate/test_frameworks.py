"""Controls and the checks that bear on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from secmon.evaluate.frameworks import load_frameworks
from secmon.evaluate.ruleset import RulesError, RuleSet, load_rules

Write = Callable[..., Path]


def test_four_frameworks_ship_and_claim_no_more_than_was_verified(rules: RuleSet, rules_folder: Path) -> None:
    frameworks = {framework.id: framework for framework in load_frameworks(rules_folder, rules)}

    assert set(frameworks) == {"soumu-guideline", "cis-controls", "nist-csf", "government-standards"}
    assert not any(framework.verified for framework in frameworks.values())
    verified = [(it.id, control.id) for it in frameworks.values() for control in it.controls if control.verified]
    assert verified == [("soumu-guideline", "6.1(13)")]
    assert frameworks["cis-controls"].edition == "v8.1"


def test_every_check_serves_some_control_of_the_guideline(rules: RuleSet, rules_folder: Path) -> None:
    guideline = next(it for it in load_frameworks(rules_folder, rules) if it.id == "soumu-guideline")

    assert [check for check in rules.checks if not guideline.controls_of(check)] == []


def test_controls_have_ids_of_their_own_and_checks(rules: RuleSet, rules_folder: Path) -> None:
    for framework in load_frameworks(rules_folder, rules):
        ids = [control.id for control in framework.controls]
        assert len(ids) == len(set(ids))
        assert all(control.checks for control in framework.controls)
        assert framework.controls_of("patch.none") == ()


def test_a_check_that_is_not_there_is_a_mistake_with_its_line(write_check: Write) -> None:
    folder = write_check()
    (folder / "frameworks").mkdir()
    (folder / "frameworks" / "f.yaml").write_text(
        "id: f\ntitle: {ja: f, en: f}\nedition: '1'\nverified: maybe\ncontrols:\n"
        "  - {id: '1', title: {ja: あ, en: a}, checks: [patch.sample]}\n"
        "  - {id: '2', title: {ja: あ, en: a}, checks: [patch.gone]}\n"
    )

    with pytest.raises(RulesError) as caught:
        load_frameworks(folder, load_rules(folder))

    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "rules/frameworks/f.yaml:4: verified must be true or false",
        "rules/frameworks/f.yaml:7: there is no check 'patch.gone'",
    ]
