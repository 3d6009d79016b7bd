"""Every recorded machine gives exactly its golden."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from secmon_agent import collect, facts_document
from secmon_agent.probes import FAMILIES, probes_for
from secmon_agent.recorded import recorded_host

TESTS = Path(__file__).parents[2]
RECORDED = sorted(path.name for path in (TESTS / "hosts").iterdir() if (path / "host.json").exists())
HOSTS = [name for name in RECORDED if sys.platform != "win32" or name.startswith("windows")]
"""A recorded Linux needs its lz4 library, which Windows has not."""
FAILED = {"windows-server-2019-ja": {"patches": "ProbeError: Windows Update: error 0x8024402C"}}
"""Trouble that belongs to the recorded machine."""


@pytest.mark.parametrize("name", HOSTS)
def test_it_reads_a_recorded_machine_as_its_golden_says(name: str, update_golden: bool) -> None:
    host = recorded_host(TESTS / "hosts" / name)
    found = facts_document.facts_document(collect.collect(host), host).decode()
    golden = TESTS / "golden" / f"{name}.json"
    if update_golden:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", HOSTS)
def test_it_finds_the_same_again_from_memory(name: str) -> None:
    host = recorded_host(TESTS / "hosts" / name)
    assert collect.collect(host) == collect.collect(host)


@pytest.mark.skipif(sys.platform == "win32", reason="a recorded Linux needs its lz4 library")
def test_every_probe_succeeds_on_some_recorded_machine() -> None:
    succeeded = {family: set[str]() for family in FAMILIES}
    for name in HOSTS:
        host = recorded_host(TESTS / "hosts" / name)
        sections = collect.collect(host)
        succeeded[host.family] |= {section for section, answer in sections.items() if answer.status == "ok"}
    assert succeeded == {family: set(probes_for(family)) for family in FAMILIES}


@pytest.mark.parametrize("name", HOSTS)
def test_no_probe_fails_on_a_recorded_machine(name: str) -> None:
    sections = collect.collect(recorded_host(TESTS / "hosts" / name))
    assert {section: it.reason for section, it in sections.items() if it.status == "failed"} == FAILED.get(name, {})


@pytest.mark.parametrize("name", HOSTS)
def test_no_name_of_a_person_leaves_a_machine(name: str) -> None:
    host = recorded_host(TESTS / "hosts" / name)
    text = facts_document.facts_document(collect.collect(host), host).decode().lower()
    assert [person for person in ("yamada", "hanako", "suzuki", "kensyu,") if person in text] == []


@pytest.mark.parametrize("name", HOSTS)
def test_a_recording_says_where_it_comes_from(name: str) -> None:
    text = (TESTS / "hosts" / name / "README.md").read_text(encoding="utf-8")
    assert "Made from documentation" in text or "Recorded on a real" in text
