"""The three decisions that page one asks for, worst first. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from secmon.evaluate.model import SEVERITIES, Severity
from secmon.reports.model import Decision, FailingMachine, MachineLine, Problem
from secmon.reports.snapshot import Machine

DECISIONS = 3
NOTICE = timedelta(days=7)
"""A decision takes a week: nearer due dates give way to the end of the next month, as those that have passed do."""
MANY_ABSENT = 0.1
"""From this share of all machines on, looking for those that do not report is as urgent as a severe problem."""


def wanted(
    failing: Sequence[FailingMachine], machines: Iterable[Machine], at: datetime, next_month_ends: datetime
) -> tuple[Decision, ...]:
    candidates = [*_fixes(failing, at, next_month_ends), *_search(list(machines), next_month_ends)]
    return tuple(sorted(candidates, key=_urgency)[:DECISIONS])


def _urgency(decision: Decision) -> tuple[int, int, int, str]:
    return SEVERITIES.index(decision.severity), -decision.overdue, -decision.machines, decision.check


def _fixes(failing: Sequence[FailingMachine], at: datetime, next_month_ends: datetime) -> Iterable[Decision]:
    by_check: dict[tuple[str, Severity], list[tuple[MachineLine, Problem]]] = defaultdict(list)
    for each in failing:
        for problem in each.problems:
            by_check[problem.check, problem.severity].append((each.machine, problem))
    for (check, severity), found in by_check.items():
        lines = {machine.host_id: machine for machine, _ in found}
        ahead = [problem.due_at for _, problem in found if problem.due_at and problem.due_at > at + NOTICE]
        yield Decision(
            kind="fix",
            check=check,
            severity=severity,
            machines=len(lines),
            overdue=len({line.host_id for line, problem in found if problem.due_at and problem.due_at <= at}),
            due_at=min(ahead, default=next_month_ends),
            departments=_departments(lines.values()),
        )


def _search(machines: Sequence[Machine], next_month_ends: datetime) -> Iterable[Decision]:
    absent = [machine.line for machine in machines if machine.presence != "reporting"]
    if absent:
        yield Decision(
            kind="find",
            check="",
            severity="high" if len(absent) >= MANY_ABSENT * len(machines) else "medium",
            machines=len(absent),
            overdue=0,
            due_at=next_month_ends,
            departments=_departments(absent),
        )


def _departments(lines: Iterable[MachineLine]) -> tuple[str, ...]:
    """Most machines first; an empty name stands for machines without a department."""
    counted = Counter(line.department for line in lines)
    return tuple(sorted(counted, key=lambda name: (-counted[name], name)))
