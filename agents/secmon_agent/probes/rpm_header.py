"""The header of an rpm package as the database keeps it: index entries, then the data that they point into."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

NAME: Final = 1000
VERSION: Final = 1001
RELEASE: Final = 1002
EPOCH: Final = 1003
INSTALL_TIME: Final = 1008
VENDOR: Final = 1011
ARCHITECTURE: Final = 1022
_INT32: Final = 4
_STRINGS: Final = (6, 8, 9)
"""One string, several, and one in several languages; of the latter two the first counts."""
_MAX_ENTRIES: Final = 65_536
_MAX_TEXT_BYTES: Final = 65_536
_COUNTS: Final = struct.Struct(">II")
_ENTRY: Final = struct.Struct(">IIiI")


def values(blob: bytes, tags: Iterable[int]) -> dict[int, int | str]:
    """Numbers and texts of these tags, where the header has them. ValueError for what is no header."""
    if len(blob) < _COUNTS.size:
        raise ValueError("rpm header is cut short")
    entries, data_bytes = _COUNTS.unpack_from(blob)
    start = _COUNTS.size + entries * _ENTRY.size
    if entries > _MAX_ENTRIES or start + data_bytes > len(blob):
        raise ValueError("rpm header is cut short")
    wanted, found = set(tags), dict[int, int | str]()
    for tag, kind, offset, _ in _ENTRY.iter_unpack(blob[_COUNTS.size : start]):
        if tag in wanted:
            found[tag] = _value(blob, kind, start, start + data_bytes, offset)
    return found


def _value(blob: bytes, kind: int, start: int, end: int, offset: int) -> int | str:
    position = start + offset
    if offset < 0 or position >= end:
        raise ValueError("an entry of an rpm header points outside")
    if kind == _INT32:
        if position + 4 > end:
            raise ValueError("an entry of an rpm header points outside")
        return int.from_bytes(blob[position : position + 4], "big")
    if kind not in _STRINGS:
        raise ValueError(f"an rpm header has a name, version or time of type {kind}")
    stop = blob.find(b"\0", position, min(end, position + _MAX_TEXT_BYTES))
    if stop < 0:
        raise ValueError("a text of an rpm header has no end")
    return blob[position:stop].decode("utf-8", "replace")
