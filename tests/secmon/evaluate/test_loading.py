"""Mistakes in rule files: each with its file and line, all at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from secmon.evaluate.ruleset import Mistake, RulesError, load_examples, load_rules

Write = Callable[..., Path]


def mistakes(folder: Path) -> list[Mistake]:
    with pytest.raises(RulesError) as caught:
        load_rules(folder)
    return caught.value.mistakes


def only(folder: Path) -> str:
    (mistake,) = mistakes(folder)
    return str(mistake)


def test_the_sample_itself_is_free_of_mistakes(write_check: Write) -> None:
    assert list(load_rules(write_check()).checks) == ["patch.sample"]


@pytest.mark.parametrize(
    ("fields", "line", "reason"),
    [
        ({"severity": "urgent"}, 6, "severity: 'urgent' is not one of high, medium, low"),
        ({"colour": "red"}, 10, "check: unknown key 'colour'"),
        ({"title": "{ja: 見本}"}, 3, "title: 'en' is missing"),
        ({"why": "{ja: '', en: Why}"}, 7, "why.ja must be text"),
        ({"fix": "{ja: [一, 二, 三, 四], en: [one]}"}, 8, "fix.ja: one to 3 steps, here are 4"),
        ({"fix": "{ja: [], en: [one]}"}, 8, "fix.ja: one to 3 steps, here are 0"),
        ({"id": "patch.other"}, 1, "id: 'patch.other' must be 'patch.sample', as the file is named"),
        ({"area": "ports"}, 2, "area: 'ports' must be 'patch', as the folder is named"),
        ({"when_absent": None}, 1, "when_absent is missing: what is the answer where a section is absent?"),
        ({"when_absent": "maybe"}, 4, "when_absent: 'maybe' is not one of fail, unknown, pass, not_applicable"),
        ({"severity": None}, 1, "check: 'severity' is missing"),
        ({"limits": "{days: {default: 7}}"}, 10, "limits: 'days' is used nowhere"),
        ({"key": "item"}, 1, "`items` and `key` belong together"),
        ({"spared": "os.id == 'x'"}, 10, "spared: only an item of a list can be"),
    ],
)
def test_it_names_line_and_reason(write_check: Write, fields: dict[str, str | None], line: int, reason: str) -> None:
    found = [str(mistake) for mistake in mistakes(write_check(**fields))]

    assert f"rules/checks/patch/sample.yaml:{line}: {reason}" in found


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("firewal.filtering", "unknown name 'firewal'"),
        ("firewall.filtring", "unknown field 'firewall.filtring'"),
        ("patches.pending.exists(u, u.securty)", "unknown field 'patches.pending[].securty'"),
        ("item.port == 1", "unknown name 'item'"),
        ("limits.days == 1", "unknown field 'limits.days'"),
        ("hours_since(patches.lists_updated_at) < 1", "unknown function 'hours_since'"),
        ("os.id.matches('(a+)+$')", "unknown function 'matches'"),
        ("has(firewall.filtering)", "has() is not allowed: a missing field must not decide"),
        ("'filtering' in firewall", "`in` cannot look for a string in a record"),
        ("firewall == firewall", "== cannot compare a record with a record"),
        ("patches.pending == patches.pending", "== cannot compare a list with a list"),
        ("patches.pending[0].security", "indexing is not allowed; lists are sets"),
        ("firewall.backend == 'nftable'", "'nftable' is never a value here; it is one of nftables, iptables"),
        ("firewall.backend in ['windows', 'pf']", "'pf' is never a value here"),
        ("os.version < '12'", "texts have no order; version_cmp() compares versions"),
        ("os.version == 12", "== cannot compare a string with a int"),
        ("os.build + 1 == 2", "+ joins texts only"),
        ("os.build - 1 == 2", "there is no arithmetic in conditions"),
        ("firewall.backend", "gives a string; a bool is needed"),
        ("days_since(now, now) > 1", "days_since() takes 1 argument(s), here are 2"),
        ("days_since(os.id) > 1", "days_since() takes a timestamp, here is a string"),
        ("1 < os.build < 3", "comparisons cannot be chained; write && between two"),
        ("firewall.filtering &&", "a value is expected at the end"),
        ("firewall.filtering firewall", "'firewall' is not expected here"),
        ("'open", "cannot read"),
        ("patches.pending.exists(package, package.security)", "not CEL"),
        ("patches.pending.exists(os, os.security)", "the name 'os' is taken"),
        (
            "patches.pending.exists(a, patches.pending.exists(b, patches.pending.exists(c, c.security)))",
            "more than 2 nested macros",
        ),
    ],
)
def test_it_refuses_conditions_that_mean_nothing_or_let_a_missing_field_decide(
    write_check: Write, condition: str, reason: str
) -> None:
    quoted = condition.replace('"', '\\"')

    assert f"sample.yaml:5: pass: {reason}" in only(write_check(pass_=f'"{quoted}"'))


def test_evidence_and_keys_do_not_change_every_day(write_check: Write) -> None:
    folder = write_check(evidence="string(size(patches.held)) + day(now)")

    assert "evidence: must not depend on now" in only(folder)


def test_it_tells_all_mistakes_of_all_files_at_once(write_check: Write) -> None:
    write_check(file="patch/first.yaml", id="patch.first", severity="urgent", pass_="'nonsense'")
    folder = write_check(file="ports/second.yaml", id="ports.second", area="harbour")

    found = mistakes(folder)

    assert [(Path(mistake.file).name, mistake.line) for mistake in found] == [
        ("first.yaml", 5),
        ("first.yaml", 6),
        ("second.yaml", 2),
    ]


def test_every_check_shows_that_it_can_pass_and_fail(write_check: Write) -> None:
    folder = write_check(examples="[{facts: {firewall: {filtering: true}}, expect: pass}]")

    assert "examples: none is expected to fail" in only(folder)


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        ("{facts: {firewal: {}}, expect: pass}", "unknown section 'firewal'"),
        ("{facts: {firewall: {filtring: true}}, expect: pass}", "unknown field firewall.filtring"),
        ("{facts: {ports: {listening: [{prot: tcp}]}}, expect: pass}", "unknown field ports.listening[].prot"),
        ("{facts: {firewall: {filtering: 3}}, expect: pass}", "Expected `bool`"),
        ("{facts: {firewall: vanished}, expect: pass}", "'vanished' is no status"),
        ("{facts: {}, expect: perhaps}", "Invalid enum value 'perhaps'"),
        ("{facts: {}, expect: pass, zoen: lgwan}", "unknown field `zoen`"),
        ("{facts: {}, expect: pass, now: 2026-11-20T00:00:00}", "`now` needs a time zone"),
    ],
)
def test_examples_are_held_to_the_vocabulary(write_check: Write, example: str, reason: str) -> None:
    assert any(reason in str(mistake) for mistake in mistakes(write_check(examples=f"[{example}]")))


def test_the_same_id_cannot_come_from_two_files(write_check: Write) -> None:
    write_check()

    assert "must be 'patch.copy'" in only(write_check(file="patch/copy.yaml"))


def test_a_check_in_the_wrong_place_is_not_passed_over(write_check: Write) -> None:
    folder = write_check()
    (folder / "checks" / "patch" / "lost.yml").write_text("id: patch.lost\n")

    assert only(folder) == "rules/checks/patch/lost.yml:1: a check lies in <area>/<name>.yaml"


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    assert "no files */*.yaml" in only(tmp_path)


def test_the_version_changes_with_every_change_of_content_and_with_nothing_else(write_check: Write) -> None:
    first, again = load_rules(write_check()).version, load_rules(write_check()).version
    other = load_rules(write_check(severity="high")).version

    assert first == again
    assert first != other


def test_lifecycle_data_is_part_of_the_rules(write_check: Write) -> None:
    folder = write_check()
    before = load_rules(folder).version
    (folder / "lifecycle").mkdir()
    file = folder / "lifecycle" / "debian.yaml"
    file.write_text("products: [debian]\nsource: x\nas_of: 2026-01-01\ncycles: [{cycle: '12', until: 2028-06-30}]\n")
    assert load_rules(folder).version != before

    file.write_text("products: [debian]\nsource: x\nas_of: soon\ncycles: []\n")
    assert "as_of" in only(folder)


def test_rules_are_equal_when_their_texts_are(write_check: Write) -> None:
    one, other = load_rules(write_check()), load_rules(write_check())

    assert one.checks["patch.sample"] == other.checks["patch.sample"]
    assert load_rules(write_check(pass_="!firewall.filtering".join('""'))).checks != one.checks


def test_examples_are_read_with_the_rules(write_check: Write) -> None:
    _, examples = load_examples(write_check())

    assert [example.expect for example in examples["patch.sample"]] == ["pass", "fail"]
