"""What is known of productState, the number that products give to the Windows Security Center. It is undocumented: a
value that is not known here says nothing."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET, UnsetType

ProductState = Literal["on", "off", "snoozed", "expired"]

_STATES: Final[dict[int, ProductState]] = {0x0: "off", 0x1: "on", 0x2: "snoozed", 0x3: "expired"}
_SIGNATURES: Final = {0x0: True, 0x1: False}
_MICROSOFT: Final = 0x100


def state(number: int) -> ProductState | UnsetType:
    return _STATES.get(number >> 12 & 0xF, UNSET)


def up_to_date(number: int) -> bool | UnsetType:
    return _SIGNATURES.get(number >> 4 & 0xF, UNSET)


def from_microsoft(number: int) -> bool:
    return number & 0xF00 == _MICROSOFT
