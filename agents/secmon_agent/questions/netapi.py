"""Calls of netapi32. Whatever they hand over is copied and freed here."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Final, TypeVar

from secmon_agent.questions.netapi_types import Dword, LocalUser, Member0, NetError, Pointer, User3, local_user, sid_at

_MORE_DATA: Final = 234
_ALL: Final = 0xFFFFFFFF
_MAX_ENTRIES: Final = 20_000
_NORMAL_ACCOUNTS: Final = 2
_ADMINISTRATORS: Final = bytes([1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0])
"""S-1-5-32-544."""

S = TypeVar("S", bound=ctypes.Structure)
T = TypeVar("T")

if sys.platform == "win32":
    _netapi32: Final = ctypes.WinDLL("netapi32")
    _advapi32: Final = ctypes.WinDLL("advapi32", use_last_error=True)

    def modals(level: int, kind: type[S], read: Callable[[S], T]) -> T:
        """What `read` makes of NetUserModalsGet's answer while it is there. Raises NetError."""
        buffer = Pointer()
        status = _netapi32.NetUserModalsGet(None, level, ctypes.byref(buffer))
        try:
            if status != 0 or not buffer.value:
                raise NetError("NetUserModalsGet", status)
            return read(kind.from_address(buffer.value))
        finally:
            _netapi32.NetApiBufferFree(buffer)

    def users() -> list[LocalUser]:
        def more(*rest: object) -> int:
            return int(_netapi32.NetUserEnum(None, 3, _NORMAL_ACCOUNTS, *rest))

        return _entries("NetUserEnum", more, User3, local_user)

    def administrators() -> list[str]:
        """SIDs. Raises NetError with number 0 for an empty group, which Windows does not allow."""
        name = _group_name()

        def more(*rest: object) -> int:
            return int(_netapi32.NetLocalGroupGetMembers(None, name, 0, *rest))

        found = _entries("NetLocalGroupGetMembers", more, Member0, lambda entry: sid_at(entry.sid))
        if not found:
            raise NetError("NetLocalGroupGetMembers", 0)
        return found

    def _group_name() -> ctypes.Array[ctypes.c_wchar]:
        """Of the Administrators, in this Windows' language."""
        name, domain = ctypes.create_unicode_buffer(256), ctypes.create_unicode_buffer(256)
        sizes, use = (Dword(256), Dword(256)), Dword()
        arguments = (name, ctypes.byref(sizes[0]), domain, ctypes.byref(sizes[1]), ctypes.byref(use))
        if not _advapi32.LookupAccountSidW(None, _ADMINISTRATORS, *arguments):
            raise NetError("LookupAccountSid", ctypes.get_last_error())
        return name

    def _entries(what: str, more: Callable[..., int], kind: type[S], read: Callable[[S], T]) -> list[T]:
        found: list[T] = []
        resume = ctypes.c_size_t()
        while len(found) < _MAX_ENTRIES:
            buffer, count, total = Pointer(), Dword(), Dword()
            rest = (ctypes.byref(buffer), Dword(_ALL), *(ctypes.byref(it) for it in (count, total, resume)))
            status = more(*rest)
            try:
                if status not in (0, _MORE_DATA) or (status == _MORE_DATA and count.value == 0):
                    raise NetError(what, status)
                if count.value and buffer.value:
                    found += [read(entry) for entry in (kind * count.value).from_address(buffer.value)]
            finally:
                _netapi32.NetApiBufferFree(buffer)
            if status == 0:
                return found
        raise NetError(what, _MORE_DATA)
