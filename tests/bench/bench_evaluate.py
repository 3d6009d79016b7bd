"""Judging one recorded machine by all shipped checks: from scratch, and after one section has changed.

Processor time of the evaluation alone; reading sections from the store and writing answers is not in it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from pathlib import Path

from secmon.evaluate.judge import evaluate
from secmon.evaluate.model import Machine
from secmon.evaluate.ruleset import RuleSet, load_rules
from secmon.evaluate.sections import read_sections
from secmon_agent.collect import collect
from secmon_agent.recorded import recorded_host
from tests.bench.figures import Figure, Note

ROOT = Path(__file__).resolve().parents[2]
MACHINES = ("debian-12", "ubuntu-2204-server", "windows-11-ja")
CHANGING = ("patches", "ports", "software", "accounts", "hardening")
"""Sections that change while a machine stays what it is."""
SELDOM = ("os",)
"""Nearly every check reads it, to tell whether it applies; it changes with an upgrade of the system."""
ROUNDS, TIMES = 15, 20
NETWORKS = (("10.0.0.0/8", "lgwan"), ("192.168.0.0/16", "mynumber"))


def figures() -> Iterator[Figure | Note]:
    rules = load_rules(ROOT / "rules")
    yield Note(text=f"{len(rules.checks)} checks; the best of {ROUNDS} rounds counts")
    for name in MACHINES:
        machine = _machine(name)
        yield Figure(
            measure="judging from scratch", subject=name, value=_best_ms(rules, machine, None), unit="ms", at_most=2.0
        )
        for section in SELDOM:
            yield Figure(
                measure="judging after one changed section", subject=f"{name}, {section}",
                value=_best_ms(rules, machine, rules.touched([section])), unit="ms", at_most=0.3,
            )  # fmt: skip
        taken = {section: _best_ms(rules, machine, rules.touched([section])) for section in CHANGING}
        worst = max(taken, key=lambda section: taken[section])
        yield Figure(
            measure="judging after one changed section", subject=f"{name}, {worst}", value=taken[worst], unit="ms",
            at_most=0.3,
        )  # fmt: skip


def _machine(name: str) -> Machine:
    recorded = recorded_host(ROOT / "tests" / "hosts" / name)
    sections = collect(recorded)
    return Machine(
        sections=read_sections({name: (it.status, it.reason, it.data or None) for name, it in sections.items()}),
        observed_at=recorded.now(),
        zone="lgwan",
        attributes={"zone": "lgwan", "role": "server"},
        networks=NETWORKS,
    )


def _best_ms(rules: RuleSet, machine: Machine, checks: Collection[str] | None) -> float:
    assert machine.observed_at is not None
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(TIMES):
            evaluate(rules, machine, machine.observed_at, checks)
        best = min(best, (time.process_time() - began) / TIMES)
    return best * 1000
