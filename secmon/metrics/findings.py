"""Findings: what is wrong on which machine, since when, until when, and how many come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from secmon.metrics.fleet import Machine
from secmon.metrics.labels import NONE, SEVERITIES
from secmon.metrics.problems import Problem
from secmon.metrics.view import View
from secmon.store.exceptions import register

STATES: Final = ("open", "acknowledged", "excepted", "disputed")
"""States of an unresolved finding."""
EVENTS: Final = ("opened", "resolved")
"""A finding that is opened again within a day counts as opened."""
CAUSES: Final = ("machine", "time", "rules", "attributes", "baseline")


def finding_opened(view: View) -> Iterator[Metric]:
    """One series for all items of a check on a machine: the oldest one's beginning."""
    oldest: dict[tuple[Machine, str, str, str], datetime] = {}
    for each in view.problems:
        key = (each.machine, each.check, each.severity, each.state)
        oldest[key] = min(each.opened_at, oldest.get(key, each.opened_at))
    worst = sorted(oldest.items(), key=lambda row: (_rank(row[0][2]), row[1], row[0][0].name, row[0][1], row[0][3]))
    yield view.capped(
        "secmon_finding_opened_timestamp_seconds",
        "When the oldest unresolved finding of this check on this machine was opened.",
        ("host", "zone", "check", "severity", "state"),
        [
            ((machine.name, machine.place.zone, check, severity, state), moment.timestamp())
            for (machine, check, severity, state), moment in worst
        ],
    )


def finding_due(view: View) -> Iterator[Metric]:
    first: dict[tuple[str, str], tuple[int, datetime]] = {}
    for each in filter(_is_due, view.problems):
        key = (each.machine.name, each.check)
        first[key] = min((_rank(each.severity), each.due_at), first.get(key, (_rank(each.severity), each.due_at)))
    yield view.capped(
        "secmon_finding_due_timestamp_seconds",
        "By when the first unresolved finding of this check on this machine is due.",
        ("host", "check"),
        [(key, due.timestamp()) for key, (_, due) in sorted(first.items(), key=lambda row: (row[1], row[0]))],
    )


def findings(view: View) -> Iterator[Metric]:
    """Those of machines that never reported among them, where the ledger says that they are."""
    counts = Counter((each.machine.place, each.severity, each.state) for each in view.problems)
    counts.update((each.place, each.severity, each.state) for each in view.asset_problems)
    metric = GaugeMetricFamily(
        "secmon_findings", "Unresolved findings.", labels=("zone", "department", "severity", "state")
    )
    for place in view.fleet.places:
        for severity in SEVERITIES:
            for state in STATES:
                metric.add_metric((*place, severity, state), counts[place, severity, state])
    yield metric


def findings_overdue(view: View) -> Iterator[Metric]:
    counts = Counter(
        (each.machine.place, each.severity) for each in view.problems if each.is_due and each.due_at < view.now
    )
    counts.update((each.place, each.severity) for each in view.asset_problems if each.is_due and each.due_at < view.now)
    metric = GaugeMetricFamily(
        "secmon_findings_overdue",
        "Unresolved findings past their due date, excepted and disputed ones left out.",
        labels=("zone", "department", "severity"),
    )
    for place in view.fleet.places:
        for severity in SEVERITIES:
            metric.add_metric((*place, severity), counts[place, severity])
    yield metric


def finding_transitions(view: View) -> Iterator[Metric]:
    counts: Counter[tuple[str, str, str]] = Counter()
    for (zone, event, cause), count in view.memory.totals.read(view.connection, view.now).items():
        counts[zone or NONE, "opened" if event == "reopened" else event, cause] += count
    zones = sorted({*view.fleet.zones, *(zone for zone, event, _ in counts if event in EVENTS)})
    metric = CounterMetricFamily(
        "secmon_finding_transitions", "Findings that came and went.", labels=("zone", "event", "cause")
    )
    for zone in zones:
        for event in EVENTS:
            for cause in CAUSES:
                metric.add_metric((zone, event, cause), counts[zone, event, cause])
    yield metric


def host_exposed_ports(view: View) -> Iterator[Metric]:
    """Ports that a check of the area `ports` finds fault with; what any of them calls grave is `high` and no more."""
    high: dict[str, set[str]] = {}
    unexpected: dict[str, set[str]] = {}
    for each in filter(_is_due, view.problems):
        check = view.rules.checks.get(each.check)
        if check is not None and check.area == "ports" and each.item:
            (high if each.severity == "high" else unexpected).setdefault(each.machine.name, set()).add(each.item)
    rows = [((host, "high"), float(len(ports))) for host, ports in high.items()]
    rows += [
        ((host, "unexpected"), float(len(rest)))
        for host, ports in unexpected.items()
        if (rest := ports - high.get(host, set()))
    ]
    yield view.capped(
        "secmon_host_exposed_ports",
        "Ports open to the network that a check finds fault with.",
        ("host", "risk"),
        sorted(rows, key=lambda row: (row[0][1], -row[1], row[0])),
    )


def exception_expiry(view: View) -> Iterator[Metric]:
    """Exceptions in force; a dispute is none."""
    records = [each for each in register(view.connection, view.now).records if each.kind == "exception"]
    yield view.capped(
        "secmon_exception_expiry_timestamp_seconds",
        "When an exception that is in force ends.",
        ("exception", "check"),
        [
            ((each.number, each.scope.check), each.valid_to.timestamp())
            for each in sorted(records, key=lambda each: (each.valid_to, each.number))
        ],
    )


def _is_due(problem: Problem) -> bool:
    return problem.is_due


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


FAMILIES: Final = {
    "finding_opened": finding_opened,
    "finding_due": finding_due,
    "findings": findings,
    "findings_overdue": findings_overdue,
    "host_exposed_ports": host_exposed_ports,
    "finding_transitions": finding_transitions,
    "exception_expiry": exception_expiry,
}
