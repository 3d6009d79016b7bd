"""Walk through msgpack without building anything, to refuse absurd sizes before a decoder allocates for them."""

from __future__ import annotations

from typing import Final


class TooManyError(ValueError):
    """More elements or a deeper nesting than allowed."""


_FIXED: Final = {
    0xC0: 0, 0xC2: 0, 0xC3: 0,
    0xCA: 4, 0xCB: 8,
    0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8,
    0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,
    0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}  # fmt: skip
"""Bytes that follow a marker of fixed size."""
_SIZED: Final = {
    0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0),
    0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1),
    0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0),
}  # fmt: skip
"""Marker of bin, ext and str: width of the length, and extra bytes behind it."""
_NESTED: Final = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""Marker of array and map: width of the count, and values per element."""


def skim(data: bytes, *, max_list: int, max_total: int, max_depth: int) -> int:
    """Number of values in `data`, which must be one whole msgpack value.

    Raises TooManyError past a limit and ValueError where the bytes are no msgpack; reads no further than that.
    """
    end = len(data)
    at = total = 0
    pending = [1]
    while pending:
        if pending[-1] == 0:
            pending.pop()
            continue
        pending[-1] -= 1
        if at >= end:
            raise ValueError(f"ends inside a value at byte {at}")
        total += 1
        if total > max_total:
            raise TooManyError(f"more than {max_total} values")
        marker = data[at]
        at += 1
        if marker < 0x80 or marker >= 0xE0:
            continue
        if 0xA0 <= marker < 0xC0:
            at += marker & 0x1F
        elif marker in _FIXED:
            at += _FIXED[marker]
        elif marker in _SIZED:
            width, extra = _SIZED[marker]
            at += width + extra + int.from_bytes(data[at : at + width], "big")
        else:
            count, values, width = _container(data, at, marker)
            at += width
            if count > max_list:
                raise TooManyError(f"{count} elements in one list at byte {at}; the limit is {max_list}")
            if len(pending) > max_depth:
                raise TooManyError(f"nested deeper than {max_depth} at byte {at}")
            pending.append(count * values)
    if at != end:
        raise ValueError(f"ends inside a value at byte {end}" if at > end else f"trailing bytes at byte {at}")
    return total


def _container(data: bytes, at: int, marker: int) -> tuple[int, int, int]:
    if marker < 0x90:
        return marker & 0x0F, 2, 0
    if marker < 0xA0:
        return marker & 0x0F, 1, 0
    if marker in _NESTED:
        width, values = _NESTED[marker]
        return int.from_bytes(data[at : at + width], "big"), values, width
    raise ValueError(f"no msgpack marker 0x{marker:02x} at byte {at - 1}")
