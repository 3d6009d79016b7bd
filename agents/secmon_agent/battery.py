"""Whether this machine runs on its battery, and how much is left: a scan waits for the mains while little is."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from secmon_agent import state
from secmon_agent.config import Config

SUPPLIES: Final = Path("/sys/class/power_supply")
LONGEST_WAIT_S: Final = 6 * 3600.0
"""After which a scan is made whatever is left: a machine that is never at the mains must not fall silent."""


def waits(settings: Config, state_dir: Path) -> str:
    """Why there is no scan now, for the log; empty when there is one."""
    left = remaining() if settings.battery_percent else None
    if left is None or left >= settings.battery_percent or not _was_lately(state_dir):
        return ""
    return f"on battery with {left} % left, below {settings.battery_percent} %: the scan waits"


def remaining() -> int | None:
    """Percent of a battery that the machine runs on; None at the mains, without a battery, and where nobody can tell.

    Sources: /sys/class/power_supply; Windows: GetSystemPowerStatus.
    """
    return _windows() if sys.platform == "win32" else of_supplies(SUPPLIES)


def of_supplies(folder: Path) -> int | None:
    """Of the kernel's folder of power supplies. Batteries of a mouse or headset (scope `Device`) do not count."""
    left: list[int] = []
    discharging = False
    for supply in sorted(folder.iterdir()) if folder.is_dir() else ():
        kind = _word(supply / "type")
        if kind != "Battery":
            if _word(supply / "online") == "1":
                return None
        elif _word(supply / "scope") != "Device":
            discharging = discharging or _word(supply / "status") == "Discharging"
            capacity = _word(supply / "capacity")
            if capacity.isdecimal():
                left.append(min(100, int(capacity)))
    return sum(left) // len(left) if discharging and left else None


def _word(file: Path) -> str:
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _was_lately(state_dir: Path) -> bool:
    """Whether a report was acknowledged within the time a scan may wait; a clock that was set back does not prolong
    that."""
    known = state.peek(state_dir)
    if known is None or known.last_ack_at is None:
        return False
    age = datetime.now(UTC) + timedelta(seconds=known.offset_s or 0.0) - known.last_ack_at  # which is the collector's
    return 0 <= age.total_seconds() < LONGEST_WAIT_S


def _windows() -> int | None:
    if sys.platform != "win32":
        return None
    import ctypes

    class Status(ctypes.Structure):
        """SYSTEM_POWER_STATUS."""

        _fields_ = (
            ("ac_line", ctypes.c_ubyte),
            ("battery_flag", ctypes.c_ubyte),
            ("percent", ctypes.c_ubyte),
            ("system_flag", ctypes.c_ubyte),
            ("life_s", ctypes.c_ulong),
            ("full_life_s", ctypes.c_ulong),
        )

    said = Status()
    if not ctypes.windll.kernel32.GetSystemPowerStatus(ctypes.byref(said)):
        return None
    return said.percent if said.ac_line == 0 and said.percent <= 100 else None
