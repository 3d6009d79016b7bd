"""Installing, removing, starting and stopping the Windows service. Each may be repeated: what is so, stays so."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pywintypes
import win32service
import winerror

from secmon_agent import eventlog_windows
from secmon_agent.errors import AgentError

NAME: Final = "secmon-agent"
DISPLAY_NAME: Final = "secmon agent"
DESCRIPTION: Final = "Reports security posture facts of this machine to the collector of the office."
AT_ONCE: Final = "now"
"""What a start by hand tells the service: somebody waits for the report. Windows itself says nothing when it starts."""
START_LIMIT_S: Final = 60.0
STOP_LIMIT_S: Final = 60.0
GONE_LIMIT_S: Final = 10.0
PRESHUTDOWN_MS: Final = 30_000
"""How long Windows waits for us at shutdown before it ends the other services."""
_RESTARTS_MS: Final = (60_000, 60_000, 600_000)
"""Pause before the first, the second and every further restart after a failure."""
_FORGET_FAILURES_S: Final = 86_400
_GONE: Final = (winerror.ERROR_SERVICE_DOES_NOT_EXIST, winerror.ERROR_SERVICE_MARKED_FOR_DELETE)
_WHAT_TO_DO: Final = {
    winerror.ERROR_ACCESS_DENIED: "this needs administrator rights; open the prompt by 'Run as administrator'",
    winerror.ERROR_SERVICE_DOES_NOT_EXIST: "the service is not installed; run: secmon-agent service install",
    winerror.ERROR_SERVICE_MARKED_FOR_DELETE: "it is still open somewhere; close the Services window, then try again",
    winerror.ERROR_SERVICE_DISABLED: "somebody disabled the service; enable it in the Services window first",
}


def install(arguments: Sequence[str]) -> None:
    """Install the service, or bring the one that is there up to date, and start it.

    `arguments` go before the command, as `--state-dir`. Raises AgentError.
    """
    command = command_line(arguments)
    with _said("install"), _manager() as manager:
        try:
            handle = win32service.CreateService(
                manager, NAME, DISPLAY_NAME, win32service.SERVICE_ALL_ACCESS, win32service.SERVICE_WIN32_OWN_PROCESS,
                win32service.SERVICE_AUTO_START, win32service.SERVICE_ERROR_NORMAL, command,
                None, False, None, None, None,
            )  # fmt: skip
        except pywintypes.error as error:
            if error.winerror != winerror.ERROR_SERVICE_EXISTS:
                raise
            handle = win32service.OpenService(manager, NAME, win32service.SERVICE_ALL_ACCESS)
            win32service.ChangeServiceConfig(
                handle, win32service.SERVICE_WIN32_OWN_PROCESS, win32service.SERVICE_AUTO_START,
                win32service.SERVICE_ERROR_NORMAL, command, None, False, None, None, None, DISPLAY_NAME,
            )  # fmt: skip
        with _closing(handle):
            _configure(handle)
        eventlog_windows.register()
    start()


def command_line(arguments: Sequence[str]) -> str:
    """How Windows starts the service: without a console, by the Python that runs now."""
    if sys.prefix != sys.base_prefix:
        raise AgentError(
            "a service cannot run from a virtual environment, whose python.exe only starts another one; "
            "install the agent by its MSI, or with pip into a Python of its own"
        )
    program = Path(sys.executable).with_name("pythonw.exe")
    flags = ["-B"] if sys.dont_write_bytecode else []
    parts = [str(program), *flags, "-m", "secmon_agent", *arguments, "service", "run"]
    return " ".join(f'"{part}"' if " " in part or not part else part for part in parts)


def configure() -> None:
    """What an MSI cannot tell Windows about a service, told by the service itself when it starts."""
    with _manager() as manager, _service(manager) as handle:
        _configure(handle)


def _configure(handle: Any) -> None:
    failures = {
        "ResetPeriod": _FORGET_FAILURES_S,
        "RebootMsg": "",
        "Command": "",
        "Actions": [(win32service.SC_ACTION_RESTART, pause) for pause in _RESTARTS_MS],
    }
    settings = (
        (win32service.SERVICE_CONFIG_DESCRIPTION, DESCRIPTION),
        (win32service.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, True),
        (win32service.SERVICE_CONFIG_FAILURE_ACTIONS, failures),
        (win32service.SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, True),
        (win32service.SERVICE_CONFIG_PRESHUTDOWN_INFO, PRESHUTDOWN_MS),
    )
    for setting, value in settings:
        try:
            win32service.ChangeServiceConfig2(handle, setting, value)
        except pywintypes.error as error:
            if error.winerror != winerror.ERROR_INVALID_LEVEL:  # Wine knows no failure flag
                raise


def remove() -> None:
    """Returns when the service is gone, or soon after where somebody has it open."""
    with contextlib.suppress(NotInstalledError):
        stop()
        with _said("remove"), _manager() as manager, _service(manager) as handle:
            win32service.DeleteService(handle)
        _await_end()
    with _said("remove"):
        eventlog_windows.unregister()


def start() -> None:
    """Returns when the service runs."""
    with _said("start"), _manager() as manager, _service(manager) as handle:
        try:
            win32service.StartService(handle, [AT_ONCE])
        except pywintypes.error as error:
            if error.winerror != winerror.ERROR_SERVICE_ALREADY_RUNNING:
                raise
        _await(handle, win32service.SERVICE_RUNNING, START_LIMIT_S, "start")


def stop() -> None:
    """Returns when the service has ended."""
    with _said("stop"), _manager() as manager, _service(manager) as handle:
        try:
            win32service.ControlService(handle, win32service.SERVICE_CONTROL_STOP)
        except pywintypes.error as error:
            if error.winerror not in (winerror.ERROR_SERVICE_NOT_ACTIVE, winerror.ERROR_SERVICE_CANNOT_ACCEPT_CTRL):
                raise
        _await(handle, win32service.SERVICE_STOPPED, STOP_LIMIT_S, "stop")


class NotInstalledError(AgentError):
    """There is no such service, or soon there is none."""


def _await_end() -> None:
    """A service that is deleted stays until its process has ended and nobody holds it."""
    end = time.monotonic() + GONE_LIMIT_S
    with contextlib.suppress(pywintypes.error), _manager() as manager:
        while time.monotonic() < end:
            with _service(manager):
                pass
            time.sleep(0.2)


def _await(handle: Any, wanted: int, limit_s: float, what: str) -> None:
    end = time.monotonic() + limit_s
    while (state := win32service.QueryServiceStatus(handle)[1]) != wanted:
        ended = wanted == win32service.SERVICE_RUNNING and state == win32service.SERVICE_STOPPED
        if ended or time.monotonic() > end:
            raise AgentError(f"the service did not {what}; the Event Log (Application, {NAME}) may say why")
        time.sleep(0.2)


@contextlib.contextmanager
def _said(what: str) -> Iterator[None]:
    """A refusal of Windows as a line that says what to do."""
    try:
        yield
    except pywintypes.error as error:
        kind = NotInstalledError if error.winerror in _GONE else AgentError
        advice = _WHAT_TO_DO.get(error.winerror, f"Windows error {error.winerror}")
        raise kind(f"cannot {what} the service: {advice}") from None


@contextlib.contextmanager
def _manager() -> Iterator[Any]:
    with _closing(win32service.OpenSCManager(None, None, win32service.SC_MANAGER_ALL_ACCESS)) as handle:
        yield handle


@contextlib.contextmanager
def _service(manager: Any) -> Iterator[Any]:
    with _closing(win32service.OpenService(manager, NAME, win32service.SERVICE_ALL_ACCESS)) as handle:
        yield handle


@contextlib.contextmanager
def _closing(handle: Any) -> Iterator[Any]:
    try:
        yield handle
    finally:
        win32service.CloseServiceHandle(handle)
