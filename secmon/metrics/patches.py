"""Updates: what is pending on which machine, and since when."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import UNSET, Struct
from prometheus_client.core import GaugeMetricFamily, Metric

from secmon.metrics.readings import Reading
from secmon.metrics.view import View
from secmon_agent import facts

KINDS: Final = ("security", "other", "unknown")
"""`unknown`: the machine could not tell whether the update is about security."""
BANDS: Final = ("none", "under_7d", "7d_to_14d", "14d_to_30d", "over_30d", "unknown")


class Pending(Struct, frozen=True, kw_only=True):
    counts: Mapping[str, int]
    """By kind; only above 0."""
    oldest_security: datetime | None
    """Oldest among those whose age is known."""
    determined: bool
    """Whether the age of the oldest security update follows from these facts: every pending update is told apart and
    dated, and "nothing pending" rests on a security archive."""


def host_pending_updates(view: View) -> Iterator[Metric]:
    rows = [
        ((view.fleet.machines[host_id].name, kind), float(count))
        for host_id, pending in _pending(view).items()
        for kind, count in pending.counts.items()
    ]
    yield view.capped(
        "secmon_host_pending_updates",
        "Updates that are offered and not installed.",
        ("host", "kind"),
        sorted(rows, key=lambda row: (KINDS.index(row[0][1]), -row[1], row[0])),
    )


def host_oldest_pending_security_update(view: View) -> Iterator[Metric]:
    rows = [
        ((view.fleet.machines[host_id].name,), pending.oldest_security.timestamp())
        for host_id, pending in _pending(view).items()
        if pending.oldest_security is not None
    ]
    yield view.capped(
        "secmon_host_oldest_pending_security_update_timestamp_seconds",
        "When the oldest security update that is not installed was first seen pending.",
        ("host",),
        sorted(rows, key=lambda row: (row[1], row[0])),
    )


def update_age_hosts(view: View) -> Iterator[Metric]:
    """Machines without a package manager (`absent`) are left out; what is unread or out of date is `unknown`."""
    readings = _readings(view)
    counts: Counter[tuple[str, str]] = Counter()
    for host_id, machine in view.fleet.machines.items():
        reading = readings.get(host_id)
        if reading is not None and reading.status == "absent":
            continue
        stale_after = timedelta(seconds=view.config.stale_after_s(machine.place.zone))
        fresh = machine.last_report is not None and view.now - machine.last_report <= stale_after
        counts[machine.place.zone, _band(reading, view.now) if fresh else "unknown"] += 1
    metric = GaugeMetricFamily(
        "secmon_update_age_hosts",
        "Machines by the age of their oldest pending security update.",
        labels=("zone", "band"),
    )
    for zone in view.fleet.zones:
        for band in BANDS:
            metric.add_metric((zone, band), counts[zone, band])
    yield metric


def _band(reading: Reading | None, now: datetime) -> str:
    pending = reading.brief if reading is not None else None
    if pending is None or not pending.determined:
        return "unknown"
    if pending.oldest_security is None:
        return "none"
    days = (now - pending.oldest_security) / timedelta(days=1)
    return next((band for limit, band in ((7, "under_7d"), (14, "7d_to_14d"), (30, "14d_to_30d")) if days < limit),
                "over_30d")  # fmt: skip


def _readings(view: View) -> Mapping[uuid.UUID, Reading]:
    return view.readings("patches", _brief)


def _pending(view: View) -> dict[uuid.UUID, Pending]:
    return {
        host_id: reading.brief
        for host_id, reading in _readings(view).items()
        if reading.brief is not None and host_id in view.fleet.machines
    }


def _brief(section: facts.Section) -> Pending:
    assert isinstance(section, facts.Patches)  # noqa: S101 — decode_facts("patches", …) gives nothing else
    updates = () if section.pending is UNSET else section.pending
    security = [update for update in updates if update.security is True]
    dated = [update.pending_since for update in security if update.pending_since is not UNSET]
    told_apart = all(update.security is not UNSET for update in updates)
    proven = bool(security) or section.security_archive is True
    return Pending(
        counts=Counter(_kind(update) for update in updates),
        oldest_security=min(dated, default=None),
        determined=section.pending is not UNSET and told_apart and len(dated) == len(security) and proven,
    )


def _kind(update: facts.PendingUpdate) -> str:
    if update.security is UNSET:
        return "unknown"
    return "security" if update.security else "other"


FAMILIES: Final = {
    "host_pending_updates": host_pending_updates,
    "host_oldest_pending_security_update": host_oldest_pending_security_update,
    "update_age_hosts": update_age_hosts,
}
