"""The facts file: what is written is read again, and a fault is named with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon_agent import collect, facts, facts_document, wire
from secmon_agent.facts_document import MAX_DOCUMENT_BYTES
from secmon_agent.host import Host

moments = st.integers(946684800, 4102444800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
packages = st.builds(facts.Package, name=texts, version=texts, source=st.sampled_from(["dpkg", "registry"]))
updates = st.builds(facts.PendingUpdate, package=texts, security=st.booleans(), pending_since=moments)
ok_facts: dict[str, st.SearchStrategy[facts.Section]] = {
    "software": st.builds(facts.Software, packages=st.lists(packages, max_size=5).map(tuple)),
    "patches": st.builds(facts.Patches, pending=st.lists(updates, max_size=5).map(tuple), lists_updated_at=moments),
    "boot": st.builds(facts.Boot, reboot_pending=st.booleans(), reboot_pending_since=moments),
    "host": st.builds(facts.Host, hostname=texts, memory_bytes=st.integers(0, 2**50)),
}
others = st.builds(wire.other_section, st.sampled_from(["absent", "denied", "failed", "unsupported"]), texts, moments)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, wire.Section]:
    sections: dict[str, wire.Section] = {}
    for name in draw(st.sets(st.sampled_from(sorted(facts.SECTIONS)))):
        if name in ok_facts and draw(st.booleans()):
            sections[name] = wire.ok_section(draw(ok_facts[name]), draw(moments))
        else:
            sections[name] = draw(others)
    return sections


@settings(max_examples=60, deadline=None)
@given(documents())
def test_it_reads_what_it_wrote(sections: dict[str, wire.Section]) -> None:
    moment, again = facts_document.read_facts_document(facts_document.facts_document(sections, collect.live_host(None)))
    assert again == sections
    assert not sections or moment == max(it.collected_at for it in sections.values())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | texts.map(str.encode))
def test_it_refuses_everything_else_as_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="facts file"):
        facts_document.read_facts_document(data)


def _document(**sections: object) -> bytes:
    moment = "2026-11-23T00:00:00Z"
    return json.dumps(
        {"format": "secmon.facts.v1", "collected_at": moment, "hostname": "pc1", "sections": sections}
    ).encode()


MOMENT = {"collected_at": "2026-11-23T00:00:00Z"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_document(os={"status": "ok", "facts": {"build": "many"}, **MOMENT}), r"\$\.build.*\$\.sections\.os"),
        (_document(os={"status": "ok", **MOMENT}), r"there are no facts - at `\$\.sections\.os"),
        (_document(os={"status": "fine", **MOMENT}), r"unknown status 'fine' - at `\$\.sections\.os"),
        (_document(os={"status": "absent", "collected_at": "2026-11-23T00:00:00"}), r"\$\.sections\[\.\.\.\]"),
        (_document(os={"status": "ok", "facts": {}, **MOMENT}).replace(b"secmon.facts.v1", b"v9"), r"\$\.format"),
        (b"[" * 10_000, "facts file"),
        (b" " * (MAX_DOCUMENT_BYTES + 1), "limit"),
    ],
)
def test_it_names_the_fault_and_its_place(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        facts_document.read_facts_document(data)


def test_a_section_of_a_newer_agent_is_unsupported() -> None:
    _, sections = facts_document.read_facts_document(
        _document(moon_phase={"status": "ok", "facts": {"full": True}, **MOMENT})
    )
    assert (sections["moon_phase"].status, "moon_phase" in sections["moon_phase"].reason) == ("unsupported", True)


def test_the_document_names_the_machine(changed_host: Callable[..., Host]) -> None:
    host = changed_host("ubuntu-2204-server")
    assert json.loads(facts_document.facts_document(collect.collect(host), host).decode())["hostname"] == "bunsho01"
