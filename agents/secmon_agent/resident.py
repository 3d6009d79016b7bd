"""When the resident agent does what: a cycle every interval, jittered; what waits is tried again with growing, jittered
pauses. Imports little: the supervisor keeps it in memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

from secmon_agent.outcome import Outcome

BACKOFF_BASE_S = 5.0
BACKOFF_CAP_S = 900.0
START_JITTER_S = 60.0
"""At most; machines that were switched on together do not report together."""
OVERSLEPT_S = 30.0
"""A pause that ended so much too late was a sleep of the whole machine."""

What = Literal["cycle", "store", "deliver"]
"""Of a turn: report and hand over; report into the spool alone; hand over what waits there."""


def backoff_s(failures: int, retry_after_s: float | None, draw: Callable[[], float] = random.random) -> float:
    """Pause after `failures` in a row (1 is the first): full jitter, never below what the collector asked for."""
    pause = 1.0 + draw() * min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0 ** min(failures, 16))
    if retry_after_s is not None:
        pause = max(pause, retry_after_s * (1 + draw() / 4))
    return pause


def interval_jittered_s(interval_s: int, draw: Callable[[], float] = random.random) -> float:
    return interval_s * (0.9 + 0.2 * draw())


def start_jitter_s() -> float:
    return random.random() * START_JITTER_S  # noqa: S311 - spreads load, guards nothing


class Schedule:
    """When the next cycle and the next try are due, on a clock that is never set."""

    def __init__(self, now_s: float) -> None:
        self._cycle_at = now_s
        self._try_at = now_s
        self._failures = 0

    def what(self, now_s: float) -> What:
        if now_s < self._cycle_at:
            return "deliver"
        return "cycle" if now_s >= self._try_at else "store"

    def due_s(self) -> float:
        return self._cycle_at if self._failures == 0 else min(self._cycle_at, self._try_at)

    def pause_s(self, now_s: float) -> float:
        return max(0.0, self.due_s() - now_s)

    def note(self, now_s: float, outcome: Outcome, interval_s: int, *, cycled: bool) -> None:
        if cycled:
            self._cycle_at = now_s + interval_jittered_s(interval_s)
        elif outcome.forked or outcome.wanted or outcome.enrolled:
            self._cycle_at = now_s
        if outcome.trouble:
            self._failures += 1
            self._try_at = now_s + backoff_s(self._failures, outcome.retry_after_s)
        elif outcome.waiting == 0:
            self._failures = 0
            self._try_at = now_s
