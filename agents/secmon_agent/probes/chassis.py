"""Kinds of case, by the number that firmware gives them (SMBIOS, structure 3)."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET, UnsetType

Chassis = Literal["desktop", "laptop", "server", "virtual", "container", "other"]

_KINDS: Final[dict[int, Chassis]] = {
    **dict.fromkeys((3, 4, 5, 6, 7, 13, 15, 16, 35, 36), "desktop"),
    **dict.fromkeys((8, 9, 10, 11, 12, 14, 30, 31, 32), "laptop"),
    **dict.fromkeys((17, 23, 25, 28, 29), "server"),
}
_UNKNOWN: Final = (0, 2)
"""No number at all, and the one that says "unknown"."""


def chassis(number: int) -> Chassis | UnsetType:
    return UNSET if number in _UNKNOWN else _KINDS.get(number, "other")
