"""The resident agent: a cycle every interval, jittered; what waits is tried again with growing, jittered pauses."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from secmon_agent.agent import Agent, Outcome
from secmon_agent.errors import AgentError

BACKOFF_BASE_S = 5.0
BACKOFF_CAP_S = 900.0
START_JITTER_S = 60.0
"""At most; machines that were switched on together do not report together."""

Log = Callable[[str], None]
Sleep = Callable[[float], None]


def backoff_s(failures: int, retry_after_s: float | None, draw: Callable[[], float] = random.random) -> float:
    """Pause after `failures` in a row (1 is the first): full jitter, never below what the collector asked for."""
    pause = 1.0 + draw() * min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0 ** min(failures, 16))
    if retry_after_s is not None:
        pause = max(pause, retry_after_s * (1 + draw() / 4))
    return pause


def interval_jittered_s(interval_s: int, draw: Callable[[], float] = random.random) -> float:
    return interval_s * (0.9 + 0.2 * draw())


class Schedule:
    """When the next cycle and the next try are due, on a monotonic clock."""

    def __init__(self, now_s: float) -> None:
        self._cycle_at = now_s
        self._try_at = now_s
        self._failures = 0

    def cycle_due(self, now_s: float) -> bool:
        return now_s >= self._cycle_at

    def may_deliver(self, now_s: float) -> bool:
        return now_s >= self._try_at

    def pause_s(self, now_s: float) -> float:
        due = self._cycle_at if self._failures == 0 else min(self._cycle_at, max(self._try_at, now_s))
        return max(0.0, due - now_s)

    def note(self, now_s: float, outcome: Outcome, interval_s: int, *, cycled: bool) -> None:
        if cycled:
            self._cycle_at = now_s + interval_jittered_s(interval_s)
        elif outcome.forked or outcome.wanted:
            self._cycle_at = now_s
        if outcome.trouble:
            self._failures += 1
            self._try_at = now_s + backoff_s(self._failures, outcome.retry_after_s)
        elif outcome.waiting == 0:
            self._failures = 0
            self._try_at = now_s


def run(agent: Agent, log: Log, *, sleep: Sleep = time.sleep, at_once: bool = False) -> None:
    """Until the process is told to end, which it may be at any instant."""
    if not at_once:
        sleep(random.random() * min(START_JITTER_S, agent.interval_s / 10))  # noqa: S311 - spreads load, guards nothing
    schedule = Schedule(time.monotonic())
    said = ""
    while True:
        now_s = time.monotonic()
        cycled = schedule.cycle_due(now_s)
        outcome = _attempt(agent, cycled=cycled, deliver=schedule.may_deliver(now_s))
        schedule.note(time.monotonic(), outcome, agent.interval_s, cycled=cycled)
        if cycled or outcome.trouble != said:
            log(outcome.line())
        said = outcome.trouble
        sleep(schedule.pause_s(time.monotonic()))


def _attempt(agent: Agent, *, cycled: bool, deliver: bool) -> Outcome:
    try:
        return agent.cycle(deliver=deliver) if cycled else agent.drain()
    except AgentError as error:
        return Outcome(trouble=str(error))


def until_enrolled(ask: Callable[[], bool], log: Log, *, sleep: Sleep = time.sleep) -> None:
    """Repeat a pending enrollment until `ask` answers that it is through."""
    failures = 1
    while True:
        try:
            if ask():
                return
            log("the enrollment waits for approval at the collector")
        except AgentError as error:
            log(str(error))
        sleep(max(60.0, backoff_s(failures, None)))
        failures += 1
