"""A clock that is set forth and back by years, and a machine that sleeps: nothing is dropped, and nothing is late."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon_agent import resident
from secmon_agent.outcome import Outcome, Turn
from secmon_agent.spool import FULL, Spool
from secmon_agent.supervisor import supervise
from tests.agents.desk import Desk, ports
from tests.agents.server import Collector

YEAR_S = 366 * 86_400.0
INTERVAL_S = 900.0
JUMPS = st.one_of(
    st.just(0.0), st.floats(-40 * YEAR_S, 40 * YEAR_S), st.sampled_from([-YEAR_S, YEAR_S, -3600.0, 3600.0])
)
NOW_S = 1_800_000_000.0


class Wall:
    """A clock on the wall that somebody sets, beside the time that really passes."""

    def __init__(self) -> None:
        self.lived_s = 0.0
        self._ahead_s = NOW_S

    def pass_(self, seconds: float, jump_s: float = 0.0) -> None:
        self.lived_s += seconds
        self._ahead_s += jump_s

    @property
    def shows_s(self) -> float:
        return min(max(self.lived_s + self._ahead_s, 1.0), 8e9)


@settings(max_examples=10 if sys.platform == "win32" else 60, deadline=None)
@given(
    cycles=st.lists(st.tuples(st.booleans(), st.floats(0.9, 1.1), JUMPS), min_size=1, max_size=25),
    max_age=st.sampled_from([3, 10, 1000]),
)
def test_it_drops_nothing_for_what_a_clock_shows(cycles: list[tuple[bool, float, float]], max_age: int) -> None:
    """A report leaves by age only after the agent was at work for so long; the newest with sections stays for good."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr("secmon_agent.durable.os.fsync", lambda _: None)
        spool = Spool(Path(folder), bytes(32), max_bytes=1 << 30, max_age_s=max_age * INTERVAL_S)
        spool.prepare()
        wall, born = Wall(), {}
        for heartbeat, pause, jump_s in cycles:
            wall.pass_(pause * INTERVAL_S, jump_s)
            name = spool.put(b"sealed", heartbeat=heartbeat)
            os.utime(Path(folder) / "spool" / name, (wall.shows_s, wall.shows_s))
            born[name] = wall.lived_s
            spool.trim(INTERVAL_S)
            waiting = set(spool.names())
            newest = max((each for each in born if each.endswith(FULL)), default=name)
            assert newest in waiting
            assert name in waiting or newest > name
            young = {each for each, then in born.items() if wall.lived_s - then <= 0.9 * max_age * INTERVAL_S}
            assert young <= waiting


def test_it_still_drops_what_is_too_old_after_a_jump(tmp_path: Path) -> None:
    spool = Spool(tmp_path, bytes(32), max_bytes=1 << 30, max_age_s=5 * INTERVAL_S)
    spool.prepare()
    wall = Wall()
    for number in range(20):
        wall.pass_(INTERVAL_S, {3: 30 * YEAR_S, 7: -40 * YEAR_S}.get(number, 0.0))
        name = spool.put(b"sealed", heartbeat=False)
        os.utime(tmp_path / "spool" / name, (wall.shows_s, wall.shows_s))
        spool.trim(INTERVAL_S)
    assert len(spool.names()) == 6


def test_it_hands_over_everything_that_was_stored_under_whatever_clock(desk: Desk, collector: Collector) -> None:
    for number, year in enumerate((1970, 2026, 2099, 2026, 1999)):
        desk.sections["ports"] = ports(number + 1)
        desk.agent().cycle(deliver=False)
        at = (year - 1970) * YEAR_S + 1
        os.utime(desk.waiting()[-1], (at, at))
    assert len(desk.waiting()) == 5
    assert desk.agent().drain().delivered == 5
    assert [report.sequence for report in collector.received] == [1, 2, 3, 4, 5]


class Told(msgspec.Struct, frozen=True):
    """How one turn goes, and the pause after it."""

    takes_s: float
    trouble: bool
    waiting: int
    retry_after_s: float | None
    asleep_s: float
    """How long the machine sleeps in the first pause after it."""
    woken_early: float
    """Which part of a pause it is left to sleep the first time; 1: all of it."""
    jump_s: float
    """By how much the clock on the wall is set then."""


TURNS = st.builds(
    Told,
    takes_s=st.floats(0, 600),
    trouble=st.booleans(),
    waiting=st.integers(0, 3),
    retry_after_s=st.one_of(st.none(), st.floats(0, 6 * 3600)),
    asleep_s=st.one_of(st.just(0.0), st.floats(0, 30 * 86_400)),
    woken_early=st.sampled_from([0.0, 0.3, 1.0]),
    jump_s=JUMPS,
)


class Machine:
    """Time passes in turns and pauses; `boot_s` goes on while the machine sleeps, as the supervisor's clock does."""

    def __init__(self, told: Sequence[Told], patch: pytest.MonkeyPatch) -> None:
        self.boot_s = 1000.0
        self.wall = Wall()
        self.cycles: list[tuple[float, float]] = []
        """When one began, and for how long the machine slept before it since the one before."""
        self._left = list(told)
        self._now: Told | None = None
        self._slept_s = 0.0
        self._pauses = 0
        patch.setattr("time.time", lambda: self.wall.shows_s)

    def start(self, command: Sequence[str], _wait: object) -> bytes | None:
        if not self._left:
            return None
        if command[-1] != "deliver":
            self.cycles.append((self.boot_s, self._slept_s))
            self._slept_s = 0.0
        told = self._now = self._left.pop(0)
        self._pauses = 0
        self._pass(told.takes_s)
        said = Outcome(
            delivered=1, waiting=told.waiting, trouble="away" if told.trouble else "", retry_after_s=told.retry_after_s
        )
        return msgspec.json.encode(Turn(outcome=said, interval_s=int(INTERVAL_S)))

    def wait(self, seconds: float) -> bool:
        """In the first pause after a turn the machine may sleep, the clock may be set, the wait may end early."""
        told = self._now
        self._pauses += 1
        assert self._pauses < 100, "it waits for ever"
        if told is not None and self._pauses == 1:
            self.wall.pass_(0.0, told.jump_s)
            seconds *= told.woken_early
            if told.asleep_s:
                self._slept_s += told.asleep_s
                seconds = max(seconds, told.asleep_s)
        self._pass(seconds)
        return False

    def _pass(self, seconds: float) -> None:
        self.boot_s += seconds
        self.wall.pass_(seconds)


@settings(max_examples=150, deadline=None)
@given(st.lists(TURNS, min_size=2, max_size=12))
def test_it_is_never_late_whatever_the_clock_shows_and_however_long_it_slept(told: list[Told]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        machine = Machine(told, patch)
        supervise(
            ["turn"], lambda _: None, machine.wait, at_once=True, start=machine.start, clock=lambda: machine.boot_s
        )
    longest_turn_s = max(each.takes_s for each in told)
    for (before_s, _), (at_s, slept_s) in zip(machine.cycles, machine.cycles[1:], strict=False):
        awake_s = resident.START_JITTER_S + 1.1 * INTERVAL_S + 2 * longest_turn_s
        assert at_s - before_s <= awake_s + slept_s
        if not slept_s:
            assert at_s - before_s >= 0.9 * INTERVAL_S
