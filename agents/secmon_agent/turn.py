"""One turn of the resident agent in a process of its own, which `supervisor.supervise` starts: does what it is told,
says how that went as JSON, and ends. It ends too when its supervisor does, however that came about."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec.structs import replace

from secmon_agent import battery, identity, keys, limits, session
from secmon_agent.agent import open_agent
from secmon_agent.config import Config
from secmon_agent.errors import AgentError, ConfigError, NotEnrolledError, printable
from secmon_agent.outcome import Outcome, Turn

LIMIT_S = 900
"""After which the system ends this process, should nobody else."""
NICENESS = 10
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
"""Number of the system call ioprio_set by machine; the C library has no function for it."""
_THIS_PROCESS, _IDLE = 1, 3 << 13
"""IOPRIO_WHO_PROCESS; IOPRIO_CLASS_IDLE: the disk serves us when nobody else wants it."""
ASK_AGAIN_S = 60.0
"""At least so long until a pending enrollment is asked for again."""


def main(config_file: str, state_dir: str, what: str) -> None:
    """The first two are empty where the defaults serve."""
    _live_with_the_supervisor()
    turn = take(config_file or None, state_dir or None, what)
    sys.stdout.buffer.write(msgspec.json.encode(turn))
    sys.stdout.buffer.flush()


def take(config_file: str | None, state_dir: str | None, what: str) -> Turn:
    """Trouble of any kind is part of the answer; `what` is a `resident.What`."""
    try:
        settings, folder = session.opened(config_file, state_dir)
        with session.alone(folder):
            return _taken(settings, folder, what)
    except (ConfigError, NotEnrolledError) as error:
        return _failed(error, Config().interval_s, error.exit_code)
    except AgentError as error:
        return _failed(error, Config().interval_s)


def _taken(settings: Config, folder: Path, what: str) -> Turn:
    answer = session.joined(folder, settings)
    if answer is not None and answer.status == "pending":
        outcome = Outcome(trouble=session.pending_line(answer), retry_after_s=ASK_AGAIN_S)
        return Turn(outcome=outcome, interval_s=settings.interval_s)
    agent = open_agent(folder, settings, keys.load(folder), identity.load(folder))
    paused = battery.waits(settings, folder) if what != "deliver" else ""
    try:
        if paused:
            outcome = replace(agent.drain(), paused=paused) if what == "cycle" else Outcome(paused=paused)
        else:
            outcome = agent.drain() if what == "deliver" else agent.cycle(deliver=what == "cycle")
    except AgentError as error:
        return _failed(error, agent.interval_s)
    if answer is not None:
        outcome = replace(outcome, enrolled=answer.address)
    return Turn(outcome=outcome, interval_s=agent.interval_s)


def _failed(error: AgentError, interval_s: int, exit_code: int = 0) -> Turn:
    return Turn(outcome=Outcome(trouble=printable(str(error))), interval_s=interval_s, exit_code=exit_code)


def _live_with_the_supervisor() -> None:
    """Standard input is a pipe that the supervisor holds open: when it closes, the system says so by SIGIO. On Windows
    a job object does the same for us."""
    if sys.platform == "win32":
        return
    import fcntl

    for number in (signal.SIGTERM, signal.SIGIO):
        signal.signal(number, _end)
    signal.alarm(LIMIT_S)
    _be_modest()
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([0], [], [], 0)[0]:
        sys.exit(1)  # it has gone already


def _be_modest() -> None:
    """Behind whoever works on this machine, and within limits: a probe that needs more memory fails as a section,
    a turn that needs more processor time is ended. On Windows the supervisor sets both."""
    if sys.platform == "win32":
        return
    import resource

    os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    _read_when_nobody_else_does()
    cpu_s, memory_bytes = limits.MAX_TURN_CPU_S, limits.MAX_TURN_MEMORY_BYTES
    with contextlib.suppress(ValueError):  # somebody set less
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def _read_when_nobody_else_does() -> None:
    """systemd's unit sets the same; this is for those who start the agent otherwise. Not worth a failure."""
    import ctypes

    number = _IOPRIO_SET.get(os.uname().machine) if sys.platform != "win32" else None
    if number is not None and ctypes.sizeof(ctypes.c_long) == 8:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).syscall(ctypes.c_long(number), _THIS_PROCESS, 0, _IDLE)


def _end(number: int, frame: object) -> NoReturn:
    """At once, but together with the programs that are asked just now; what is on disk survives any end."""
    sys.exit(1)
