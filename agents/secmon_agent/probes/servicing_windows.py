"""Component based servicing: what of Windows itself has been updated."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from secmon_agent.host import Host
from secmon_agent.probes.host_windows import subkeys_if_any, values_if_any
from secmon_agent.registry import HKLM, Value, instant, number

KEY: Final = HKLM + r"\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing"
_CUMULATIVE: Final = re.compile(r"Package_for_RollupFix~[^~]*~[^~]*~[^~]*~(\d+(?:\.\d+)+)", re.IGNORECASE)
"""The name of every cumulative update of Windows 10 and later; it ends with build and revision, `26100.4061.1.3`."""
_INSTALLED: Final = (0x70, 0x80)
"""CurrentState: installed, permanent."""


def cumulative_installed_at(host: Host) -> datetime | None:
    """When the newest installed cumulative update was installed; None where none is, or its key does not say."""
    found = []
    for name in subkeys_if_any(host, rf"{KEY}\Packages"):
        match = _CUMULATIVE.fullmatch(name)
        if match is not None:
            values = values_if_any(host, rf"{KEY}\Packages\{name}")
            if number(values, "CurrentState") in _INSTALLED:
                found.append((tuple(int(part) for part in match[1].split(".")), values))
    return _installed_at(max(found, key=lambda it: it[0])[1]) if found else None


def _installed_at(values: dict[str, Value]) -> datetime | None:
    """InstallTimeHigh and InstallTimeLow are the halves of a FILETIME."""
    high, low = number(values, "InstallTimeHigh"), number(values, "InstallTimeLow")
    if high is None or low is None:
        return None
    try:
        return instant(high << 32 | low & 0xFFFFFFFF)
    except OverflowError:
        return None
