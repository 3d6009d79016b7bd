"""The table of all families: what /metrics consists of, in the order in which it is printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from secmon.metrics import checks, delivery, findings, hosts, patches, ports, products, restarts, upkeep
from secmon.metrics.view import View

Family = Callable[[View], Iterator[Metric]]


def series_folded(view: View) -> Iterator[Metric]:
    """Of the metrics that were made before this one; it stands last."""
    metric = GaugeMetricFamily(
        "secmon_series_folded", "1: the metric has more series than are shown; the worst are.", labels=("metric",)
    )
    for name, folded in sorted(view.folded.items()):
        metric.add_metric((name,), int(folded))
    yield metric


FAMILIES: Final[Mapping[str, Family]] = {
    **hosts.FAMILIES,
    **patches.FAMILIES,
    **restarts.FAMILIES,
    **products.FAMILIES,
    **ports.FAMILIES,
    **findings.FAMILIES,
    **checks.FAMILIES,
    **delivery.FAMILIES,
    **upkeep.FAMILIES,
    "series_folded": series_folded,
}


def families(view: View) -> Iterator[Metric]:
    """Every family of the snapshot; the first failing one raises."""
    for family in FAMILIES.values():
        yield from family(view)
