"""Judging one recorded machine by all shipped checks: from scratch, and after one section has changed.

Processor time of the evaluation alone; reading sections from the store and writing answers is not in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

from secmon.evaluate.changes import Change, changed_paths
from secmon.evaluate.judge import evaluate
from secmon.evaluate.model import Machine, SectionState
from secmon.evaluate.ruleset import RuleSet, load_rules
from secmon.evaluate.sections import read_sections
from secmon_agent.collect import collect
from secmon_agent.recorded import recorded_host
from tests.bench.figures import Figure, Note

ROOT = Path(__file__).resolve().parents[2]
MACHINES = ("debian-12", "ubuntu-2204-server", "windows-11-ja", "windows-10-apps-ja")
KIND = "family"
"""The field of `os` that nearly every check reads, to tell whether it applies: another one is another machine."""
ROUNDS, TIMES = 15, 20
NETWORKS = (("10.0.0.0/8", "lgwan"), ("192.168.0.0/16", "mynumber"))


def figures() -> Iterator[Figure | Note]:
    rules = load_rules(ROOT / "rules")
    yield Note(text=f"{len(rules.checks)} checks; the best of {ROUNDS} rounds counts")
    for name in MACHINES:
        machine, observed_at = _machine(name)
        yield Figure(
            measure="judging from scratch", subject=name, unit="ms", at_most=2.0,
            value=_best_ms(partial(evaluate, rules, machine, observed_at)),
        )  # fmt: skip
        taken = {section: _after_change_ms(rules, machine, section, observed_at) for section in machine.sections}
        for section in sorted({max(taken, key=lambda section: taken[section]), "os"}):
            yield Figure(
                measure="judging after one changed section", subject=f"{name}, {section}", value=taken[section],
                unit="ms", at_most=0.3,
            )  # fmt: skip
    yield Note(
        text="a changed section is one with another value in every field that it has, except the family of `os`, which "
        "makes it another machine; finding what differs is in the figure"
    )


def _after_change_ms(rules: RuleSet, machine: Machine, section: str, now: datetime) -> float:
    """Every field of the section is another; which checks that touches, and judging them."""
    after = machine.sections[section]
    fields = (after.facts or {}).items()
    kept = {name: value if (section, name) == ("os", KIND) else _other(value) for name, value in fields}
    before = SectionState(status="ok", facts=kept)

    def work() -> None:
        paths = changed_paths([Change(section=section, before=before, after=after)])
        evaluate(rules, machine, now, rules.touched(paths))

    return _best_ms(work)


def _machine(name: str) -> tuple[Machine, datetime]:
    recorded = recorded_host(ROOT / "tests" / "hosts" / name)
    sections = collect(recorded)
    machine = Machine(
        sections=read_sections({name: (it.status, it.reason, it.data or None) for name, it in sections.items()}),
        observed_at=recorded.now(),
        zone="lgwan",
        attributes={"zone": "lgwan", "role": "server"},
        networks=NETWORKS,
    )
    return machine, recorded.now()


def _other(value: object) -> object:
    """A list that differs at its end costs most to compare."""
    return (*value, "one more") if isinstance(value, tuple) else None


def _best_ms(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(TIMES):
            work()
        best = min(best, (time.process_time() - began) / TIMES)
    return best * 1000
