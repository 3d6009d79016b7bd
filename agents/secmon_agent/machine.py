"""What tells this machine and this boot from others, and the volatile numbers that travel beside the facts."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from pathlib import Path

BOOT_TOLERANCE_S = 120.0
"""Windows computes its boot time from the clock: a smaller difference is the clock's, a larger one a boot."""


def machine_id() -> bytes | None:
    """Salted SHA-256 of the installation's id, which itself stays here. Disk images copy it: it proves nothing."""
    raw = _installation_id()
    return None if not raw else hashlib.sha256(b"secmon machine id v1\0" + raw.encode()).digest()


def _installation_id() -> str:
    if sys.platform == "win32":
        import winreg

        try:
            access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Cryptography", 0, access) as key:
                return str(winreg.QueryValueEx(key, "MachineGuid")[0]).strip().lower()
        except OSError:
            return ""
    try:
        return Path("/etc/machine-id").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def boot(previous: float | None) -> tuple[bytes, float | None]:
    """Id of this boot, and the boot time to hand in as `previous` next time where the id had to be made from it."""
    if sys.platform != "win32":
        try:
            return bytes.fromhex(
                Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")
            ), None
        except (OSError, ValueError):
            pass
    import psutil

    booted_at = round(psutil.boot_time())
    if previous is not None and abs(previous - booted_at) < BOOT_TOLERANCE_S:
        booted_at = round(previous)
    return hashlib.sha256(b"secmon boot id v1\0%d" % booted_at).digest()[:16], float(booted_at)


def vitals(state_dir: Path) -> dict[str, float]:
    """Volatile numbers of the machine; one that cannot be read is left out. Whole ones are ints, for size."""
    numbers = _windows_numbers() if sys.platform == "win32" else _linux_numbers()
    with contextlib.suppress(OSError):
        numbers["disk_free_bytes"] = _disk_free_bytes(state_dir)
    return numbers


def _windows_numbers() -> dict[str, float]:
    import psutil

    return {
        "memory_available_bytes": psutil.virtual_memory().available,
        "uptime_s": round(max(0.0, time.time() - psutil.boot_time())),
    }


def _linux_numbers() -> dict[str, float]:
    """From /proc, as psutil has them: importing it would cost a one-shot cycle more than all that it reads."""
    numbers: dict[str, float] = {}
    with contextlib.suppress(OSError, ValueError, StopIteration), Path("/proc/meminfo").open("rb") as lines:
        row = next(line.split() for line in lines if line.startswith(b"MemAvailable:"))
        numbers["memory_available_bytes"] = int(row[1]) * 1024
    with contextlib.suppress(OSError, ValueError, IndexError):
        numbers["uptime_s"] = round(float(Path("/proc/uptime").read_bytes().split()[0]))
    return numbers


def _disk_free_bytes(folder: Path) -> int:
    if sys.platform == "win32":
        import psutil

        return int(psutil.disk_usage(str(folder)).free)
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def own_cost() -> dict[str, float]:
    """What this process has used so far; it travels with full reports only, a heartbeat stays small."""
    usage = os.times()
    cpu_s = usage.user + usage.system + usage.children_user + usage.children_system
    return {"agent_cpu_s": round(cpu_s, 3), "agent_peak_rss_bytes": peak_rss_bytes()}


def peak_rss_bytes() -> int:
    """Largest resident memory of this process so far; 0 where the system does not say."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    # getrusage would count what the parent held before exec; VmHWM belongs to this program alone.
    with contextlib.suppress(OSError), Path("/proc/self/status").open("rb") as lines:
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(b"VmHWM:")), 0)
    return 0
