"""Windows' audit policy as it is in force, by subcategory. Needs the right to manage the security log."""

from __future__ import annotations

import struct
import sys
import uuid
from typing import Final

from msgspec import Struct

from secmon_agent.host import DeniedError, ProbeError, UnsupportedError

SUCCESS: Final = 1
FAILURE: Final = 2
_ROW: Final = struct.Struct("<16sI16s")
"""AUDIT_POLICY_INFORMATION: subcategory, bits, category."""
_GUID_BYTES: Final = 16
_DENIED: Final = (5, 1314)
"""ERROR_ACCESS_DENIED, ERROR_PRIVILEGE_NOT_HELD."""
_NOT_IMPLEMENTED: Final = 120
_MAX_SUBCATEGORIES: Final = 1000


class Setting(Struct, frozen=True, kw_only=True):
    guid: str
    bits: int
    """SUCCESS, FAILURE; others mean neither."""


class AuditPolicy(Struct, frozen=True, kw_only=True):
    settings: tuple[Setting, ...]


def parse(rows: bytes) -> AuditPolicy:
    """struct.error where the rows are cut short."""
    found = (_ROW.unpack_from(rows, start) for start in range(0, len(rows), _ROW.size))
    return AuditPolicy(
        settings=tuple(Setting(guid=str(uuid.UUID(bytes_le=guid)), bits=bits) for guid, bits, _ in found)
    )


def failure(code: int) -> ProbeError:
    """What a Windows error number means for whoever asked."""
    if code in _DENIED:
        return DeniedError("the audit policy is shown only to those who may manage the security log")
    if code == _NOT_IMPLEMENTED:
        return UnsupportedError("this Windows does not tell its audit policy")
    return ProbeError(f"the audit policy: Windows error {code}")


def answer() -> AuditPolicy:
    if sys.platform == "win32":
        import ctypes

        library = ctypes.WinDLL("advapi32", use_last_error=True)
        if not hasattr(library, "AuditEnumerateSubCategories"):
            raise failure(_NOT_IMPLEMENTED)
        _enable_privilege()
        guids, count = ctypes.c_void_p(), ctypes.c_ulong()
        library.AuditEnumerateSubCategories.restype = ctypes.c_ubyte
        if not library.AuditEnumerateSubCategories(None, True, ctypes.byref(guids), ctypes.byref(count)):
            raise failure(ctypes.get_last_error())
        if not 0 < count.value <= _MAX_SUBCATEGORIES or not guids.value:
            raise ProbeError("the audit policy has no subcategories")
        asked = ctypes.create_string_buffer(ctypes.string_at(guids.value, count.value * _GUID_BYTES))
        rows = ctypes.c_void_p()
        library.AuditQuerySystemPolicy.restype = ctypes.c_ubyte
        if not library.AuditQuerySystemPolicy(asked, count, ctypes.byref(rows)) or not rows.value:
            raise failure(ctypes.get_last_error())
        return parse(ctypes.string_at(rows.value, count.value * _ROW.size))
    raise UnsupportedError("there is no such policy here")


def _enable_privilege() -> None:
    """An administrator's process has the privilege, and must switch it on; without it the question is refused."""
    if sys.platform == "win32":
        import win32api
        import win32security

        wanted = win32security.TOKEN_ADJUST_PRIVILEGES | win32security.TOKEN_QUERY
        token = win32security.OpenProcessToken(win32api.GetCurrentProcess(), wanted)
        luid = win32security.LookupPrivilegeValue(None, "SeSecurityPrivilege")
        win32security.AdjustTokenPrivileges(token, False, [(luid, win32security.SE_PRIVILEGE_ENABLED)])
