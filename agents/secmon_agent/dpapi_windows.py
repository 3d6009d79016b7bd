"""Data that only this Windows machine can read again (DPAPI, machine scope).

Any user of the machine could: the access control list of the state folder keeps them out, DPAPI what was copied away.
"""

from __future__ import annotations

from typing import Final

import pywintypes
import win32crypt

_UI_FORBIDDEN: Final = 0x1
_LOCAL_MACHINE: Final = 0x4


def protect(data: bytes) -> bytes:
    """Raises OSError."""
    try:
        return bytes(win32crypt.CryptProtectData(data, None, None, None, None, _UI_FORBIDDEN | _LOCAL_MACHINE))
    except pywintypes.error as error:
        raise OSError(f"Windows error {error.winerror & 0xFFFFFFFF:#x}") from None


def unprotect(data: bytes) -> bytes:
    """Raises OSError for what was protected elsewhere, or changed since."""
    try:
        return bytes(win32crypt.CryptUnprotectData(data, None, None, None, _UI_FORBIDDEN)[1])
    except pywintypes.error as error:
        raise OSError(f"Windows error {error.winerror & 0xFFFFFFFF:#x}") from None
