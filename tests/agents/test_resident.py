"""The resident agent: when it reports, when it tries again, and that it never gives up by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from secmon_agent import resident
from secmon_agent.agent import Outcome
from secmon_agent.errors import AgentError
from secmon_agent.resident import Schedule, backoff_s, interval_jittered_s
from tests.agents.desk import Desk
from tests.agents.server import Collector, refuse


class EnoughError(Exception):
    """Ends a resident agent from inside its sleep."""


class Sleeper:
    """A clock that passes only in sleep."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, naps: int) -> None:
        self.naps: list[float] = []
        self.lines: list[str] = []
        self._left = naps
        self._now_s = 5000.0
        monkeypatch.setattr("secmon_agent.resident.time.monotonic", lambda: self._now_s)

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self._now_s += seconds
        if len(self.naps) == self._left:
            raise EnoughError


def run(desk: Desk, sleeper: Sleeper) -> None:
    with pytest.raises(EnoughError):
        resident.run(desk.agent(), sleeper.lines.append, sleep=sleeper.sleep)


def test_it_reports_every_interval_within_a_tenth(
    desk: Desk, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.interval_s = 600
    sleeper = Sleeper(monkeypatch, 6)
    run(desk, sleeper)
    assert 0 <= sleeper.naps[0] <= resident.START_JITTER_S
    assert all(540 <= nap <= 660 for nap in sleeper.naps[1:])
    assert len(collector.received) == 5
    assert sleeper.lines == ["1 delivered"] * 5


def test_it_tries_again_in_between_and_cycles_no_more_often(
    desk: Desk, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.script = [refuse("busy", 503, Retry_After="100")] * 3
    sleeper = Sleeper(monkeypatch, 5)
    run(desk, sleeper)
    assert all(100 <= nap <= 125 for nap in sleeper.naps[1:4])
    assert [report.sequence for report in collector.received] == [1]
    assert [line.split(":")[0] for line in sleeper.lines] == ["0 delivered, 1 waiting", "1 delivered"]
    assert "busy" in sleeper.lines[0]


def test_it_waits_for_the_collector_even_over_a_cycle(
    desk: Desk, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.script = [refuse("busy", 503, Retry_After="10000")]
    sleeper = Sleeper(monkeypatch, 4)
    run(desk, sleeper)
    assert collector.received == []
    assert len(desk.waiting()) == 3
    assert sleeper.lines[1] == "0 delivered, 2 waiting"


def test_it_sends_full_state_at_once_after_a_fork(
    desk: Desk, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.script = [refuse("busy", 503), refuse("fork", 409)]
    sleeper = Sleeper(monkeypatch, 4)
    run(desk, sleeper)
    assert len(collector.received) == 1
    assert collector.received[0].sections
    assert sleeper.naps[2] == 0


def test_it_goes_on_after_what_it_cannot_do(desk: Desk, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk.folder / "spool").mkdir()
    agent = desk.agent()
    (desk.folder / "spool").rmdir()
    (desk.folder / "spool").write_bytes(b"in the way")
    sleeper = Sleeper(monkeypatch, 3)
    with pytest.raises(EnoughError):
        resident.run(agent, sleeper.lines.append, sleep=sleeper.sleep, at_once=True)
    assert "cannot list" in sleeper.lines[0]
    assert len(sleeper.lines) == 1


def test_it_asks_again_while_its_enrollment_is_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: Iterator[bool | AgentError] = iter([False, AgentError("no network"), True])

    def ask() -> bool:
        answer = next(answers)
        if isinstance(answer, AgentError):
            raise answer
        return answer

    sleeper = Sleeper(monkeypatch, 9)
    resident.until_enrolled(ask, sleeper.lines.append, sleep=sleeper.sleep)
    assert sleeper.lines == ["the enrollment waits for approval at the collector", "no network"]
    assert all(nap >= 60 for nap in sleeper.naps)


@pytest.mark.parametrize("failures", [1, 2, 5, 10, 1000])
def test_it_backs_off_with_full_jitter_up_to_a_cap(failures: int) -> None:
    assert backoff_s(failures, None, lambda: 0.0) == 1.0
    most = backoff_s(failures, None, lambda: 1.0)
    assert most == 1.0 + min(resident.BACKOFF_CAP_S, resident.BACKOFF_BASE_S * 2.0 ** min(failures, 16))
    assert backoff_s(failures, 5000, lambda: 0.0) == 5000
    assert backoff_s(failures, 0, lambda: 0.0) == 1.0


def test_it_spreads_the_interval() -> None:
    assert interval_jittered_s(1000, lambda: 0.0) == pytest.approx(900)
    assert interval_jittered_s(1000, lambda: 1.0) == pytest.approx(1100)


def test_it_forgets_failures_once_everything_is_delivered() -> None:
    schedule = Schedule(0.0)
    schedule.note(0.0, Outcome(trouble="no network", waiting=1), 3600, cycled=True)
    assert 0 < schedule.pause_s(0.0) <= 11
    schedule.note(20.0, Outcome(delivered=1), 3600, cycled=False)
    assert schedule.pause_s(20.0) > 3000
