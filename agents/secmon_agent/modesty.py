"""How a process that nobody waits for gives way to whoever works on this machine, and which limits it keeps.

Both are for a whole process, and for good.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import Final, NoReturn

from secmon_agent import limits

LIMIT_S: Final = 900
"""After which the system ends this process, should nobody else."""
NICENESS: Final = 10
_IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30}
"""Number of the system call ioprio_set by machine; the C library has no function for it."""
_THIS_PROCESS, _IDLE = 1, 3 << 13
"""IOPRIO_WHO_PROCESS; IOPRIO_CLASS_IDLE: the disk serves us when nobody else wants it."""
_GRACE_S: Final = 5
"""Of processor time, to say that the limit was reached."""


class OverLimitError(BaseException):
    """This process has used what it may. No Exception: a probe's failure is the section's, this ends everything."""


NO_MEMORY: Final = f"this needs more memory than the agent allows itself ({limits.MAX_TURN_MEMORY_BYTES >> 20} MiB)"


def give_way() -> None:
    """Processor and disk serve others first. Not worth a failure."""
    if sys.platform == "win32":
        import psutil

        own = psutil.Process()
        with contextlib.suppress(psutil.Error, OSError):
            if own.nice() in (psutil.NORMAL_PRIORITY_CLASS, psutil.ABOVE_NORMAL_PRIORITY_CLASS):
                own.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        with contextlib.suppress(psutil.Error, OSError):
            own.ionice(psutil.IOPRIO_VERYLOW)
    else:
        os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
        _read_when_nobody_else_does()


def _read_when_nobody_else_does() -> None:
    """systemd's units set the same; this is for those who start the agent otherwise."""
    import ctypes

    number = _IOPRIO_SET.get(os.uname().machine) if sys.platform != "win32" else None
    if number is not None and ctypes.sizeof(ctypes.c_long) == 8:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).syscall(ctypes.c_long(number), _THIS_PROCESS, 0, _IDLE)


def keep_limits() -> None:
    """Of memory: what needs more fails, a probe as its section. Of processor time: OverLimitError, and soon the end; on
    Windows the end at once. Programs that are asked inherit both."""
    if sys.platform == "win32":
        from secmon_agent import job_windows

        job_windows.restrain(cpu_s=limits.MAX_TURN_CPU_S, memory_bytes=limits.MAX_TURN_MEMORY_BYTES)
        return
    import resource

    signal.signal(signal.SIGXCPU, _end)
    signal.alarm(LIMIT_S)
    cpu_s, memory_bytes = limits.MAX_TURN_CPU_S, limits.MAX_TURN_MEMORY_BYTES
    for kind, soft, hard in (
        (resource.RLIMIT_CPU, cpu_s, cpu_s + _GRACE_S),
        (resource.RLIMIT_DATA, memory_bytes, memory_bytes),
    ):
        with contextlib.suppress(ValueError):  # somebody set less
            resource.setrlimit(kind, (soft, hard))


def _end(_number: int, _frame: object) -> NoReturn:
    raise OverLimitError(f"ended after {limits.MAX_TURN_CPU_S} s of processor time, which is all that it may use")
