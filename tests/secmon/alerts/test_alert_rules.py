from __future__ import annotations

from pathlib import Path

import pytest

from secmon.alerts.rules import load_alert_rules
from secmon.evaluate.mistakes import RulesError
from secmon.resources import rules_dir

GOOD = """\
id: high
events: [opened, resolved]
causes: [machine]
urgency: immediate
"""


def _folder(tmp_path: Path, text: str, name: str = "high") -> Path:
    folder = tmp_path / "rules"
    (folder / "alerts").mkdir(parents=True)
    (folder / "frameworks").mkdir()
    (folder / "frameworks" / "guideline.yaml").touch()
    (folder / "alerts" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def test_it_loads_the_rules_that_come_with_secmon() -> None:
    rules = load_alert_rules(rules_dir())
    assert [rule.id for rule in rules] == ["high", "ledger", "new-machine", "rules-changed"]
    assert all(caution.text.ja and caution.text.en for rule in rules for caution in rule.cautions)


def test_it_fills_in_what_a_rule_leaves_out(tmp_path: Path) -> None:
    (rule,) = load_alert_rules(_folder(tmp_path, GOOD))
    assert rule.severities == rule.zones == rule.recipients == rule.frameworks == ()
    assert not rule.cautions
    assert (rule.mails_per_hour, rule.language) == (6, None)


def test_it_takes_everything_a_rule_may_say(tmp_path: Path) -> None:
    text = GOOD + (
        "severities: [high]\nzones: [lgwan]\nmails_per_hour: 2\nrecipients: [it@town.example]\nlanguage: en\n"
        "frameworks: [guideline]\ncautions: [{areas: [ports], text: {ja: 注意, en: Careful}}]\n"
    )
    (rule,) = load_alert_rules(_folder(tmp_path, text))
    assert (rule.severities, rule.zones, rule.mails_per_hour) == (("high",), ("lgwan",), 2)
    assert (rule.recipients, rule.language, rule.frameworks) == (("it@town.example",), "en", ("guideline",))
    assert rule.cautions[0].text.ja == "注意"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (GOOD + "colour: red\n", 5, "unknown key 'colour'"),
        (GOOD.replace("machine", "weather"), 3, "'weather' is not one of"),
        (GOOD.replace("[opened, resolved]", "[]"), 2, "the list is empty"),
        (GOOD.replace("[opened, resolved]", "opened"), 2, "must be a list"),
        (GOOD.replace("immediate", "soon"), 4, "'soon' is not one of immediate, summary"),
        (GOOD.replace("causes: [machine]\n", ""), 1, "'causes' is missing"),
        (GOOD.replace("id: high", "id: other"), 1, "must be the file's name"),
        (GOOD + "mails_per_hour: 0\n", 5, "from 1 to 60"),
        (GOOD + "mails_per_hour: true\n", 5, "from 1 to 60"),
        (GOOD + "recipients: [nobody]\n", 5, "is not a mail address"),
        (GOOD + 'recipients: ["a@b\\nBcc: c@d"]\n', 5, "is not a mail address"),
        (GOOD + "frameworks: [other]\n", 5, "'other' is not one of guideline"),
        (GOOD + "cautions:\n  - areas: [ports]\n", 6, "'text' is missing"),
        (GOOD + "cautions:\n  - {areas: [kitchen], text: {ja: あ, en: a}}\n", 6, "'kitchen' is not one of"),
        (GOOD + "language: fr\n", 5, "'fr' is not one of ja, en"),
        (GOOD + "zones: [\n", 6, "not YAML"),
        (GOOD + "id: high\n", 5, "stands here twice"),
    ],
)
def test_it_names_file_line_and_reason_of_a_mistake(tmp_path: Path, text: str, line: int, reason: str) -> None:
    with pytest.raises(RulesError) as caught:
        load_alert_rules(_folder(tmp_path, text))
    assert [(mistake.file, mistake.line) for mistake in caught.value.mistakes] == [("rules/alerts/high.yaml", line)]
    assert reason in str(caught.value)


def test_it_names_all_mistakes_at_once(tmp_path: Path) -> None:
    with pytest.raises(RulesError) as caught:
        load_alert_rules(_folder(tmp_path, GOOD + "language: fr\ncolour: red\n"))
    assert [mistake.line for mistake in caught.value.mistakes] == [5, 6]


def test_it_refuses_a_folder_without_rules(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="one to 100 are needed"):
        load_alert_rules(tmp_path)
