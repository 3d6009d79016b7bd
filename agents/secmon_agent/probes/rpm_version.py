"""Order of rpm version numbers, as `rpmvercmp` has it."""

from __future__ import annotations

import re
from typing import Final

Part = tuple[tuple[int, int | str], ...]
Key = tuple[int, Part, Part]

_TOKENS: Final = re.compile(r"([0-9]+)|([A-Za-z]+)|(~)|(\^)")
_END: Final = (1, 0)


def evr_key(epoch: int, version: str, release: str) -> Key:
    """Keys compare as epoch, version and release do; a package without an epoch has epoch 0."""
    return epoch, part_key(version), part_key(release)


def part_key(text: str) -> Part:
    """Tilde, end, caret, letters, digits: in this order. All other characters only separate."""
    return (*(_token(*found) for found in _TOKENS.findall(text)), _END)


def _token(digits: str, letters: str, tilde: str, caret: str) -> tuple[int, int | str]:
    if digits:
        return 4, int(digits)
    if letters:
        return 3, letters
    return (0, 0) if tilde else (2, 0)


def text_key(text: str) -> Key:
    """Key of `[epoch:]version[-release]`."""
    head, colon, rest = text.partition(":")
    epoch = int(head) if colon and head.isdecimal() else 0
    version, dash, release = (rest if colon else head).rpartition("-")
    return evr_key(epoch, version, release) if dash else evr_key(epoch, release, "")


def evr_text(epoch: int, version: str, release: str) -> str:
    """As rpm writes it: the epoch only where there is one."""
    return f"{epoch}:{version}-{release}" if epoch else f"{version}-{release}"
