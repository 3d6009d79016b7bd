"""The collector itself: what needs no database, so that it is told even when the database is gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from cryptography import x509
from msgspec import Struct
from prometheus_client.core import GaugeMetricFamily, Metric

import secmon
from secmon.config import Config
from secmon.metrics.runtime import Runtime


class Process(Struct, frozen=True, kw_only=True):
    """What these families look at."""

    config: Config
    runtime: Runtime
    certificates: Mapping[str, Path]
    """Usage (`ca`, `server`, …) → PEM file; one that does not exist yet has no series."""


def running(process: Process) -> Iterator[Metric]:
    yield from process.runtime.families()


def certificate_expiry(process: Process) -> Iterator[Metric]:
    metric = GaugeMetricFamily(
        "secmon_certificate_expiry_timestamp_seconds", "Until when a certificate is valid.", labels=("usage",)
    )
    for usage, path in sorted(process.certificates.items()):
        if path.exists():
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
            metric.add_metric((usage,), certificate.not_valid_after_utc.timestamp())
    yield metric


def data_free_bytes(process: Process) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "secmon_data_free_bytes",
        "Free space where the data folder lies.",
        value=shutil.disk_usage(process.config.folder).free,
    )


def build_info(_process: Process) -> Iterator[Metric]:
    metric = GaugeMetricFamily("secmon_build_info", "The version that runs.", labels=("version",))
    metric.add_metric((secmon.__version__,), 1)
    yield metric


def collector_leader(_process: Process) -> Iterator[Metric]:
    """A collector that runs alone leads."""
    yield GaugeMetricFamily("secmon_collector_leader", "1 where fleet metrics and scheduled work come from.", value=1)


FAMILIES: Final[Mapping[str, Callable[[Process], Iterator[Metric]]]] = {
    "running": running,
    "certificate_expiry": certificate_expiry,
    "data_free_bytes": data_free_bytes,
    "build_info": build_info,
    "collector_leader": collector_leader,
}
