"""Threats as tags on checks and questions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from secmon.evaluate.mistakes import RulesError
from secmon.evaluate.ruleset import RuleSet, load_rules
from secmon.evaluate.threats import load_threats

Write = Callable[..., Path]


def test_ipas_ten_ship_in_their_order_and_claim_nothing_that_was_not_compared(
    rules: RuleSet, rules_folder: Path
) -> None:
    (ipa,) = load_threats(rules_folder, rules)

    assert (ipa.id, ipa.verified) == ("ipa-2026", False)
    assert [threat.id for threat in ipa.threats] == [str(rank) for rank in range(1, 11)]
    assert [threat.id for threat in ipa.threats if not threat.checks] == ["2", "6", "9", "10"]


def test_a_check_is_tagged_by_its_area_or_by_itself(rules: RuleSet, rules_folder: Path) -> None:
    (ipa,) = load_threats(rules_folder, rules)
    ranks = {check: [threat.id for threat in ipa.threats_of(check)] for check in rules.checks}

    assert ranks["patch.windows-updates"] == ["1", "4"]
    assert ranks["software.generative-ai"] == ["3"]
    assert ranks["removable_media.windows-autorun"] == ["7"]
    assert ranks["time.synchronized"] == []
    assert {tuple(given) for check, given in ranks.items() if check.startswith("support.")} == {("1", "4")}


def test_what_is_not_there_is_a_mistake_with_its_line(write_check: Write) -> None:
    folder = write_check()
    (folder / "threats").mkdir()
    (folder / "threats" / "t.yaml").write_text(
        "id: t\ntitle: {ja: あ, en: a}\nverified: false\nthreats:\n"
        "  - {id: '1', title: {ja: あ, en: a}, areas: [patch, weather], checks: [patch.gone], attested: [luck]}\n"
        "  - {id: '1', title: {ja: あ, en: a}}\n"
    )

    with pytest.raises(RulesError) as caught:
        load_threats(folder, load_rules(folder))

    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "rules/threats/t.yaml:5: there is no area 'weather'",
        "rules/threats/t.yaml:5: there is no check 'patch.gone'",
        "rules/threats/t.yaml:5: there is no question 'luck'",
        "rules/threats/t.yaml:6: the threat '1' stands here twice",
    ]
