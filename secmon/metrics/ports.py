"""Ports that answer to the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from msgspec import UNSET
from prometheus_client.core import GaugeMetricFamily, Metric

from secmon.metrics.view import View
from secmon_agent import facts

MAX_PORTS: Final = 100
"""Ports with a series of their own, those of most machines first; the rest is `other`, one a protocol."""

Port = tuple[str, str]
"""(protocol, port or `other`)."""


def port_hosts(view: View) -> Iterator[Metric]:
    readings = view.readings("ports", _brief)
    present = [
        (machine.place.zone, readings[host_id].brief)
        for host_id, machine in view.fleet.machines.items()
        if host_id in readings and readings[host_id].brief is not None
    ]
    fleet: Counter[Port] = Counter(port for _, ports in present for port in ports)
    named = {port for port, _ in sorted(fleet.items(), key=lambda row: (-row[1], row[0]))[:MAX_PORTS]}
    counts = Counter(
        (zone, *port)
        for zone, ports in present
        for port in {port if port in named else (port[0], "other") for port in ports}
    )
    metric = GaugeMetricFamily(
        "secmon_port_hosts",
        "Machines on which a port waits for others beyond the machine itself.",
        labels=("zone", "protocol", "port"),
    )
    for labels, count in sorted(counts.items()):
        metric.add_metric(labels, count)
    yield metric


def _brief(section: facts.Section) -> frozenset[Port] | None:
    assert isinstance(section, facts.Ports)  # noqa: S101 — decode_facts("ports", …) gives nothing else
    if section.listening is UNSET:
        return None
    return frozenset((each.protocol, str(each.port)) for each in section.listening if each.reach == "network")


FAMILIES: Final = {"port_hosts": port_hosts}
