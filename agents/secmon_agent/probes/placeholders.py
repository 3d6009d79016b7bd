"""Texts that makers leave in firmware instead of a name."""

from __future__ import annotations

import re
from typing import Final

from msgspec import UNSET, UnsetType

_PLACEHOLDER: Final = (
    r"|to be filled by o\.?e\.?m\.?|o\.?e\.?m\.?|default string"
    r"|system (manufacturer|product name|serial number|version)"
    r"|(type2 - )?(base ?)?board serial number|oem default string|filled by oem|empty"
    r"|not (specified|applicable|available)|none|n/?a|unknown|chassis serial number"
    r"|x+|0+|f+|[-. ]+|0?1234567890?|123456789|invalid"
)


def meaningful(text: str) -> str | UnsetType:
    """`text` trimmed, or UNSET where it says nothing."""
    trimmed = " ".join(text.replace("\0", " ").split())
    return UNSET if re.fullmatch(_PLACEHOLDER, trimmed, re.IGNORECASE) else trimmed
