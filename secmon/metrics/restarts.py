"""Machines that wait for a restart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from msgspec import UNSET, Struct
from prometheus_client.core import Metric

from secmon.metrics.view import View
from secmon_agent import facts


class Restart(Struct, frozen=True, kw_only=True):
    pending: bool
    since: datetime | None


def host_reboot_pending_since(view: View) -> Iterator[Metric]:
    """Where the machine cannot date its evidence, since the collector first saw it so."""
    readings = view.readings("boot", _brief)
    rows = [
        ((view.fleet.machines[host_id].name,), (reading.brief.since or reading.since).timestamp())
        for host_id, reading in readings.items()
        if reading.brief is not None and reading.brief.pending and host_id in view.fleet.machines
    ]
    yield view.capped(
        "secmon_host_reboot_pending_since_timestamp_seconds",
        "Since when the machine has been waiting for a restart.",
        ("host",),
        sorted(rows, key=lambda row: (row[1], row[0])),
    )


def _brief(section: facts.Section) -> Restart:
    assert isinstance(section, facts.Boot)  # noqa: S101 — decode_facts("boot", …) gives nothing else
    since = section.reboot_pending_since
    return Restart(pending=section.reboot_pending is True, since=None if since is UNSET else since)


FAMILIES: Final = {"host_reboot_pending_since": host_reboot_pending_since}
