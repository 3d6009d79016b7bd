"""What holds whatever a machine says: no exception, no other answer than CEL's, and nothing gained by saying less."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secmon.evaluate.check import Check
from secmon.evaluate.judge import evaluate, judge
from secmon.evaluate.kinds import Kind, section_kinds
from secmon.evaluate.model import Machine, SectionState
from secmon.evaluate.proofs import WORSE_WITHOUT
from secmon.evaluate.reference import disagreements
from secmon.evaluate.ruleset import load_rules
from secmon.evaluate.sections import read_sections
from secmon_agent import facts

RULES = load_rules(Path(__file__).resolve().parents[3] / "rules")
NOW = datetime(2026, 11, 20, tzinfo=UTC)
COMMON = ("linux", "windows", "debian", "12", "none", "root", "telnet.socket", "python2.7", "192.168.0.1", "")
"""Values that conditions ask for, so that both of their sides are met."""


def values(kind: Kind) -> st.SearchStrategy[object]:
    match kind.name:
        case "record":
            return st.fixed_dictionaries({}, optional={name: values(inner) for name, inner in kind.fields.items()})
        case "list" if kind.element is not None:
            return st.lists(values(kind.element), max_size=3)
        case "string":
            return st.sampled_from(kind.values) if kind.values else st.sampled_from(COMMON) | st.text(max_size=5)
        case "int":
            return st.sampled_from([0, 1, 22, 23, 445, 5432, 600, 26100]) | st.integers(-(2**31), 2**31)
        case "timestamp":
            return st.integers(-400, 400).map(lambda days: NOW + timedelta(days=days))
    return st.booleans()


def states(kind: Kind) -> st.SearchStrategy[SectionState]:
    fine = values(kind).map(lambda found: SectionState(status="ok", facts=found))  # type: ignore[arg-type]
    status = st.sampled_from(["absent", "denied", "failed", "unsupported", "undecodable", "later"])
    return fine | status.map(lambda status: SectionState(status=status, reason="why"))


def machines(sections: Mapping[str, Kind]) -> st.SearchStrategy[Machine]:
    return st.builds(
        Machine,
        sections=st.fixed_dictionaries({}, optional={name: states(kind) for name, kind in sections.items()}),
        observed_at=st.none() | st.integers(-2, 30).map(lambda days: NOW - timedelta(days=days)),
        zone=st.sampled_from([None, "lgwan", "mynumber", "school"]),
        attributes=st.dictionaries(st.sampled_from(["zone", "role"]), st.sampled_from(["lgwan", "router", ""])),
    )


MANY = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@given(machines(section_kinds()))
@MANY
def test_it_answers_for_any_machine(machine: Machine) -> None:
    verdicts = evaluate(RULES, machine, NOW)

    assert [verdict.check for verdict in verdicts] == sorted(RULES.checks)
    for verdict in verdicts:
        assert verdict.status != "unknown" or verdict.reason
        assert all(item.status in ("fail", "unknown") and item.key for item in verdict.items)
        assert len({item.key for item in verdict.items}) == len(verdict.items)


@pytest.mark.parametrize("check", RULES.checks.values(), ids=list(RULES.checks))
def test_the_cel_library_never_gives_another_answer(check: Check) -> None:
    @given(machines({name: section_kinds()[name] for name in sorted(check.reads)}))
    @settings(MANY, max_examples=15)
    def agree(machine: Machine) -> None:
        assert list(disagreements(check, machine, NOW, RULES.lifecycle)) == []

    agree()


@pytest.mark.parametrize("check", RULES.checks.values(), ids=list(RULES.checks))
def test_saying_less_never_gains_an_answer(check: Check) -> None:
    """A machine that leaves fields out is told what the full one is told, or unknown; or that it fails, where the worse
    answer stands for what is missing."""
    sections = {name: section_kinds()[name] for name in sorted(check.reads)}

    @given(machines(sections), st.data())
    @settings(MANY, max_examples=15)
    def no_gain(machine: Machine, data: st.DataObject) -> None:
        less = {
            name: SectionState(status=state.status, reason=state.reason, facts=thinned(state.facts, data))  # type: ignore[arg-type]
            for name, state in machine.sections.items()
        }
        fuller = judge(check, machine, NOW, RULES.lifecycle).status
        poorer = judge(check, msgspec.structs.replace(machine, sections=less), NOW, RULES.lifecycle).status
        worse = poorer == "fail" and WORSE_WITHOUT & check.paths
        assert worse or poorer in (fuller, "unknown")

    no_gain()


def thinned(value: object, data: st.DataObject) -> object:
    """Without some of its fields; elements of lists stay, with less in them."""
    if isinstance(value, dict):
        return {key: thinned(inner, data) for key, inner in value.items() if data.draw(st.integers(0, 3))}
    if isinstance(value, list):
        return [thinned(inner, data) for inner in value]
    return value


@given(
    st.dictionaries(
        st.sampled_from([*facts.SECTIONS, "devices"]),
        st.tuples(
            st.sampled_from(["ok", "ok", "absent", "denied"]), st.text(max_size=10), st.none() | st.binary(max_size=40)
        ),
    )
)
@MANY
def test_any_stored_bytes_can_be_read_and_judged(stored: dict[str, tuple[str, str, bytes | None]]) -> None:
    sections = read_sections(stored)

    assert sections.keys() == stored.keys()
    evaluate(RULES, Machine(sections=sections, observed_at=NOW), NOW)
