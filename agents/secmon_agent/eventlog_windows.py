"""What the service says in the Windows Event Log (Application, source `secmon-agent`), in English.

The texts stand in the entries themselves: as the source's messages serve those of pywin32, which say `%1`.
"""

from __future__ import annotations

import contextlib
from typing import Final

import pywintypes
import win32api
import win32con
import win32evtlog

from secmon_agent import journal

SOURCE: Final = "secmon-agent"
_KEY: Final = rf"SYSTEM\CurrentControlSet\Services\EventLog\Application\{SOURCE}"
_TYPES_SUPPORTED: Final = 7


def write(event: int, text: str) -> None:
    """A log that is full or missing stops nothing."""
    kind = win32evtlog.EVENTLOG_WARNING_TYPE if event == journal.TROUBLE else win32evtlog.EVENTLOG_INFORMATION_TYPE
    with contextlib.suppress(pywintypes.error):
        handle = win32evtlog.RegisterEventSource(None, SOURCE)
        try:
            win32evtlog.ReportEvent(handle, kind, 0, event, None, [text], None)
        finally:
            win32evtlog.DeregisterEventSource(handle)


def register() -> None:
    """Tell the Event Viewer where the messages of the source are; needs administrator rights."""
    key = win32api.RegCreateKey(win32con.HKEY_LOCAL_MACHINE, _KEY)
    try:
        win32api.RegSetValueEx(key, "EventMessageFile", 0, win32con.REG_EXPAND_SZ, win32evtlog.__file__)
        win32api.RegSetValueEx(key, "TypesSupported", 0, win32con.REG_DWORD, _TYPES_SUPPORTED)
    finally:
        win32api.RegCloseKey(key)


def unregister() -> None:
    with contextlib.suppress(pywintypes.error):
        win32api.RegDeleteKey(win32con.HKEY_LOCAL_MACHINE, _KEY)
