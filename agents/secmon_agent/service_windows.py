"""The agent as a Windows service: pythonw.exe hosts it, without a console and without a program of its own.

Windows starts it and tells it to stop, also before a shutdown; `work` does the rest and looks at `wait`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

import pywintypes
import servicemanager
import win32event
import win32evtlog
import win32service
import winerror

from secmon_agent import eventlog_windows, journal, service_control_windows
from secmon_agent.errors import AgentError, ConfigError, printable

_PRESHUTDOWN: Final = 0xF
_ACCEPT_PRESHUTDOWN: Final = 0x100
_POWER_EVENT: Final = 0xD
_ACCEPT_POWER_EVENT: Final = 0x40
_RESUMED: Final = 0x12
"""PBT_APMRESUMEAUTOMATIC: sent at every waking."""
_LONGEST_WAIT_MS: Final = 0x7FFFFFFF
_STOP_HINT_MS: Final = 20_000

Log = Callable[[str], None]
Wait = Callable[[float], bool]
Work = Callable[[Log, Wait, bool], None]
"""The last: report at once, for somebody who waits."""


def host(work: Work) -> None:
    """Be the service until Windows stops it. Raises AgentError where Windows did not start this process as one."""
    name = service_control_windows.NAME
    servicemanager.Initialize(name, win32evtlog.__file__)
    servicemanager.PrepareToHostSingle(
        lambda arguments: _Service(name, work, at_once=service_control_windows.AT_ONCE in arguments)
    )
    try:
        servicemanager.StartServiceCtrlDispatcher()
    except pywintypes.error as error:
        raise AgentError(f"Windows alone starts this, by: secmon-agent service start ({error.winerror})") from None
    os._exit(0)  # at once: an installer that waited for the service deletes the libraries of this process now


class _Service:
    def __init__(self, name: str, work: Work, *, at_once: bool) -> None:
        self._work = work
        self._at_once = at_once
        self._stop = win32event.CreateEvent(None, True, False, None)
        self._woken = win32event.CreateEvent(None, False, False, None)
        self._status = servicemanager.RegisterServiceCtrlHandler(name, self._told, True)
        self._report(win32service.SERVICE_START_PENDING)

    def SvcRun(self) -> None:  # noqa: N802 - as servicemanager calls it
        self._report(win32service.SERVICE_RUNNING)
        failed = False
        try:
            service_control_windows.configure()
        except pywintypes.error as error:
            eventlog_windows.write(journal.TROUBLE, f"the service is not set up fully: {error.winerror}")
        eventlog_windows.write(journal.STARTED, "the agent has started")
        try:
            self._work(journal.Journal(eventlog_windows.write).note, self._wait, self._at_once)
            eventlog_windows.write(journal.STOPPED, "the agent has stopped")
        except Exception as error:  # noqa: BLE001 - whatever ends the service is said, and Windows starts it again
            # Settings do not mend themselves: with them wrong a restart would only repeat the line.
            failed = not isinstance(error, ConfigError)
            why = str(error) if isinstance(error, AgentError) else f"{type(error).__name__}: {error}"
            eventlog_windows.write(journal.TROUBLE, f"the agent has ended: {printable(why)}")
        self._report(win32service.SERVICE_STOPPED, winerror.ERROR_PROCESS_ABORTED if failed else 0)

    def _told(self, control: int, kind: int, _data: object) -> None:
        if control in (win32service.SERVICE_CONTROL_STOP, _PRESHUTDOWN):
            self._report(win32service.SERVICE_STOP_PENDING)
            win32event.SetEvent(self._stop)
        elif control == _POWER_EVENT and kind == _RESUMED:
            win32event.SetEvent(self._woken)

    def _wait(self, seconds: float) -> bool:
        """Sleep so long at most, and only until the machine wakes up; True as soon as Windows says stop."""
        limit_ms = min(_LONGEST_WAIT_MS, max(0, round(seconds * 1000)))
        ended = win32event.WaitForMultipleObjects([self._stop, self._woken], False, limit_ms)
        return bool(ended == win32event.WAIT_OBJECT_0)

    def _report(self, state: int, exit_code: int = 0) -> None:
        running = state == win32service.SERVICE_RUNNING
        accepted = win32service.SERVICE_ACCEPT_STOP | _ACCEPT_PRESHUTDOWN | _ACCEPT_POWER_EVENT if running else 0
        hint_ms = _STOP_HINT_MS if state == win32service.SERVICE_STOP_PENDING else 0
        kind = win32service.SERVICE_WIN32_OWN_PROCESS
        win32service.SetServiceStatus(self._status, (kind, state, accepted, exit_code, 0, 0, hint_ms))
