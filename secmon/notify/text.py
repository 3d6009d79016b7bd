"""Plain text as it may stand in a mail: no control characters, lines folded the Japanese way."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from secmon.japanese import width

COLUMNS: Final = 76
"""Display width of a line; a full-width character takes two."""
_NOT_FIRST: Final = "、。，．・：；？！）」』】〉》〕］｝ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ,.:;?!)]}%"
_NOT_LAST: Final = "（「『【〈《〔［｛([{"
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that could break a header, or turn the reading direction round."""
_PIECE: Final = re.compile(r"[!-~]+|\s+|.", re.DOTALL)


def one_line(text: str, limit: int = 200) -> str:
    """`text` from a machine, harmless in headers and lines: one line, nothing invisible, not longer than `limit`."""
    safe = "".join(" " if unicodedata.category(each) in _UNSAFE else each for each in text)
    line = " ".join(safe.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def fold(text: str, first: str = "", rest: str | None = None, columns: int = COLUMNS) -> str:
    """Lines within `columns`, the first one behind `first`, the others behind `rest`. Words stay whole where they can;
    no line begins with 。 or ends with （."""
    if not text:
        return ""
    rest = first if rest is None else rest
    lines: list[str] = []
    line = first
    for piece in _pieces(text, columns - max(width(first), width(rest))):
        if width(line) + width(piece) <= columns or line in (first, rest):
            line += piece
            continue
        line, carried = _break(line, piece)
        lines.append(line.rstrip())
        line = rest + carried + piece.lstrip()
    return "\n".join([*lines, line.rstrip()])


def _pieces(text: str, room: int) -> Iterator[str]:
    """Words and single full-width characters; words longer than a line are cut."""
    for piece in _PIECE.findall(text):
        for start in range(0, len(piece), room):
            yield piece[start : start + room]


def _break(line: str, following: str) -> tuple[str, str]:
    """The line, and what moves to the next one so that neither begins or ends wrongly."""
    carried = ""
    while len(line) > len(carried) + 1 and following[:1] in _NOT_FIRST:
        line, carried = line[:-1], line[-1] + carried
        following = carried
    while line and line[-1] in _NOT_LAST:
        line, carried = line[:-1], line[-1] + carried
    return line, carried
