"""Whether a process runs in an AppContainer, as programs from the Store do."""

from __future__ import annotations

import sys
from typing import Final

from msgspec import UNSET, UnsetType

_QUERY_LIMITED: Final = 0x1000
"""PROCESS_QUERY_LIMITED_INFORMATION."""
_TOKEN_QUERY: Final = 8
_TOKEN_IS_APP_CONTAINER: Final = 29


def contained(pid: int) -> bool | UnsetType:
    """By GetTokenInformation; UNSET without the right to ask."""
    if sys.platform != "win32":
        raise NotImplementedError("processes of Windows")
    import ctypes
    from ctypes import wintypes

    kernel, security = ctypes.WinDLL("kernel32"), ctypes.WinDLL("advapi32")
    kernel.OpenProcess.restype = wintypes.HANDLE
    kernel.OpenProcess.argtypes = [wintypes.DWORD, wintypes.BOOL, wintypes.DWORD]
    kernel.CloseHandle.argtypes = [wintypes.HANDLE]
    security.OpenProcessToken.argtypes = [wintypes.HANDLE, wintypes.DWORD, ctypes.POINTER(wintypes.HANDLE)]
    security.GetTokenInformation.argtypes = [
        wintypes.HANDLE,
        ctypes.c_int,
        ctypes.c_void_p,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
    ]
    process = kernel.OpenProcess(_QUERY_LIMITED, False, pid)
    if not process:
        return UNSET
    token, found, size = wintypes.HANDLE(), wintypes.DWORD(0), wintypes.DWORD(0)
    try:
        if not security.OpenProcessToken(process, _TOKEN_QUERY, ctypes.byref(token)):
            return UNSET
        try:
            if not security.GetTokenInformation(
                token, _TOKEN_IS_APP_CONTAINER, ctypes.byref(found), ctypes.sizeof(found), ctypes.byref(size)
            ):
                return UNSET
        finally:
            kernel.CloseHandle(token)
    finally:
        kernel.CloseHandle(process)
    return bool(found.value)
