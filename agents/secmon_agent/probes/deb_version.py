"""Order of Debian version numbers, as `dpkg --compare-versions` has it (deb-version(7))."""

from __future__ import annotations

import re
from typing import Final

Key = tuple[int, list[int], list[int]]

_PARTS: Final = r"([^0-9]*)([0-9]*)"


def version_key(version: str) -> Key:
    """Keys compare as the versions do; versions that differ only in spelling ("1.0", "0:1.0-0") have equal keys."""
    epoch, colon, rest = version.partition(":")
    if not colon or not epoch.isdecimal():
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    return int(epoch), _part_key(upstream), _part_key(revision)


def _part_key(text: str) -> list[int]:
    """Non-digits by rank and closed by 0 (`~` sorts before that end, everything else after), then the number, and so
    on."""
    key: list[int] = []
    for characters, digits in re.findall(_PARTS, text or "0"):
        key.extend([_rank(character) for character in characters])
        key.append(0)
        key.append(int(digits or 0))
    return key


def _rank(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256
