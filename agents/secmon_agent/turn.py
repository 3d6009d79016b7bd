"""One turn of the resident agent in a process of its own, which `supervisor.supervise` starts: does what it is told,
says how that went as JSON, and ends. It ends too when its supervisor does, however that came about."""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec.structs import replace

from secmon_agent import battery, identity, keys, modesty, session
from secmon_agent.agent import open_agent
from secmon_agent.config import Config
from secmon_agent.errors import AgentError, ConfigError, NotEnrolledError, printable
from secmon_agent.outcome import Outcome, Turn

ASK_AGAIN_S = 60.0
"""At least so long until a pending enrollment is asked for again."""


def main(config_file: str, state_dir: str, what: str) -> None:
    """The first two are empty where the defaults serve."""
    _live_with_the_supervisor()
    modesty.give_way()
    if sys.platform != "win32":  # there the supervisor's job object holds these limits
        modesty.keep_limits()
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
    except (AgentError, modesty.OverLimitError) as error:
        return _failed(error, Config().interval_s)
    except MemoryError:
        return _failed(AgentError(modesty.NO_MEMORY), Config().interval_s)


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


def _failed(error: BaseException, interval_s: int, exit_code: int = 0) -> Turn:
    return Turn(outcome=Outcome(trouble=printable(str(error))), interval_s=interval_s, exit_code=exit_code)


def _live_with_the_supervisor() -> None:
    """Standard input is a pipe that the supervisor holds open: when it closes, the system says so by SIGIO. On Windows
    a job object does the same for us."""
    if sys.platform == "win32":
        return
    import fcntl

    for number in (signal.SIGTERM, signal.SIGIO):
        signal.signal(number, _end)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([0], [], [], 0)[0]:
        sys.exit(1)  # it has gone already


def _end(number: int, frame: object) -> NoReturn:
    """At once, but together with the programs that are asked just now; what is on disk survives any end."""
    sys.exit(1)
