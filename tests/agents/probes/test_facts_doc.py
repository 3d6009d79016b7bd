"""docs/facts.md says what the code says, and the code says all of it."""

from __future__ import annotations

import pytest

from secmon_agent import facts
from tests.agents import make_facts_doc, probe_source
from tests.agents.make_facts_doc import DOCUMENT, rows, sentences

TABLES = probe_source.probes()
PROBES = [(family, name, probe) for family, table in TABLES.items() for name, probe in table.items()]
ROWS = [(name, row) for name, kind in facts.SECTIONS.items() for row in rows(kind, sentences(), {})]


def test_it_is_current(update_golden: bool) -> None:
    made = make_facts_doc.document()
    if update_golden:
        DOCUMENT.write_text(made, encoding="utf-8", newline="\n")
    assert DOCUMENT.read_text(encoding="utf-8") == made, "pytest tests/agents/probes --update-golden writes it anew"


@pytest.mark.parametrize(("family", "name", "probe"), PROBES, ids=[f"{family}-{name}" for family, name, _ in PROBES])
def test_a_probe_says_what_it_reads_and_with_which_rights(family: str, name: str, probe: probe_source.Probe) -> None:
    assert probe.sources.startswith(("Source: ", "Sources: ")), f"{name} on {family}"
    assert probe.rights.startswith("Rights: "), f"{name} on {family}"


def test_every_field_and_kind_of_fact_has_a_sentence() -> None:
    said = sentences()
    assert not [f"{name}.{row.name}" for name, row in ROWS if not row.sentence]
    assert not [kind for kind, sentence in said.kinds.items() if not sentence]


def test_every_field_is_told_by_some_probe() -> None:
    for name, kind in facts.SECTIONS.items():
        told = {family: probe_source.fields_told(table[name]) for family, table in TABLES.items() if name in table}
        found = list(rows(kind, sentences(), told))
        known = {row.key for row in found if row.families}
        assert not [f"{name}.{row.name}" for row in found if row.key not in known]


def test_it_tells_the_platforms_apart() -> None:
    lines = make_facts_doc.document().splitlines()
    build = next(line for line in lines if line.startswith("| `build` "))
    kernel = next(line for line in lines if line.startswith("| `kernel_newest` "))
    assert ("| Windows |" in build, "| Linux |" in kernel) == (True, True)
