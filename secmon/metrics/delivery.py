"""Notifications: what was sent, tried again, given up, and what still waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from secmon.metrics.view import View
from secmon.notify.queue import channel_of
from secmon.store.schema import deliveries, dispatches

CHANNELS: Final = ("smtp", "folder")
OUTCOMES: Final = ("sent", "retried", "parked", "suppressed")


def notifications(view: View) -> Iterator[Metric]:
    """`retried` counts the attempts after the first, whatever became of them. `suppressed` counts changes that nobody
    was told because the same comes and goes; they never reached a channel, and stand under the one in use."""
    by_status = (
        sa.select(deliveries.c.channel, deliveries.c.status, sa.func.count(), sa.func.sum(_REPEATS))
        .group_by(deliveries.c.channel, deliveries.c.status)
        .order_by(deliveries.c.channel)
    )
    counts: Counter[tuple[str, str]] = Counter()
    for channel, status, count, repeats in view.connection.execute(by_status):
        counts[channel, status] += count
        counts[channel, "retried"] += int(repeats or 0)
    counts[channel_of(view.config), "suppressed"] = view.connection.execute(_SUPPRESSED).scalar_one()
    metric = CounterMetricFamily(
        "secmon_notifications", "Notifications by what became of them.", labels=("channel", "outcome")
    )
    for channel in _channels(counts):
        for outcome in OUTCOMES:
            metric.add_metric((channel, outcome), counts[channel, outcome])
    yield metric


def notifications_pending(view: View) -> Iterator[Metric]:
    rows = view.connection.execute(
        sa.select(deliveries.c.channel, sa.func.count())
        .where(deliveries.c.status == "pending")
        .group_by(deliveries.c.channel)
    )
    counts = Counter({(channel, "pending"): count for channel, count in rows})
    metric = GaugeMetricFamily(
        "secmon_notifications_pending", "Notifications that wait to be sent.", labels=("channel",)
    )
    for channel in _channels(counts):
        metric.add_metric((channel,), counts[channel, "pending"])
    yield metric


_SUPPRESSED: Final = sa.select(sa.func.count()).select_from(dispatches).where(dispatches.c.outcome == "suppressed")
_REPEATS: Final = sa.case((deliveries.c.attempts > 1, deliveries.c.attempts - 1), else_=0)


def _channels(counts: Counter[tuple[str, str]]) -> list[str]:
    return sorted({*CHANNELS, *(channel for channel, _ in counts)})


FAMILIES: Final = {"notifications": notifications, "notifications_pending": notifications_pending}
