"""`secmon rules check`."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from secmon.evaluate import timing
from secmon.evaluate.command import check_rules
from secmon.evaluate.model import Machine, SectionState
from secmon.evaluate.reference import disagreements
from secmon.evaluate.ruleset import RuleSet

NOW = datetime(2026, 11, 20, tzinfo=UTC)
Write = Callable[..., Path]


def test_the_shipped_rules_are_free_of_mistakes(rules_folder: Path) -> None:
    out = io.StringIO()

    assert check_rules(rules_folder, out) == 0, out.getvalue()
    (line,) = out.getvalue().splitlines()
    assert "no mistakes" in line


def test_mistakes_are_told_with_their_place_and_counted(write_check: Write) -> None:
    out = io.StringIO()

    assert check_rules(write_check(severity="urgent", area="harbour"), out) == 1
    lines = out.getvalue().splitlines()
    assert [line.split(": ")[0] for line in lines[:-1]] == [
        "rules/checks/patch/sample.yaml:2",
        "rules/checks/patch/sample.yaml:6",
    ]
    assert lines[-1] == "2 mistake(s); these rules must not be used"


def test_an_example_that_comes_out_otherwise_is_a_mistake(write_check: Write) -> None:
    folder = write_check(
        examples="""
  - {facts: {firewall: {filtering: true}}, expect: fail}
  - {facts: {firewall: {filtering: true}}, expect: pass}
  - {facts: {firewall: denied}, expect: unknown, reason: because}"""
    )
    out = io.StringIO()

    assert check_rules(folder, out) == 1
    assert out.getvalue().splitlines()[:-1] == [
        "rules/checks/patch/sample.yaml:10: example: fail is expected, pass came out",
        "rules/checks/patch/sample.yaml:12: example: a reason with 'because' is expected, 'firewall denied' came out",
    ]


def test_a_fact_that_no_example_misses_is_a_mistake(write_check: Write) -> None:
    out = io.StringIO()
    fails = "{facts: {firewall: {backend: iptables, filtering: false}}, expect: fail}"

    passes = "{facts: {firewall: {filtering: true}}, expect: pass}"
    folder = write_check(applies="firewall.backend == 'iptables' || true", examples=f"[{passes}, {fails}]")
    assert check_rules(folder, out) == 1
    assert out.getvalue().splitlines()[:-1] == [
        "rules/checks/patch/sample.yaml:1: examples: none becomes unknown without firewall.backend; "
        "add one that firewall.backend decides"
    ]

    unknown = "{facts: {firewall: {filtering: true}}, expect: unknown}"
    passes = passes.replace("filtering", "backend: iptables, filtering")
    folder = write_check(applies="firewall.backend == 'iptables'", examples=f"[{fails}, {unknown}, {passes}]")
    assert check_rules(folder, io.StringIO()) == 0


def test_a_condition_that_takes_too_long_on_the_largest_facts_is_ended(
    write_check: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "MAX_CONDITION_S", 1.0)
    folder = write_check(
        pass_="ports.listening.all(a, ports.listening.all(b, a.port != b.port || a.process == b.process))",
        examples="""
  - {facts: {ports: {listening: []}}, expect: pass}
  - facts:
      ports:
        listening:
          - {protocol: tcp, address: a, port: 1, reach: network, process: x}
          - {protocol: tcp, address: b, port: 1, reach: network, process: y}
    expect: fail""",
    )
    out = io.StringIO()

    assert check_rules(folder, out) == 1
    assert "rules/checks/patch/sample.yaml:1: pass: takes longer than" in out.getvalue()


def test_another_answer_of_the_cel_library_is_found(rules: RuleSet) -> None:
    check = rules.checks["firewall.filtering"]
    subject = Machine(sections={"firewall": SectionState(status="ok", facts={"filtering": False})})
    wrong = replace(check, pass_=replace(check.pass_, run=lambda _: True))

    assert list(disagreements(check, subject, NOW, rules.lifecycle)) == []
    assert list(disagreements(wrong, subject, NOW, rules.lifecycle)) == ["pass: CEL answers False, secmon True"]
