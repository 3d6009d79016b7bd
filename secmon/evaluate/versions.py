"""The order of version numbers.

The order is Debian's (deb-version(7)): epoch, then upstream version, then revision; within each, runs of digits compare
as numbers, letters come before other signs, and `~` comes before everything, even the end. Dotted numbers (Windows
builds, RPM versions without letters) come out in their natural order too.
"""

from __future__ import annotations

from itertools import zip_longest


def version_cmp(a: str, b: str) -> int:
    """-1 where `a` is older than `b`, 0 where they are equal, 1 where it is newer."""
    for left, right in zip(_split(a), _split(b), strict=True):
        order = _compare(left, right)
        if order:
            return order
    return 0


def _split(version: str) -> tuple[str, str, str]:
    epoch, colon, rest = version.strip().partition(":")
    if not colon:
        epoch, rest = "0", epoch
    upstream, _, revision = rest.rpartition("-")
    return (epoch, upstream, revision) if upstream else (epoch, rest, "")


def _compare(a: str, b: str) -> int:
    for (left_text, left_number), (right_text, right_number) in zip_longest(_runs(a), _runs(b), fillvalue=("", "")):
        for left, right in zip_longest(left_text, right_text, fillvalue=""):
            if _weight(left) != _weight(right):
                return 1 if _weight(left) > _weight(right) else -1
        left_digits, right_digits = left_number.lstrip("0"), right_number.lstrip("0")
        left_key, right_key = (len(left_digits), left_digits), (len(right_digits), right_digits)
        if left_key != right_key:
            return 1 if left_key > right_key else -1
    return 0


def _runs(version: str) -> list[tuple[str, str]]:
    """Pairs of (signs, digits): "1.2~rc" → [("", "1"), (".", "2"), ("~rc", "")]."""
    runs: list[tuple[str, str]] = []
    text = number = ""
    for sign in version:
        if sign.isascii() and sign.isdigit():
            number += sign
            continue
        if number:
            runs.append((text, number))
            text = number = ""
        text += sign
    return [*runs, (text, number)]


def _weight(sign: str) -> int:
    if sign == "~":
        return -1
    if not sign:
        return 0
    return ord(sign) if sign.isascii() and sign.isalpha() else ord(sign) + 0x110000
