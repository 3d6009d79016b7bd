"""The agent as a service of Windows. Elsewhere systemd does the same; the units are in the package."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from secmon_agent import clone, session, supervisor
from secmon_agent.errors import AgentError

ACTIONS: Final = ("install", "remove", "start", "stop", "run")
LOOK_AGAIN_S: Final = 60.0
"""Pause of a service that has nobody to report to until it looks whether that has changed."""


def act(action: str, config_file: str | None, state_dir: str | None) -> None:
    """Raises AgentError with what to do."""
    if sys.platform != "win32":
        raise AgentError("this is for Windows; here systemd runs the agent: systemctl enable --now secmon-agent")
    from secmon_agent import service_control_windows, service_windows

    if action == "install":
        service_control_windows.install(_arguments(config_file, state_dir))
    elif action == "run":
        service_windows.host(lambda log, wait, at_once: work(config_file, state_dir, log, wait, at_once=at_once))
    else:
        {
            "remove": service_control_windows.remove,
            "start": service_control_windows.start,
            "stop": service_control_windows.stop,
        }[action]()


def _arguments(config_file: str | None, state_dir: str | None) -> Sequence[str]:
    named = (("--config", config_file), ("--state-dir", state_dir))
    return [part for option, path in named if path is not None for part in (option, str(Path(path).absolute()))]


def work(
    config_file: str | None,
    state_dir: str | None,
    log: Callable[[str], None],
    wait: Callable[[float], bool],
    *,
    at_once: bool = False,
) -> None:
    """Report until `wait` tells to stop; a machine that nobody has enrolled yet waits for that. Raises AgentError."""
    _, folder = session.opened(config_file, state_dir)
    with session.alone(folder, session.RUNNING_FILE):
        if not session.has_an_aim(folder):
            log(str(clone.not_enrolled(folder)))
            while not session.has_an_aim(folder):
                if wait(LOOK_AGAIN_S):
                    return
            at_once = True
        supervisor.supervise(supervisor.turn_command(config_file, state_dir), log, wait, at_once=at_once)
