"""Operating systems in use, by release, and until when each gets security fixes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from secmon.evaluate.lifecycle import Lifecycle
from secmon.metrics.systems import System, systems
from secmon.metrics.view import View


def product_hosts(view: View) -> Iterator[Metric]:
    known = systems(view)
    counts = Counter(
        (machine.place.zone, known[machine.host_id].id, _cycle(view.rules.lifecycle, known[machine.host_id]))
        for machine in view.fleet.machines.values()
        if machine.last_report is not None
    )
    metric = GaugeMetricFamily(
        "secmon_product_hosts", "Machines on which a release is installed.", labels=("zone", "product", "cycle")
    )
    for labels, count in sorted(counts.items()):
        metric.add_metric(labels, count)
    yield metric


def product_end_of_support(view: View) -> Iterator[Metric]:
    """Of the releases in use; where editions end differently, the first of them. What is not known is absent."""
    ends: dict[tuple[str, str], datetime] = {}
    for system in set(systems(view).values()):
        end = view.rules.lifecycle.end_of_support(system.id, _release(system), system.edition)
        if end is not None:
            key = (system.id, _cycle(view.rules.lifecycle, system))
            ends[key] = min(end, ends.get(key, end))
    metric = GaugeMetricFamily(
        "secmon_product_end_of_support_timestamp_seconds",
        "From when a release gets no more security fixes without a contract.",
        labels=("product", "cycle"),
    )
    for key, end in sorted(ends.items()):
        metric.add_metric(key, end.timestamp())
    yield metric


def _release(system: System) -> str:
    """As the lifecycle data names it: Windows by its build."""
    return system.build or system.version


def _cycle(lifecycle: Lifecycle, system: System) -> str:
    """As people name it: "24H2", "12"; "9" where the system says "9.4" and the data knows 9."""
    found = None if system.build else lifecycle.find(system.id, _release(system), system.edition)
    return found.cycle if found else system.version


FAMILIES: Final = {"product_hosts": product_hosts, "product_end_of_support": product_end_of_support}
