"""What stays in memory: starts each turn as a process of its own and waits for the next one, without waking in between.

A turn's process (`turn.py`) reads the settings, works over the locked state folder, says how it went in one line of
JSON and ends; all that it needed is given back to the machine.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from secmon_agent import command as programs
from secmon_agent import process
from secmon_agent.errors import AgentError, ConfigError
from secmon_agent.outcome import Outcome, Turn
from secmon_agent.resident import OVERSLEPT_S, Schedule, start_jitter_s

TURN_LIMIT_S = 600.0
"""How long one turn may take."""
DEFAULT_INTERVAL_S = 3600
"""Until a turn has said otherwise."""
_CHILD = (
    f"import sys; sys.path[:] = sys.argv[1].split({os.pathsep!r}); from secmon_agent import process\n"
    "def turn():\n from secmon_agent.turn import main; main(*sys.argv[2:])\n"
    "process.briefly(turn)"
)
"""The same agent, wherever it was found. Without the `site` module, which costs more than signing a report."""

Log = Callable[[str], None]
Wait = Callable[[float], bool]
"""Sleeps so many seconds; True as soon as the agent is told to stop. May return False early, as after a sleep of the
machine: then the clock is looked at again."""
Start = Callable[[Sequence[str], Wait], "bytes | None"]


def turn_command(config_file: str | None, state_dir: str | None) -> list[str]:
    """What `supervise` is given: the program of a turn, without what it is to do."""
    found = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    flags = [*(["-B"] if sys.dont_write_bytecode else []), *_option("pycache_prefix", sys.pycache_prefix)]
    return [sys.executable, "-I", "-S", "-X", "utf8", *flags, "-c", _CHILD, found, config_file or "", state_dir or ""]


def _option(name: str, value: str | None) -> list[str]:
    return [] if value is None else ["-X", f"{name}={value}"]


def supervise(
    command: Sequence[str],
    log: Log,
    wait: Wait,
    *,
    at_once: bool = False,
    start: Start | None = None,
    clock: Callable[[], float] | None = None,
) -> None:
    """Until `wait` tells to stop; a turn that runs then is ended. Raises AgentError when already the first turn finds
    that there is nothing to run: wrong settings, or a machine that is not enrolled."""
    process.stay()
    start, now = start or _run, clock or now_s
    if not at_once and wait(start_jitter_s()):
        return
    schedule = Schedule(now())
    interval_s, said, first = DEFAULT_INTERVAL_S, "", True
    while True:
        what = schedule.what(now())
        turn = _turn(start, [*command, what], wait, interval_s)
        if turn is None:
            return
        if first and turn.exit_code:
            raise _error(turn)
        outcome, interval_s, first = turn.outcome, turn.interval_s, False
        schedule.note(now(), outcome, interval_s, cycled=what != "deliver")
        if what != "deliver" or outcome.trouble != said:
            log(outcome.line())
        said = outcome.trouble
        if _stopped_before(schedule, wait, now):
            return


def _turn(start: Start, command: Sequence[str], wait: Wait, interval_s: int) -> Turn | None:
    """None when told to stop meanwhile."""
    try:
        said = start(command, wait)
        return None if said is None else msgspec.json.decode(said, type=Turn)
    except (programs.CommandError, OSError) as error:
        trouble = f"the report could not be made: {error}"
    except (msgspec.DecodeError, UnicodeDecodeError):
        trouble = "the process that makes the report ended without an answer"
    return Turn(outcome=Outcome(trouble=trouble), interval_s=interval_s)


def _run(command: Sequence[str], wait: Wait) -> bytes | None:
    return programs.attend(command, wait, timeout_s=TURN_LIMIT_S)


def _error(turn: Turn) -> AgentError:
    kind = ConfigError if turn.exit_code == ConfigError.exit_code else AgentError
    return kind(turn.outcome.trouble)


def _stopped_before(schedule: Schedule, wait: Wait, now: Callable[[], float]) -> bool:
    """Wait until the next turn is due; True when told to stop. Machines that woke together do not report together."""
    while True:
        pause_s = schedule.pause_s(now())
        if wait(pause_s):
            return True
        late_s = now() - schedule.due_s()
        if late_s > OVERSLEPT_S and pause_s > 0:
            return wait(start_jitter_s())
        if late_s >= 0:
            return False


def now_s() -> float:
    """Seconds on a clock that nobody sets and that goes on while the machine sleeps."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()  # on Windows it goes on while the machine sleeps


def sleep(seconds: float) -> bool:
    """A `Wait` that nobody tells to stop; a signal handler that raises ends it."""
    if sys.platform == "linux" and seconds > 0:
        with contextlib.suppress(OSError):
            _sleep_over_suspend(seconds)
            return False
    time.sleep(seconds)
    return False


def _sleep_over_suspend(seconds: float) -> None:
    """`time.sleep` stands still with the machine: a PC that slept all night would report an interval after waking."""
    import ctypes

    if ctypes.sizeof(ctypes.c_long) != 8:
        raise OSError("struct timespec is known for 64-bit systems only")
    libc = ctypes.CDLL(None, use_errno=True)
    timer = libc.timerfd_create(time.CLOCK_BOOTTIME, os.O_CLOEXEC)
    if timer < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    try:
        whole, rest = divmod(max(1, round(seconds * 1e9)), 10**9)
        if libc.timerfd_settime(timer, 0, struct.pack("=qqqq", 0, 0, whole, rest), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        os.read(timer, 8)
    finally:
        os.close(timer)
