"""What the firmware says of the machine itself: the tables of SMBIOS, as Windows hands them over.

Made from the specification (DSP0134) and the documentation of GetSystemFirmwareTable. Nobody's rights are needed.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from secmon_agent.host import ProbeError, UnsupportedError

_HEADER: Final = struct.Struct("<4BI")
"""RawSMBIOSData: calling method, major and minor version, revision, length of the tables."""
_START: Final = struct.Struct("<BBH")
"""Of a structure: type, length without its texts, handle."""
_RSMB: Final = int.from_bytes(b"RSMB", "big")
_SYSTEM, _CHASSIS, _END = 1, 3, 127
_SERIAL_AT: Final = 7
_KIND_AT: Final = 5
_LOCKABLE: Final = 0x80
_MAX_BYTES: Final = 1 << 20
_MAX_CHARS: Final = 128


class Smbios(Struct, frozen=True, kw_only=True, omit_defaults=True):
    serial: str | UnsetType = UNSET
    """Of the system, as it stands there."""
    chassis: int | UnsetType = UNSET
    """Number of the kind of case."""


class _Structure(Struct, frozen=True):
    kind: int
    body: bytes
    """With the header."""
    texts: tuple[bytes, ...]


def parse(raw: bytes) -> Smbios:
    """The first system and the first case count. ProbeError for tables that are cut short or too large."""
    if not _HEADER.size <= len(raw) <= _MAX_BYTES:
        raise ProbeError("the tables of the firmware have an impossible size")
    length = _HEADER.unpack_from(raw)[-1]
    if length > len(raw) - _HEADER.size:
        raise ProbeError("the tables of the firmware are cut short")
    first: dict[int, _Structure] = {}
    for found in _structures(raw[_HEADER.size : _HEADER.size + length]):
        first.setdefault(found.kind, found)
    return Smbios(serial=_serial(first.get(_SYSTEM)), chassis=_chassis(first.get(_CHASSIS)))


def answer() -> Smbios:
    if sys.platform == "win32":
        import ctypes

        ask = ctypes.WinDLL("kernel32", use_last_error=True).GetSystemFirmwareTable
        ask.argtypes = [ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32]
        ask.restype = ctypes.c_uint32
        size = ask(_RSMB, 0, None, 0)
        if not 0 < size <= _MAX_BYTES:
            raise UnsupportedError("this Windows has no tables of the firmware")
        buffer = ctypes.create_string_buffer(size)
        if ask(_RSMB, 0, buffer, size) != size:
            raise ProbeError(f"the tables of the firmware: Windows error {ctypes.get_last_error()}")
        return parse(buffer.raw)
    raise UnsupportedError("there are no such tables here")


def _structures(tables: bytes) -> Iterator[_Structure]:
    """Up to the end mark, or to where they break off."""
    at = 0
    while at + _START.size <= len(tables):
        kind, length, _ = _START.unpack_from(tables, at)
        end = tables.find(b"\0\0", at + length)
        if kind == _END or length < _START.size or end < 0:
            return
        yield _Structure(kind, tables[at : at + length], tuple(tables[at + length : end].split(b"\0")))
        at = end + 2


def _serial(system: _Structure | None) -> str | UnsetType:
    """Undetermined where the structure is too short to have one, or where it is no plain text."""
    if system is None or len(system.body) <= _SERIAL_AT or not system.body[_SERIAL_AT]:
        return UNSET
    number = system.body[_SERIAL_AT]
    text = system.texts[number - 1] if number <= len(system.texts) else b""
    plain = text.decode("ascii", "replace").strip()
    return plain if plain.isascii() and plain.isprintable() and 0 < len(plain) <= _MAX_CHARS else UNSET


def _chassis(case: _Structure | None) -> int | UnsetType:
    """The highest bit says that the case can be locked."""
    return UNSET if case is None or len(case.body) <= _KIND_AT else case.body[_KIND_AT] & ~_LOCKABLE
