"""An answer's last 90 days as a strip: where each status begins and ends, in drawing units."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from secmon.console.machine import HISTORY, Interval
from secmon.evaluate.model import Status

WIDTH = 900
"""Units of the whole strip: ten a day."""
_VISIBLE = 8.0
"""However short it was, it can be seen."""


class Span(Struct, frozen=True, kw_only=True):
    x: float
    width: float
    status: Status
    since: datetime
    until: datetime | None


def spans(history: Sequence[Interval], now: datetime) -> tuple[Span, ...]:
    """Neighbours of the same status are one span; what lies before the window is cut off."""
    start = now - HISTORY
    merged: list[Interval] = []
    for interval in history:
        last = merged[-1] if merged else None
        if last is not None and last.status == interval.status and last.until == interval.since:
            merged[-1] = Interval(
                status=last.status, reason="", evidence="", cause=last.cause, since=last.since, until=interval.until
            )
        else:
            merged.append(interval)
    return tuple(span for interval in merged if (span := _span(interval, start, now)).width > 0)


def _span(interval: Interval, start: datetime, now: datetime) -> Span:
    unit = HISTORY / WIDTH
    left = max(interval.since, start) - start
    right = min(interval.until or now, now) - start
    x, end = left / unit, right / unit
    return Span(
        x=round(min(x, WIDTH - _VISIBLE), 1),
        width=round(max(end - x, _VISIBLE), 1) if end > x else 0.0,
        status=interval.status,
        since=interval.since,
        until=interval.until,
    )
