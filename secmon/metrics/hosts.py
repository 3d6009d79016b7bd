"""Machines: how many report, what each is, and since when one is silent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from secmon.metrics.fleet import STATES, Machine
from secmon.metrics.labels import UNKNOWN
from secmon.metrics.systems import systems
from secmon.metrics.view import View


def hosts(view: View) -> Iterator[Metric]:
    counts = Counter((machine.place, machine.state) for machine in view.fleet.machines.values())
    counts.update(view.fleet.missing)
    for stored, count in view.fleet.stored.items():
        counts[stored, "stored"] += count
    metric = GaugeMetricFamily(
        "secmon_hosts", "Machines by whether they report.", labels=("zone", "department", "state")
    )
    for place in view.fleet.places:
        for state in STATES:
            metric.add_metric((*place, state), counts[place, state])
    yield metric


def host_info(view: View) -> Iterator[Metric]:
    metric = GaugeMetricFamily(
        "secmon_host_info",
        "A machine that is in use.",
        labels=("host", "host_id", "zone", "department", "role", "os", "os_version", "agent_version"),
    )
    known = systems(view)
    for machine in view.fleet.machines.values():
        system = known[machine.host_id]
        metric.add_metric(
            (
                machine.name, str(machine.host_id), *machine.place, machine.role, system.id, system.version,
                machine.agent_version or UNKNOWN,
            ),
            1,
        )  # fmt: skip
    yield metric


def host_last_report(view: View) -> Iterator[Metric]:
    metric = GaugeMetricFamily(
        "secmon_host_last_report_timestamp_seconds",
        "Newest moment at which the machine's state is known to be true.",
        labels=("host",),
    )
    for machine in view.fleet.machines.values():
        if machine.last_report is not None:
            metric.add_metric((machine.name,), machine.last_report.timestamp())
    yield metric


def host_silent_since(view: View) -> Iterator[Metric]:
    silent = [machine for machine in view.fleet.machines.values() if machine.state == "silent"]
    yield view.capped(
        "secmon_host_silent_since_timestamp_seconds",
        "Last report of a machine that has been silent for longer than its zone allows.",
        ("host",),
        [((machine.name,), _seconds(machine)) for machine in sorted(silent, key=_seconds)],
    )


def zone_data(view: View) -> Iterator[Metric]:
    newest: dict[str, datetime] = {}
    for machine in view.fleet.machines.values():
        if machine.last_report is not None:
            zone = machine.place.zone
            newest[zone] = max(machine.last_report, newest.get(zone, machine.last_report))
    metric = GaugeMetricFamily(
        "secmon_zone_data_timestamp_seconds", "Newest data of any machine of the zone.", labels=("zone",)
    )
    for zone, moment in sorted(newest.items()):
        metric.add_metric((zone,), moment.timestamp())
    yield metric


def agents(view: View) -> Iterator[Metric]:
    known = systems(view)
    counts = Counter(
        (machine.agent_version or UNKNOWN, known[machine.host_id].family)
        for machine in view.fleet.machines.values()
        if machine.last_report is not None
    )
    metric = GaugeMetricFamily("secmon_agents", "Agents that have reported.", labels=("version", "os"))
    for labels, count in sorted(counts.items()):
        metric.add_metric(labels, count)
    yield metric


def _seconds(machine: Machine) -> float:
    return machine.last_report.timestamp() if machine.last_report else 0.0


FAMILIES: Final = {
    "hosts": hosts,
    "host_info": host_info,
    "host_last_report": host_last_report,
    "host_silent_since": host_silent_since,
    "zone_data": zone_data,
    "agents": agents,
}
