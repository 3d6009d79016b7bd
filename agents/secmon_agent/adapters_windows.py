"""Network adapters of a running Windows, from GetAdaptersAddresses and GetIpInterfaceEntry.

Windows fills one buffer of ours with structures that point at each other. It is read as bytes, with every pointer
checked against the buffer, so that whatever is wrong in there is an error of Python and never of the process.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from typing import Final

from msgspec import UNSET, UnsetType

from secmon_agent.system import Adapter

_FLAGS: Final = 0x02 | 0x04 | 0x80
"""No anycast, no multicast, gateways too."""
_OVERFLOW: Final = 111
_FIRST_BYTES: Final = 1 << 16
_MAX_BYTES: Final = 4 << 20
_MAX_ITEMS: Final = 4096
_NEXT: Final = 8
"""Offset of the pointer to the next structure, in every one of them."""
_ADDRESS: Final = 16
"""Offset of the SOCKET_ADDRESS, in every address structure."""
_INDEX, _NAME, _UNICAST, _DNS, _FRIENDLY, _MAC, _MAC_LENGTH = 4, 16, 24, 48, 72, 80, 88
_IF_TYPE, _STATUS, _INDEX6, _GATEWAY = 100, 104, 108, 208
"""Offsets in IP_ADAPTER_ADDRESSES where a pointer has 8 bytes."""
_SUFFIX_ORIGIN, _PREFIX = 36, 56
"""Offsets in IP_ADAPTER_UNICAST_ADDRESS."""
_UP: Final = 1
_TEMPORARY: Final = 5
"""IpSuffixOriginRandom."""
_AF_INET: Final = 2
_AF_INET6: Final = 23
_ROW_BYTES: Final = 256
_ROW_INDEX, _ROW_FORWARDING = 16, 41
"""Offsets in MIB_IPINTERFACE_ROW."""
_NOT_FOUND: Final = 1168


class _Buffer:
    """Bytes as they lay at an address. ValueError for whatever points outside."""

    def __init__(self, data: bytes, base: int) -> None:
        self._data = data
        self._base = base

    def number(self, offset: int, size: int = 4) -> int:
        return int.from_bytes(self.bytes(offset, size), "little")

    def bytes(self, offset: int, size: int) -> bytes:
        if not 0 <= offset <= len(self._data) - size:
            raise ValueError("an adapter points outside of its buffer")
        return self._data[offset : offset + size]

    def follow(self, offset: int) -> int | None:
        """Offset of what the pointer at `offset` points at; None for a null pointer."""
        pointer = self.number(offset, 8)
        return pointer - self._base if pointer else None

    def chain(self, first: int | None) -> Iterator[int]:
        count, offset = 0, first
        while offset is not None:
            if (count := count + 1) > _MAX_ITEMS:
                raise ValueError("adapters without an end")
            yield offset
            offset = self.follow(offset + _NEXT)

    def text(self, offset: int | None) -> str:
        """UTF-16 up to its null character."""
        if offset is None:
            return ""
        end = offset
        while self.number(end, 2):
            end += 2
        return self.bytes(offset, end - offset).decode("utf-16-le", "replace")

    def ascii(self, offset: int | None) -> str:
        if offset is None:
            return ""
        end = offset
        while self.number(end, 1):
            end += 1
        return self.bytes(offset, end - offset).decode("ascii", "replace")

    def address(self, offset: int) -> str:
        """Of the address structure at `offset`; empty for another family."""
        at = self.follow(offset + _ADDRESS)
        if at is None:
            return ""
        family = self.number(at, 2)
        if family == _AF_INET:
            return socket.inet_ntop(socket.AF_INET, self.bytes(at + 4, 4))
        return socket.inet_ntop(socket.AF_INET6, self.bytes(at + 8, 16)) if family == _AF_INET6 else ""


def parse(data: bytes, base: int) -> list[tuple[Adapter, int, int]]:
    """Adapters of a buffer that lay at `base`, each with its index for IPv4 and for IPv6 (0 without that protocol)."""
    buffer = _Buffer(data, base)
    return [
        (_adapter(buffer, offset), buffer.number(offset + _INDEX), buffer.number(offset + _INDEX6))
        for offset in buffer.chain(0 if data else None)
    ]


def _adapter(buffer: _Buffer, offset: int) -> Adapter:
    mac = buffer.bytes(offset + _MAC, 6) if buffer.number(offset + _MAC_LENGTH) == 6 else b""
    return Adapter(
        name=buffer.text(buffer.follow(offset + _FRIENDLY)),
        up=buffer.number(offset + _STATUS) == _UP,
        mac=mac.hex(":") if mac else UNSET,
        addresses=tuple(_unicast(buffer, offset + _UNICAST)),
        guid=buffer.ascii(buffer.follow(offset + _NAME)) or UNSET,
        if_type=buffer.number(offset + _IF_TYPE),
        gateways=tuple(_addresses(buffer, offset + _GATEWAY)),
        dns_servers=tuple(_addresses(buffer, offset + _DNS)),
    )


def _unicast(buffer: _Buffer, pointer: int) -> list[str]:
    found = [
        (buffer.address(at), buffer.number(at + _PREFIX, 1))
        for at in buffer.chain(buffer.follow(pointer))
        if buffer.number(at + _SUFFIX_ORIGIN) != _TEMPORARY
    ]
    return [f"{address}/{prefix}" for address, prefix in found if address]


def _addresses(buffer: _Buffer, pointer: int) -> list[str]:
    found = (buffer.address(at) for at in buffer.chain(buffer.follow(pointer)))
    return list(dict.fromkeys(address for address in found if address))


def adapters() -> list[Adapter]:
    if sys.platform == "win32" and struct.calcsize("P") == 8:
        from msgspec.structs import replace

        return [replace(adapter, forwarding=_forwarding(four, six)) for adapter, four, six in parse(*_ask())]
    raise NotImplementedError("adapters are read on 64-bit Windows only")


def _ask() -> tuple[bytes, int]:
    """The filled buffer, and where it lay."""
    if sys.platform == "win32":
        import ctypes

        size = ctypes.c_ulong(_FIRST_BYTES)
        while size.value <= _MAX_BYTES:
            buffer = ctypes.create_string_buffer(size.value)
            code = ctypes.WinDLL("iphlpapi").GetAdaptersAddresses(0, _FLAGS, None, buffer, ctypes.byref(size))
            if code == 0:
                return buffer.raw, ctypes.addressof(buffer)
            if code != _OVERFLOW:
                raise OSError(0, "GetAdaptersAddresses", None, code)
            size.value += _FIRST_BYTES
    raise OSError("GetAdaptersAddresses has no end")


def _forwarding(index4: int, index6: int) -> bool | UnsetType:
    """True where one protocol passes packets on; undetermined where Windows does not say it of both."""
    answers = [_row(family, index) for family, index in ((_AF_INET, index4), (_AF_INET6, index6)) if index]
    if True in answers:
        return True
    return UNSET if UNSET in answers or not answers else False


def _row(family: int, index: int) -> bool | UnsetType:
    if sys.platform == "win32":
        import ctypes

        library = ctypes.WinDLL("iphlpapi")
        if not hasattr(library, "GetIpInterfaceEntry"):
            return UNSET
        row = ctypes.create_string_buffer(_ROW_BYTES)
        struct.pack_into("<H", row, 0, family)
        struct.pack_into("<I", row, _ROW_INDEX, index)
        code = library.GetIpInterfaceEntry(row)
        if code == 0:
            return row.raw[_ROW_FORWARDING] != 0
        return False if code == _NOT_FOUND else UNSET
    return UNSET
