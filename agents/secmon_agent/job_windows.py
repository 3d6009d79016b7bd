"""A Windows job object: what is put into it ends when its last handle is closed, also by the death of who held it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import wintypes
from typing import Any, Final

_EXTENDED_LIMITS: Final = 9
_PROCESS_TIME: Final = 0x2
_PROCESS_MEMORY: Final = 0x100
_KILL_ON_CLOSE: Final = 0x2000


class _Basic(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION"""

    _fields_ = (
        ("per_process_time", ctypes.c_int64),
        ("per_job_time", ctypes.c_int64),
        ("flags", wintypes.DWORD),
        ("minimum_working_set", ctypes.c_size_t),
        ("maximum_working_set", ctypes.c_size_t),
        ("active_processes", wintypes.DWORD),
        ("affinity", ctypes.c_size_t),
        ("priority_class", wintypes.DWORD),
        ("scheduling_class", wintypes.DWORD),
    )


class _Extended(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION"""

    _fields_ = (
        ("basic", _Basic),
        ("io", ctypes.c_uint64 * 6),
        ("process_memory", ctypes.c_size_t),
        ("job_memory", ctypes.c_size_t),
        ("peak_process_memory", ctypes.c_size_t),
        ("peak_job_memory", ctypes.c_size_t),
    )


@contextmanager
def job(*, cpu_s: int, memory_bytes: int) -> Iterator[Callable[[int], bool]]:
    """Takes processes by their handles; they, and all that they start, end with the context or with us, and each of
    them beyond these limits. False where the system refuses: the program's own time limit has to do then."""
    if sys.platform != "win32":
        raise NotImplementedError("job objects are on Windows only")
    kernel32 = _kernel32()
    handle = _made(kernel32, cpu_s, memory_bytes, _KILL_ON_CLOSE)
    try:
        yield lambda process: bool(handle and kernel32.AssignProcessToJobObject(handle, process))
    finally:
        if handle:
            kernel32.CloseHandle(handle)


def restrain(*, cpu_s: int, memory_bytes: int) -> bool:
    """This very process from now on, until it ends; False where the system refuses."""
    if sys.platform != "win32":
        raise NotImplementedError("job objects are on Windows only")
    kernel32 = _kernel32()
    kernel32.GetCurrentProcess.restype = wintypes.HANDLE
    handle = _made(kernel32, cpu_s, memory_bytes, 0)
    return bool(handle and kernel32.AssignProcessToJobObject(handle, kernel32.GetCurrentProcess()))


def _kernel32() -> Any:
    if sys.platform != "win32":
        raise NotImplementedError("job objects are on Windows only")
    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel32.CreateJobObjectW.restype = wintypes.HANDLE
    kernel32.CreateJobObjectW.argtypes = (wintypes.LPVOID, wintypes.LPCWSTR)
    kernel32.SetInformationJobObject.argtypes = (wintypes.HANDLE, ctypes.c_int, wintypes.LPVOID, wintypes.DWORD)
    kernel32.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
    kernel32.CloseHandle.argtypes = (wintypes.HANDLE,)
    return kernel32


def _made(kernel32: Any, cpu_s: int, memory_bytes: int, further: int) -> int | None:
    """Handle of a job with these limits; None where there is none."""
    limits = _Extended(process_memory=memory_bytes)
    limits.basic.flags = _PROCESS_TIME | _PROCESS_MEMORY | further
    limits.basic.per_process_time = cpu_s * 10**7
    handle: int | None = kernel32.CreateJobObjectW(None, None)
    if handle and not kernel32.SetInformationJobObject(
        handle, _EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)
    ):
        kernel32.CloseHandle(handle)
        return None
    return handle
