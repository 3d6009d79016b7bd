"""Judging again only what a change touches gives what judging everything anew gives."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secmon.evaluate.changes import Change, changed_paths
from secmon.evaluate.judge import evaluate
from secmon.evaluate.kinds import section_kinds
from secmon.evaluate.model import Machine, SectionState, Verdict
from secmon.evaluate.ruleset import RuleSet, load_rules
from secmon.evaluate.sections import builtins, read_sections
from secmon_agent import facts
from secmon_agent.collect import collect
from secmon_agent.recorded import recorded_host
from tests.secmon.evaluate.test_any_facts import values

ROOT = Path(__file__).resolve().parents[3]
RULES = load_rules(ROOT / "rules")
RECORDED = sorted(path.name for path in (ROOT / "tests" / "hosts").iterdir() if (path / "host.json").exists())
NETWORKS = (("10.0.0.0/8", "lgwan"), ("192.168.0.0/16", "mynumber"))
Sections = Mapping[str, SectionState]


@cache
def recorded(name: str) -> tuple[Sections, datetime]:
    host = recorded_host(ROOT / "tests" / "hosts" / name)
    found = {name: (it.status, it.reason, it.data or None) for name, it in collect(host).items()}
    return read_sections(found), host.now()


def machine(sections: Sections, now: datetime) -> Machine:
    return Machine(
        sections=sections,
        observed_at=now,
        zone="lgwan",
        attributes={"zone": "lgwan", "role": "server"},
        networks=NETWORKS,
    )


def answers(rules: RuleSet, sections: Sections, now: datetime) -> dict[str, Verdict]:
    return {verdict.check: verdict for verdict in evaluate(rules, machine(sections, now), now)}


def rejudged(rules: RuleSet, before: Sections, after: Sections, now: datetime) -> dict[str, Verdict]:
    """The old answers with those that the change touches judged again, from the sections that these read alone."""
    touched = rules.touched(changed_paths(changes(before, after)))
    needed = {name: state for name, state in after.items() if name in rules.sections_of(touched)}
    again = evaluate(rules, machine(needed, now), now, touched)
    return answers(rules, before, now) | {verdict.check: verdict for verdict in again}


def changes(before: Sections, after: Sections) -> list[Change]:
    return [
        Change(section=name, before=before.get(name), after=after.get(name)) for name in before.keys() | after.keys()
    ]


@st.composite
def other_sections(draw: st.DrawFn, before: Sections) -> Sections:
    """Up to three sections as they were not: other values of some fields, the section of another machine, or none."""
    after = dict(before)
    for name in draw(st.lists(st.sampled_from(sorted(section_kinds())), min_size=1, max_size=3, unique=True)):
        what = draw(st.sampled_from(["fields", "fields", "fields", "borrowed", "status", "gone"]))
        state = after.pop(name, None)
        if what == "status":
            status = draw(st.sampled_from(["absent", "denied", "failed", "undecodable"]))
            after[name] = SectionState(status=status, reason=draw(st.sampled_from(["", "why"])))
        elif what == "borrowed":
            lender = recorded(draw(st.sampled_from(RECORDED)))[0]
            after |= {name: lender[name]} if name in lender else {}
        elif what == "fields":
            kind = section_kinds()[name]
            known = dict(state.facts or {}) if state is not None else {}
            for field in draw(st.lists(st.sampled_from(sorted(kind.fields)), min_size=1, max_size=3, unique=True)):
                known.pop(field, None)
                if draw(st.booleans()):
                    known[field] = draw(values(kind.fields[field]))
            after[name] = SectionState(status="ok", facts=known)
    return after


@pytest.mark.parametrize("name", RECORDED)
def test_it_answers_as_if_everything_were_judged_anew(name: str) -> None:
    before, now = recorded(name)

    @given(other_sections(before))
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    def agree(after: Sections) -> None:
        assert rejudged(RULES, before, after, now) == answers(RULES, after, now)

    agree()


@pytest.mark.parametrize("name", RECORDED)
def test_it_answers_rightly_whichever_single_field_changes(name: str) -> None:
    """Also those that only an evidence, a key or an `applies` reads."""
    before, now = recorded(name)
    for section, state in before.items():
        for field in state.facts or {}:
            left = {key: value for key, value in (state.facts or {}).items() if key != field}
            after = {**before, section: SectionState(status="ok", facts=left)}
            assert changed_paths(changes(before, after)) == {f"{section}.{field}"}
            assert rejudged(RULES, before, after, now) == answers(RULES, after, now)


def test_it_names_the_facts_that_differ() -> None:
    before = SectionState(status="ok", facts={"a": 1, "gone": "x", "inner": {"b": 1, "c": (1,)}, "list": ({"d": 1},)})
    after = SectionState(status="ok", facts={"a": 1, "new": True, "inner": {"b": 1, "c": (2,)}, "list": ({"d": 2},)})

    def between(one: SectionState | None, other: SectionState | None) -> frozenset[str]:
        return changed_paths([Change(section="s", before=one, after=other)])

    assert between(before, after) == {"s.gone", "s.new", "s.inner.c", "s.list"}
    assert between(before, before) == frozenset()
    assert between(before, None) == between(None, before) == {"s"}
    assert between(before, SectionState(status="denied")) == {"s"}
    assert between(SectionState(status="denied", reason="a"), SectionState(status="denied", reason="b")) == {"s"}
    assert between(SectionState(status="denied"), SectionState(status="denied")) == frozenset()


def test_a_check_that_reads_other_fields_is_not_judged_again() -> None:
    before, _ = recorded("debian-12")
    state = before["os"]
    after = {**before, "os": SectionState(status="ok", facts={**(state.facts or {}), "kernel": "6.1.0-99-amd64"})}

    touched = RULES.touched(changed_paths(changes(before, after)))

    assert len(touched) < 10 < len(RULES.touched(["os"]))


def test_the_same_instant_is_the_same_fact_and_gives_the_same_text() -> None:
    """Whatever zone a machine wrote it in."""
    moment = datetime(2026, 11, 20, 3, tzinfo=timezone(timedelta(hours=9)))
    update = facts.PendingUpdate(package="openssl", pending_since=moment)
    found = builtins(facts.Patches(pending=(update,), lists_updated_at=moment))

    assert str(found["lists_updated_at"]) == "2026-11-19 18:00:00+00:00"
    assert "+09:00" not in str(msgspec.to_builtins(found))
    assert builtins(facts.Patches(lists_updated_at=moment.astimezone(UTC))) == {
        "lists_updated_at": found["lists_updated_at"]
    }
