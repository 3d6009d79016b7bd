"""The supervisor as a process: small and still between turns, and no turn outlives it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess  # noqa: TID251 - the processes looked at here are real ones
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from secmon_agent import command, limits, supervisor
from tests.agents.desk import Desk
from tests.agents.installed import installed_agent
from tests.agents.server import Collector, Handler

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals; its job objects are tried below")
IDLE_MAX_BYTES = 20 << 20


@contextlib.contextmanager
def supervised(desk: Desk, *program: str) -> Iterator[psutil.Popen]:
    command = [*(program or (sys.executable, "-m", "secmon_agent")), "run", "--now", "--state-dir", str(desk.folder)]
    with psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def until(answer: Callable[[], bool], limit_s: float = 30) -> None:
    end = time.monotonic() + limit_s
    while not answer():
        assert time.monotonic() < end
        time.sleep(0.02)


class Silence:
    """A collector that takes a report and does not answer for a long time."""

    def __init__(self, collector: Collector) -> None:
        self.reached, self._over = threading.Event(), threading.Event()
        collector.script.append(self)

    def __call__(self, handler: Handler) -> None:
        self.reached.set()
        self._over.wait(60)
        handler.close_connection = True

    def end(self) -> None:
        self._over.set()


@pytest.fixture
def silence(collector: Collector) -> Iterator[Silence]:
    made = Silence(collector)
    yield made
    made.end()


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@POSIX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL] if sys.platform != "win32" else [])
def test_it_takes_its_turn_along_however_it_ends(desk: Desk, silence: Silence, number: signal.Signals) -> None:
    with supervised(desk) as process:
        assert silence.reached.wait(30)
        [turn] = process.children()
        process.send_signal(number)
        assert process.wait(10) == (0 if number == signal.SIGTERM else -number)
        until(lambda: gone(turn), 10)
    assert len(desk.waiting()) == 1


@POSIX
@pytest.mark.parametrize("further", [0, 5, 19])
def test_it_takes_a_turn_behind_others_and_within_limits(desk: Desk, silence: Silence, further: int) -> None:
    own = min(19, psutil.Process().nice() + further)  # as whoever starts it may be patient
    with supervised(desk, "nice", "-n", str(further), sys.executable, "-m", "secmon_agent") as process:
        assert silence.reached.wait(30)
        [turn] = process.children()
        assert (process.nice(), turn.nice()) == (own, max(10, own))
        if os.uname().machine in ("x86_64", "aarch64"):
            assert turn.ionice().ioclass == psutil.IOPRIO_CLASS_IDLE
        assert turn.rlimit(psutil.RLIMIT_CPU)[0] == limits.MAX_TURN_CPU_S
        assert turn.rlimit(psutil.RLIMIT_DATA)[0] == limits.MAX_TURN_MEMORY_BYTES


@POSIX
def test_it_is_small_and_still_between_turns(desk: Desk, collector: Collector, tmp_path: Path) -> None:
    with supervised(desk, str(installed_agent(tmp_path / "installed"))) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "secmon-agent: 1 delivered\n"
        until(lambda: process.children() == [])
        time.sleep(0.2)
        before, memory = process.num_ctx_switches(), process.memory_info().rss
        cpu = process.cpu_times()[:2]
        time.sleep(2)
        assert process.num_ctx_switches() == before
        assert process.cpu_times()[:2] == cpu
        assert memory <= IDLE_MAX_BYTES
    assert len(collector.received) == 1


def test_it_takes_turn_after_turn(desk: Desk, collector: Collector) -> None:
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        if seconds < 1:
            time.sleep(seconds)
            return False
        pauses.append(seconds)
        return len(pauses) == 1

    said: list[str] = []
    supervisor.supervise(supervisor.turn_command(None, str(desk.folder)), said.append, wait, at_once=True)
    assert said == ["1 delivered"]
    assert collector.received[0].sections
    assert 0.9 * collector.interval_s <= pauses[0] <= 1.1 * collector.interval_s


def _sleeping(state: Path, *, deaf: bool = False) -> list[str]:
    """A program that says its process id in a file and sleeps."""
    listen = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if deaf else ""
    code = f"{listen}import os, sys, time\nopen(sys.argv[1], 'w').write(str(os.getpid()))\ntime.sleep(60)"
    return [sys.executable, "-I", "-S", "-c", code, str(state)]


def test_it_ends_a_turn_that_takes_too_long(tmp_path: Path) -> None:
    def wait(seconds: float) -> bool:
        time.sleep(seconds)
        return False

    with pytest.raises(command.CommandTimeoutError, match="longer than 1 s"):
        command.attend(_sleeping(tmp_path / "pid"), wait, timeout_s=1)
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("deaf", [False, True])
def test_it_ends_a_turn_when_told_to_stop(tmp_path: Path, deaf: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "GRACE_S", 0.2)

    def wait(seconds: float) -> bool:
        time.sleep(seconds)
        return (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != ""

    assert command.attend(_sleeping(tmp_path / "pid", deaf=deaf), wait, timeout_s=60) is None
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_it_says_how_a_turn_ended_that_did_not_end_well() -> None:
    def wait(seconds: float) -> bool:
        time.sleep(seconds)
        return False

    with pytest.raises(command.CommandError, match="ended with status 3"):
        command.attend([sys.executable, "-I", "-S", "-c", "raise SystemExit(3)"], wait, timeout_s=60)


@pytest.mark.skipif(sys.platform != "win32", reason="a job object of Windows")
def test_it_leaves_no_turn_on_windows_when_it_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time\nsys.path[:0] = sys.argv[1:2]\nfrom secmon_agent import command\n"
        "command.attend(sys.argv[2:], lambda s: bool(time.sleep(s)), timeout_s=60)"
    )
    agents = str(Path(command.__file__).parents[1])
    with psutil.Popen([sys.executable, "-c", code, agents, *_sleeping(tmp_path / "pid")]) as process:
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
        turn = psutil.Process(int((tmp_path / "pid").read_text()))
        process.kill()
        process.wait()
    until(lambda: gone(turn), 10)


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_it_sleeps_as_long_as_it_is_told(seconds: float) -> None:
    before = supervisor.now_s()
    assert supervisor.sleep(seconds) is False
    assert seconds - 0.001 <= supervisor.now_s() - before < seconds + 1  # clocks of Windows count milliseconds


@pytest.mark.skipif(sys.platform != "linux", reason="a clock of Linux")
def test_it_sleeps_on_a_clock_that_goes_on_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    def asleep(seconds: float) -> None:
        raise AssertionError(f"{seconds} s on a clock that stands still")

    monkeypatch.setattr("secmon_agent.supervisor.time.sleep", asleep)
    assert supervisor.sleep(0.05) is False
