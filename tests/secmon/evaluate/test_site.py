"""The office's own folder: checks of its own, other limits, checks left out, and what is said of mistakes in it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from secmon.evaluate.command import check_rules
from secmon.evaluate.judge import evaluate
from secmon.evaluate.model import Machine, SectionState, Verdict
from secmon.evaluate.ruleset import RulesError, RuleSet, load_rules
from tests.support.site import own_check, write_site

Write = Callable[..., Path]
NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def shipped(write_check: Write) -> Path:
    """Three small checks, one with a limit."""
    write_check()
    write_check(file="firewall/sample.yaml", id="firewall.sample", area="firewall", severity="high")
    return write_check(
        file="password/sample.yaml",
        id="password.sample",
        area="password",
        pass_="password_policy.lockout_threshold <= limits.tries",
        limits="{tries: {default: 5, lgwan: 7, mynumber: 3}}",
        examples="[{facts: {password_policy: {lockout_threshold: 3}}, expect: pass},"
        " {facts: {password_policy: {lockout_threshold: 9}}, expect: fail}]",
    )


@pytest.fixture
def adapt(shipped: Path, tmp_path: Path) -> Callable[[Mapping[str, str]], RuleSet]:
    """The shipped checks with these files of the office beside them."""
    return lambda files: load_rules(shipped, write_site(tmp_path / "site", files))


Adapt = Callable[[Mapping[str, str]], RuleSet]


def machine(tries: int = 6, zone: str | None = "lgwan", **attributes: str) -> Machine:
    facts: dict[str, dict[str, object]] = {
        "os": {"family": "windows", "id": "windows"},
        "firewall": {"filtering": False},
        "password_policy": {"lockout_threshold": tries},
    }
    return Machine(
        sections={name: SectionState(status="ok", facts=each) for name, each in facts.items()},
        observed_at=NOW,
        zone=zone,
        attributes={**attributes, **({"zone": zone} if zone else {})},
    )


def answers(rules: RuleSet, of: Machine) -> dict[str, Verdict]:
    return {verdict.check: verdict for verdict in evaluate(rules, of, NOW)}


def test_a_check_of_the_office_is_asked_beside_the_shipped_ones(adapt: Adapt) -> None:
    rules = adapt({"checks/software/town-telnet.yaml": own_check()})

    assert list(rules.checks) == ["firewall.sample", "password.sample", "patch.sample", "software.town-telnet"]
    assert rules.own == {"software.town-telnet"}


def test_without_a_folder_of_the_office_the_rules_are_the_shipped_ones(shipped: Path, tmp_path: Path) -> None:
    alone, beside = load_rules(shipped), load_rules(shipped, tmp_path / "nothing-here")

    assert beside == alone
    assert beside.version == beside.shipped


def test_a_number_for_one_zone_leaves_the_others_as_they_were(adapt: Adapt) -> None:
    rules = adapt({"overrides/password.yaml": "password.sample: {limits: {tries: {lgwan: 5}}}"})

    limit = rules.checks["password.sample"].limits["tries"]
    assert [limit.of(zone) for zone in ("lgwan", "mynumber", "internet", None)] == [5, 3, 5, 3]
    assert answers(rules, machine(zone="lgwan"))["password.sample"].status == "fail"


def test_one_number_holds_in_every_zone(adapt: Adapt) -> None:
    rules = adapt({"overrides/password.yaml": "password.sample: {limits: {tries: 6}}"})

    limit = rules.checks["password.sample"].limits["tries"]
    assert [limit.of(zone) for zone in ("lgwan", "mynumber", None)] == [6, 6, 6]


def test_another_severity_is_that_of_the_check(adapt: Adapt) -> None:
    assert adapt({"overrides/x.yaml": "patch.sample: {severity: high}"}).checks["patch.sample"].severity == "high"


@pytest.mark.parametrize(
    ("where", "zone", "status"),
    [
        ("", "lgwan", "not_applicable"),
        (", zones: [lgwan]", "lgwan", "not_applicable"),
        (", zones: [lgwan]", "internet", "fail"),
        (", zones: [lgwan]", None, "fail"),
    ],
)
def test_a_check_that_is_switched_off_does_not_apply_and_says_why(
    adapt: Adapt, where: str, zone: str | None, status: str
) -> None:
    rules = adapt({"overrides/x.yaml": f"firewall.sample: {{disabled: {{reason: 別の仕組みで確認{where}}}}}"})

    verdict = answers(rules, machine(zone=zone))["firewall.sample"]

    assert verdict.status == status
    if status == "not_applicable":
        assert verdict.reason == "switched off by the office: 別の仕組みで確認"


def test_whatever_the_office_changes_changes_the_version(shipped: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    versions = [
        load_rules(shipped, write_site(site, {"overrides/x.yaml": f"patch.sample: {{severity: {severity}}}"})).version
        for severity in ("high", "medium")
    ]

    assert len({load_rules(shipped).version, *versions}) == 3


@pytest.mark.parametrize(
    ("file", "text", "line", "reason"),
    [
        ("overrides/x.yaml", "patch.sample:\n  severity: urgent", 2, "'urgent' is not one of high, medium, low"),
        ("overrides/x.yaml", "patch.sample:\n  pass: 'true'", 2, "patch.sample: unknown key 'pass'"),
        ("overrides/x.yaml", "patch.sample: {}", 1, "one of limits, severity, disabled, reason is needed"),
        ("overrides/x.yaml", "patch.sample:\n  disabled: true", 2, "say why: disabled: {reason: …}"),
        ("overrides/x.yaml", "patch.sample:\n  disabled: {zones: [lgwan]}", 2, "'reason' is missing"),
        ("overrides/x.yaml", "password.sample:\n  limits: {tries: many}", 2, "tries: a number from 0 is needed"),
        ("overrides/x.yaml", "password.sample:\n  limits: {tries: -1}", 2, "tries: a number from 0 is needed"),
        ("overrides/x.yaml", "password.sample:\n  limits: {tries: 5.5}", 2, "a whole number is needed, as 5"),
        ("overrides/x.yaml", "password.sample:\n  limits:\n    tries: {}", 3, "numbers by zone and `default`"),
        ("overrides/x.yaml", "a: {severity: low}\na: {severity: low}", 2, "the key 'a' stands here twice"),
        ("overrides/x.yml", "patch.sample: {severity: low}", 1, "nothing is read here"),
        ("check/software/mine.yaml", "id: x", 1, "nothing is read here"),
        ("checks/software/mine.yaml", "id: x", 1, "id: 'x' must be 'software.mine', as the file is named"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_what_is_wrong(
    adapt: Adapt, tmp_path: Path, file: str, text: str, line: int, reason: str
) -> None:
    with pytest.raises(RulesError) as caught:
        adapt({file: text})

    found = [str(mistake) for mistake in caught.value.mistakes]
    assert any(each.startswith(f"{tmp_path}/site/{file}:{line}: ") and reason in each for each in found), found


def test_two_files_cannot_change_the_same_check(adapt: Adapt) -> None:
    with pytest.raises(RulesError, match="another file of overrides/ changes it already"):
        adapt({f"overrides/{name}.yaml": "patch.sample: {severity: low}" for name in ("a", "b")})


@pytest.mark.parametrize(
    ("file", "text", "line", "reason"),
    [
        (
            "overrides/x.yaml",
            "\npatch.simple: {severity: low}",
            2,
            "there is no check 'patch.simple'; did you mean",
        ),
        ("overrides/x.yaml", "gone.check: {limits: {a: {b: 1}}}", 1, "there is no check 'gone.check'."),
        ("overrides/x.yaml", "password.sample:\n  limits:\n    days: 3", 3, "no limit 'days'; it has tries."),
        ("overrides/x.yaml", "patch.sample: {disabled: {reason: x, profiles: [nobody]}}", 1, "no profile 'nobody'"),
        ("checks/patch/sample.yaml", own_check(), 1, "secmon itself has a check 'patch.sample', which holds"),
    ],
)
def test_what_fits_nothing_is_set_aside_and_told_while_the_rest_holds(
    adapt: Adapt, tmp_path: Path, file: str, text: str, line: int, reason: str
) -> None:
    text = text.replace("software.town-telnet", "patch.sample").replace("area: software", "area: patch")
    rules = adapt({file: text, "overrides/good.yaml": "firewall.sample: {severity: low}"})

    (misfit,) = rules.misfits
    assert (misfit.file, misfit.line) == (f"{tmp_path}/site/{file}", line)
    assert reason in misfit.reason
    assert "set aside" in misfit.reason
    assert rules.checks["firewall.sample"].severity == "low"
    assert rules.checks["patch.sample"].severity == "low"


def test_rules_check_tells_of_both_and_asks_examples_of_the_checks_as_they_were_written(
    adapt: Adapt, shipped: Path, tmp_path: Path
) -> None:
    adapt({"overrides/x.yaml": "password.sample: {limits: {tries: 20}}"})
    good, bad = io.StringIO(), io.StringIO()

    assert check_rules(shipped, good, site=tmp_path / "site") == 0, good.getvalue()
    adapt({"overrides/y.yaml": "gone.check: {severity: low}"})
    assert check_rules(shipped, bad, site=tmp_path / "site") == 1
    assert "overrides/y.yaml:1: there is no check 'gone.check'" in bad.getvalue()
    assert "everything else of them holds" in bad.getvalue()
