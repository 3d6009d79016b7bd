"""The office's own folder: checks of its own, other limits, checks left out, and what is said of mistakes in it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest

from secmon.evaluate.command import check_rules
from secmon.evaluate.judge import evaluate
from secmon.evaluate.model import Machine, SectionState, Verdict
from secmon.evaluate.reference import disagreements
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


LISTED = (
    "software.packages.filter(entry, lists.unwanted.exists(name, entry.name.startsWith(name))"
    " && !lists.approved.exists(name, entry.name.startsWith(name)))"
)


@pytest.fixture
def listing(write_check: Write) -> Path:
    """One check that looks names up in two lists."""
    folder = write_check(
        file="software/sample.yaml", id="software.sample", area="software", pass_='"false"', items=LISTED,
        key="item.name",
        examples="[{facts: {software: {packages: []}}, expect: pass},"
        " {facts: {software: {packages: [{name: ChatGPT 1.2}]}}, expect: fail}]",
    )  # fmt: skip
    write_site(folder / "lists", {"unwanted.yaml": "entries: [ChatGPT, 'Jan ']", "approved.yaml": "entries: []"})
    return folder


def found(rules: RuleSet, *names: str) -> list[str]:
    software = SectionState(status="ok", facts={"packages": [{"name": name} for name in names]})
    machine = Machine(sections={"software": software}, observed_at=NOW)
    return [item.key for item in answers(rules, machine)["software.sample"].items]


def test_an_office_approves_software_by_one_line_of_its_own(listing: Path, tmp_path: Path) -> None:
    names = ("ChatGPT Desktop", "Jan 0.5", "January", "Poe")
    assert found(load_rules(listing), *names) == ["ChatGPT Desktop", "Jan 0.5"]

    site = write_site(tmp_path / "site", {"lists/approved.yaml": "add: [ChatGPT]"})
    assert found(load_rules(listing, site), *names) == ["Jan 0.5"]

    write_site(site, {"lists/unwanted.yaml": "add: [Poe]\nremove: ['Jan ']"})
    assert found(load_rules(listing, site), *names) == ["Poe"]


def test_the_examples_of_a_shipped_check_hold_whatever_the_office_approves(listing: Path, tmp_path: Path) -> None:
    out = io.StringIO()
    site = write_site(tmp_path / "site", {"lists/approved.yaml": "add: [ChatGPT]"})

    assert check_rules(listing, out, site=site) == 0, out.getvalue()


def test_a_check_of_the_office_looks_things_up_in_a_list_of_its_own(listing: Path, tmp_path: Path) -> None:
    check = own_check().replace('entry.name == "telnetd"', "entry.name in lists.forbidden_here")
    files = {"lists/forbidden_here.yaml": "entries: [telnetd]", "checks/software/town-telnet.yaml": check}
    out = io.StringIO()

    site = write_site(tmp_path / "site", files)

    assert check_rules(listing, out, site=site) == 0, out.getvalue()
    assert load_rules(listing, site).checks["software.town-telnet"].lists == {"forbidden_here": ("telnetd",)}


@pytest.mark.parametrize(
    ("file", "text", "line", "reason"),
    [
        ("lists/unwanted.yaml", "entries: [Poe]", 1, "secmon has a list 'unwanted'; use add and remove"),
        ("lists/unwanted.yaml", "add: [Poe, Poe]", 1, "add: 'Poe' stands here twice"),
        ("lists/unwanted.yaml", "add:\n  - 2", 2, "a text of 1 to 100 characters is needed"),
        ("lists/unwanted.yaml", "add: Poe", 1, "add must be a list"),
        ("lists/Own.yaml", "entries: [Poe]", 1, "the name of a list is of small letters"),
    ],
)
def test_a_mistake_in_a_list_is_told(
    listing: Path, tmp_path: Path, file: str, text: str, line: int, reason: str
) -> None:
    site = write_site(tmp_path / "site", {file: text})

    with pytest.raises(RulesError) as caught:
        load_rules(listing, site)

    assert [str(each) for each in caught.value.mistakes if f"{file}:{line}: " in str(each) and reason in str(each)]


def test_what_a_list_does_not_have_is_set_aside(listing: Path, tmp_path: Path) -> None:
    files = {"lists/unwanted.yaml": "remove: [Chat GPT, 'Jan ']", "lists/unwnted.yaml": "add: [Poe]"}

    rules = load_rules(listing, write_site(tmp_path / "site", files))

    assert [misfit.reason.partition(". It")[0].partition("? It")[0] for misfit in rules.misfits] == [
        "the list unwanted has no entry 'Chat GPT'; did you mean ChatGPT",
        "there is no list 'unwnted'; did you mean unwanted",
    ]
    assert rules.checks["software.sample"].lists["unwanted"] == ("ChatGPT",)


def test_a_condition_cannot_name_a_list_that_there_is_not(listing: Path, write_check: Write) -> None:
    write_check(file="software/other.yaml", id="software.other", area="software", pass_="'\"x\" in lists.unheard'")

    with pytest.raises(RulesError, match=r"unknown field 'lists\.unheard'"):
        load_rules(listing)


PC = """
    id: pc
    title: {ja: 端末, en: PC}
    hosts: [{os: windows}]
"""


@pytest.mark.parametrize(
    ("more", "left_out"),
    [
        ("exclude: {checks: [firewall.sample]}", {"firewall.sample"}),
        ("exclude: {areas: [firewall, patch]}", {"firewall.sample", "patch.sample"}),
        ("exclude: {severities: [low]}", {"password.sample", "patch.sample"}),
        ("include: {severities: [high], checks: [patch.sample]}", {"password.sample"}),
        ("include: {areas: [firewall, patch]}\nexclude: {checks: [patch.sample]}", {"password.sample", "patch.sample"}),
    ],
)
def test_a_profile_says_which_checks_its_machines_are_asked(adapt: Adapt, more: str, left_out: set[str]) -> None:
    rules = adapt({"profiles/pc.yaml": dedent(PC) + more})

    verdicts = answers(rules, machine())

    assert {id_ for id_, each in verdicts.items() if each.reason == "not asked by the profile pc"} == left_out
    assert {verdicts[id_].status for id_ in left_out} == {"not_applicable"}


def test_a_machine_of_no_profile_is_asked_everything(adapt: Adapt) -> None:
    rules = adapt({"profiles/pc.yaml": PC.replace("os: windows", "os: solaris") + "    exclude: {areas: [firewall]}\n"})

    assert rules.tailored(machine()).profile is None
    assert rules.tailored(machine()).left_out == {}
    assert rules.tailored(Machine(sections={})).profile is None


def profile_named(id_: str, hosts: str) -> dict[str, str]:
    return {f"profiles/{id_}.yaml": f"id: {id_}\ntitle: {{ja: 端末, en: PC}}\nhosts: {hosts}\n"}


@pytest.mark.parametrize(
    ("profiles", "said", "chosen"),
    [
        ({"a": "[{os: windows}]", "b": "[{os: windows, zone: lgwan}]"}, {}, "b"),
        ({"a": "[{os: windows}]", "b": "[{os: windows, zone: mynumber}]"}, {}, "a"),
        ({"a": "[{os: windows, zone: lgwan}]", "b": "[{role: server}]"}, {"role": "server"}, "b"),
        ({"a": "[{os: windows, zone: lgwan}]", "b": "[{role: server}]"}, {"role": "pc"}, "a"),
        ({"a": "[{family: linux}, {department: [総務課, 税務課]}]"}, {"department": "税務課"}, "a"),
        ({"a": "[{family: linux}, {department: [総務課, 税務課]}]"}, {"department": "水道課"}, None),
        ({"b": "[{family: windows}]", "a": "[{family: windows}]"}, {}, "a"),
    ],
)
def test_the_profile_that_says_most_of_a_machine_is_taken(
    adapt: Adapt, profiles: Mapping[str, str], said: Mapping[str, str], chosen: str | None
) -> None:
    files = {name: text for id_, hosts in profiles.items() for name, text in profile_named(id_, hosts).items()}

    profile = adapt(files).tailored(machine(6, **said)).profile

    assert (profile.id if profile else None) == chosen


def test_limits_of_a_profile_go_before_what_was_shipped_and_the_offices_go_before_both(
    adapt: Adapt, shipped: Path
) -> None:
    limits = "    limits: {password.sample: {tries: {lgwan: 9, mynumber: 8}}}\n"
    write_site(shipped, {"profiles/pc.yaml": PC + limits})

    def numbers(rules: RuleSet) -> list[int | float]:
        zones = ("lgwan", "mynumber", "internet")
        return [rules.tailored(machine(zone=z)).checks["password.sample"].limits["tries"].of(z) for z in zones]

    assert numbers(adapt({})) == [9, 8, 5]
    overrides = {"overrides/x.yaml": "password.sample: {limits: {tries: {lgwan: 2}}}"}
    assert numbers(adapt(overrides)) == [2, 8, 5]
    own = {"profiles/pc.yaml": PC + "    limits: {password.sample: {tries: 4}}\n"}
    assert numbers(adapt({**overrides, **own})) == [4, 4, 4]


def test_a_check_is_switched_off_for_one_profile(adapt: Adapt) -> None:
    off = "firewall.sample: {disabled: {reason: 別の仕組み, profiles: [pc], zones: [lgwan]}}"
    rules = adapt({"profiles/pc.yaml": PC, "overrides/x.yaml": off})

    assert answers(rules, machine(zone="lgwan"))["firewall.sample"].status == "not_applicable"
    assert answers(rules, machine(zone="internet"))["firewall.sample"].status == "fail"


def test_what_another_system_is_not_asked_is_judged_again_when_the_system_changes(adapt: Adapt) -> None:
    more = "    exclude: {checks: [firewall.sample]}\n    limits: {password.sample: {tries: 9}}\n"

    assert adapt({"profiles/pc.yaml": PC + more}).touched({"os"}) == {"firewall.sample", "password.sample"}


@pytest.mark.parametrize(
    ("more", "line", "reason"),
    [
        ("colour: red", 4, "profile: unknown key 'colour'"),
        ("exclude: {areas: [harbour]}", 4, "'harbour' is not one of"),
        ("exclude: {}", 4, "exclude: one of areas, severities, checks is needed"),
        ("limits: {patch.sample: 3}", 4, "limits.patch.sample must be a mapping"),
        ("limits: {password.sample: {tries: x}}", 4, "a number from 0 is needed"),
    ],
)
def test_a_mistake_in_a_profile_is_told(adapt: Adapt, more: str, line: int, reason: str) -> None:
    head = "id: pc\ntitle: {ja: 端末, en: PC}\nhosts: [{os: windows}]\n"

    with pytest.raises(RulesError) as caught:
        adapt({"profiles/pc.yaml": head + more})

    assert [str(each) for each in caught.value.mistakes if f"pc.yaml:{line}: " in str(each) and reason in str(each)]


@pytest.mark.parametrize("hosts", ["[]", "[{colour: red}]", "[{}]", "{os: windows}"])
def test_a_profile_without_machines_is_refused(adapt: Adapt, hosts: str) -> None:
    with pytest.raises(RulesError, match="hosts"):
        adapt(profile_named("pc", hosts))


def test_a_profile_of_the_office_may_name_what_is_gone(adapt: Adapt) -> None:
    rules = adapt({"profiles/pc.yaml": PC + "    exclude: {checks: [gone.check]}\n"})

    assert "there is no check 'gone.check'" in rules.misfits[0].reason
    assert rules.profiles[0].id == "pc"


def test_a_shipped_profile_must_fit(shipped: Path) -> None:
    write_site(shipped, {"profiles/pc.yaml": PC + "    exclude: {checks: [gone.check]}\n"})

    with pytest.raises(RulesError, match=r"rules/profiles/pc\.yaml:\d: there is no check"):
        load_rules(shipped)


@pytest.mark.parametrize(
    ("entries", "version", "status"),
    [
        ("['24.', '23.']", "23.01", "fail"),
        ("['24.', '23.']", "9.20", "pass"),
        ("['24.', '23.']", None, "unknown"),
        ("[]", None, "pass"),
        ("[]", "23.01", "pass"),
    ],
)
def test_a_beginning_that_is_not_determined_is_no_answer_unless_there_is_nothing_to_find(
    write_check: Write, entries: str, version: str | None, status: str
) -> None:
    folder = write_check(
        file="software/sample.yaml", id="software.sample", area="software", pass_='"false"', key="item.name",
        items="software.packages.filter(entry, lists.old.exists(begin, entry.version.startsWith(begin)))",
    )  # fmt: skip
    write_site(folder / "lists", {"old.yaml": f"entries: {entries}"})
    rules = load_rules(folder)
    package = {"name": "7-Zip", **({"version": version} if version else {})}
    software = SectionState(status="ok", facts={"packages": [package]})
    subject = Machine(sections={"software": software}, observed_at=NOW)

    assert answers(rules, subject)["software.sample"].status == status
    assert list(disagreements(rules.checks["software.sample"], subject, NOW, rules.lifecycle)) == []


def test_a_folder_that_cannot_be_looked_into_does_not_pass_for_an_empty_one(shipped: Path, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", {})
    (site / "overrides").touch()

    with pytest.raises(RulesError, match="overrides:1: cannot be read: Not a directory"):
        load_rules(shipped, site)
