"""Security identifiers as Windows keeps them in memory, and as text."""

from __future__ import annotations

_HEADER_BYTES = 8


def size(header: bytes) -> int:
    """Bytes of a SID, told from its first eight."""
    return _HEADER_BYTES + 4 * header[1]


def text(sid: bytes) -> str:
    """`S-1-5-32-544`, by [MS-DTYP] 2.4.2; ValueError where the bytes are no SID."""
    if len(sid) < _HEADER_BYTES or sid[0] != 1 or len(sid) != size(sid):
        raise ValueError("these bytes are no SID")
    authority = int.from_bytes(sid[2:8], "big")
    parts = [int.from_bytes(sid[start : start + 4], "little") for start in range(_HEADER_BYTES, len(sid), 4)]
    return "-".join(["S-1", str(authority), *map(str, parts)])
