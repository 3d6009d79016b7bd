"""The resident agent: when it reports, when it tries again, and that it never gives up by itself."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from msgspec.structs import replace

from secmon_agent import command, identity, resident, turn
from secmon_agent.errors import AgentError, ConfigError
from secmon_agent.outcome import Outcome, Turn
from secmon_agent.resident import Schedule, backoff_s, interval_jittered_s
from secmon_agent.supervisor import Start, Wait, supervise
from tests.agents.desk import Desk
from tests.agents.server import TOKEN, Collector, refuse

Told = Turn | bytes | Exception


class Sleeper:
    """A clock that passes only in sleep, and tells to stop after so many naps."""

    def __init__(self, naps: int) -> None:
        self.naps: list[float] = []
        self.lines: list[str] = []
        self._left = naps
        self.now_s = 5000.0

    def wait(self, seconds: float) -> bool:
        self.naps.append(seconds)
        self.now_s += seconds
        return len(self.naps) == self._left

    def supervise(self, start: Start, *, at_once: bool = False) -> None:
        supervise(["turn"], self.lines.append, self.wait, at_once=at_once, start=start, clock=lambda: self.now_s)


@pytest.fixture
def in_process(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Start:
    """A turn as its process takes it, with the desk's sections instead of this machine's."""
    monkeypatch.setattr("secmon_agent.turn.open_agent", lambda *_: desk.agent())
    return lambda command, _: msgspec.json.encode(turn.take(None, str(desk.folder), command[-1]))


def answering(*told: Told) -> Start:
    """Turns that answer one after the other."""
    left = iter(told)

    def start(_command: Sequence[str], _wait: Wait) -> bytes:
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else msgspec.json.encode(answer)

    return start


def went(interval_s: int = 600, exit_code: int = 0, **fields: object) -> Turn:
    return Turn(outcome=Outcome(**fields), interval_s=interval_s, exit_code=exit_code)  # type: ignore[arg-type]


def test_it_reports_every_interval_within_a_tenth(collector: Collector, in_process: Start) -> None:
    collector.interval_s = 600
    sleeper = Sleeper(6)
    sleeper.supervise(in_process)
    assert 0 <= sleeper.naps[0] <= resident.START_JITTER_S
    assert all(540 <= nap <= 660 for nap in sleeper.naps[1:])
    assert len(collector.received) == 5
    assert sleeper.lines == ["1 delivered"] * 5


def test_it_tries_again_in_between_and_cycles_no_more_often(collector: Collector, in_process: Start) -> None:
    collector.script = [refuse("busy", 503, Retry_After="100")] * 3
    sleeper = Sleeper(5)
    sleeper.supervise(in_process)
    assert all(100 <= nap <= 125 for nap in sleeper.naps[1:4])
    assert [report.sequence for report in collector.received] == [1]
    assert [line.split(":")[0] for line in sleeper.lines] == ["0 delivered, 1 waiting", "1 delivered"]
    assert "busy" in sleeper.lines[0]


def test_it_waits_for_the_collector_even_over_a_cycle(desk: Desk, collector: Collector, in_process: Start) -> None:
    collector.script = [refuse("busy", 503, Retry_After="10000")]
    sleeper = Sleeper(4)
    sleeper.supervise(in_process)
    assert collector.received == []
    assert len(desk.waiting()) == 3
    assert sleeper.lines[1] == "0 delivered, 2 waiting"


def test_it_sends_full_state_at_once_after_a_fork(collector: Collector, in_process: Start) -> None:
    collector.script = [refuse("busy", 503), refuse("fork", 409)]
    sleeper = Sleeper(4)
    sleeper.supervise(in_process)
    assert len(collector.received) == 1
    assert collector.received[0].sections
    assert sleeper.naps[2] == 0


def test_it_goes_on_after_what_it_cannot_do(desk: Desk, in_process: Start) -> None:
    (desk.folder / "spool").write_bytes(b"in the way")
    sleeper = Sleeper(3)
    sleeper.supervise(in_process, at_once=True)
    assert "spool" in sleeper.lines[0]
    assert len(sleeper.lines) == 1
    assert all(1 <= nap <= 1 + 5 * 2**3 for nap in sleeper.naps)


@pytest.mark.parametrize(
    "failure",
    [
        b"",
        b"Segmentation fault",
        command.CommandError("its process ended with status -9"),
        command.CommandTimeoutError("took too long"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_it_starts_the_next_turn_whatever_became_of_the_last(failure: Told) -> None:
    sleeper = Sleeper(3)
    sleeper.supervise(answering(failure, failure, went(delivered=1)), at_once=True)
    assert sleeper.lines[1:] == ["1 delivered"]
    assert sleeper.lines[0].startswith(("the report could not be made: ", "the process that makes the report ended"))
    assert all(nap <= 1 + 5 * 2**2 for nap in sleeper.naps[:2])


def test_it_asks_again_while_its_enrollment_is_pending(desk: Desk, collector: Collector, in_process: Start) -> None:
    identity.save(desk.folder, replace(desk.identity, status="pending", token=TOKEN))
    collector.pending = True
    sleeper = Sleeper(3)
    sleeper.supervise(in_process, at_once=True)
    assert [line.split(";")[0] for line in sleeper.lines] == [
        f"the enrollment at 127.0.0.1:{collector.port} waits for approval (the name is taken)"
    ]
    assert all(60 <= nap <= 75 for nap in sleeper.naps)
    assert collector.received == []
    collector.pending = False
    Sleeper(1).supervise(in_process, at_once=True)
    assert len(collector.received) == 1


@pytest.mark.parametrize(("exit_code", "kind"), [(1, AgentError), (2, ConfigError)])
def test_it_ends_where_there_is_nothing_to_run(exit_code: int, kind: type[AgentError]) -> None:
    first = went(trouble="this machine is not enrolled", exit_code=exit_code)
    with pytest.raises(kind, match="not enrolled") as raised:
        Sleeper(9).supervise(answering(first), at_once=True)
    assert raised.value.exit_code == exit_code


def test_it_stays_when_its_settings_break_later() -> None:
    sleeper = Sleeper(3)
    broken = went(trouble="agent.toml, line 3: no", exit_code=2)
    sleeper.supervise(answering(went(delivered=1), broken, went(delivered=1)), at_once=True)
    assert sleeper.lines == ["1 delivered", "agent.toml, line 3: no", "1 delivered"]


def test_it_ends_when_told_to_during_a_turn() -> None:
    Sleeper(9).supervise(lambda _command, _wait: None, at_once=True)


def test_it_reports_soon_but_not_at_once_after_a_machine_has_slept() -> None:
    sleeper = Sleeper(3)
    times: list[float] = []

    def start(_command: Sequence[str], _wait: Wait) -> bytes:
        times.append(sleeper.now_s)
        return msgspec.json.encode(went(delivered=1))

    def wait(seconds: float) -> bool:
        slept = len(sleeper.naps) == 0
        stop = sleeper.wait(seconds)
        sleeper.now_s += 8 * 3600 if slept else 0
        return stop

    supervise(["turn"], sleeper.lines.append, wait, at_once=True, start=start, clock=lambda: sleeper.now_s)
    assert 540 <= sleeper.naps[0] <= 660
    assert 0 <= sleeper.naps[1] <= resident.START_JITTER_S
    assert times[1] == sum(sleeper.naps[:2], 5000.0 + 8 * 3600)


def test_it_looks_at_the_clock_again_when_it_is_woken_early() -> None:
    sleeper, times = Sleeper(9), []

    def start(_command: Sequence[str], _wait: Wait) -> bytes:
        times.append(sleeper.now_s)
        return msgspec.json.encode(went(delivered=1))

    def wait(seconds: float) -> bool:
        return sleeper.wait(min(seconds, 200.0))

    supervise(["turn"], sleeper.lines.append, wait, at_once=True, start=start, clock=lambda: sleeper.now_s)
    assert sleeper.naps[:2] == [200.0, 200.0]
    assert len(times) == 3
    assert 540 <= times[1] - times[0] <= 660


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


def test_it_reports_as_soon_as_it_has_been_let_in() -> None:
    schedule = Schedule(0.0)
    schedule.note(0.0, Outcome(trouble="the enrollment waits for approval"), 600, cycled=True)
    assert schedule.what(100.0) == "deliver"
    schedule.note(100.0, Outcome(enrolled="collector:8443"), 600, cycled=False)
    assert schedule.what(100.0) == "cycle"
