"""What this process counts while it runs: reports by outcome, and how long taking and judging them lasts.

Everything else in `/metrics` is read from the database. These start at 0 with the process; Prometheus knows resets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import Metric

Outcome = Literal[
    "accepted", "heartbeat", "repeated", "fork", "unauthorized", "forbidden", "malformed", "too_large", "busy"
]
"""What became of a report: `accepted` was applied with sections, `heartbeat` without; `repeated` was acknowledged and
not applied, and so was one that came late; `fork` (409), `unauthorized` (401), `forbidden` (403), `malformed` (400),
`too_large` (413), `busy` (503)."""

OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Runtime:
    """Counters of one process, safe to use from any thread:
    `runtime.reports.labels(outcome="accepted").inc()`, `runtime.ingest_duration.observe(seconds)`.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self.reports = Counter(
            "secmon_reports_total", "Reports by what became of them.", ("outcome",), registry=self._registry
        )
        self.ingest_duration = Histogram(
            "secmon_ingest_duration_seconds",
            "From the last byte of a report to its acknowledgement.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.evaluation_duration = Histogram(
            "secmon_evaluation_duration_seconds",
            "Judging one report.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        for outcome in OUTCOMES:
            self.reports.labels(outcome=outcome)

    def families(self) -> Iterator[Metric]:
        """The families as they stand now, without the `_created` samples, which would only double the series."""
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
