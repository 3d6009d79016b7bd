"""Lines of Japanese and Latin text for a column of a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rich.cells import cell_len

_PIECE: Final = re.compile(r"[\x21-\x7e]+|\s|[^\x21-\x7e\s]")
_PART: Final = re.compile(r"[^._/=-]*[._/=-]+|[^._/=-]+")
_NEVER_FIRST: Final = frozenset("、。，．」』）】〕：；！？ー…・ぁぃぅぇぉっゃゅょァィゥェォッャュョ々%％")
_NEVER_LAST: Final = frozenset("「『（【〔")


def wrap(text: str, width: int) -> str:
    """`text` in lines of at most `width` cells; words stay whole where they fit, no line begins with a full stop."""
    return "\n".join(line for paragraph in text.split("\n") for line in _lines(paragraph, width))


def _lines(text: str, width: int) -> Iterator[str]:
    line = ""
    for piece in _pieces(text, width):
        if cell_len(line + piece) <= width:
            line += piece
            continue
        if not line.strip():  # leading blanks give way to a piece that needs the whole line
            line = piece
            continue
        kept, carried = _broken(line, piece)
        yield kept.rstrip()
        line = (carried + piece).lstrip()
    yield line.rstrip()


def _pieces(text: str, width: int) -> Iterator[str]:
    """What may not be broken: words, single Japanese characters; parts of a word that is wider than the column."""
    for match in _PIECE.finditer(text):
        word = match[0]
        if cell_len(word) <= width:
            yield word
            continue
        for part in _PART.findall(word):
            yield from (part[at : at + width] for at in range(0, len(part), width))


def _broken(line: str, piece: str) -> tuple[str, str]:
    """Where to break before `piece`: a character that must not begin a line takes the one before it along."""
    cut = len(line)
    while cut > 1 and ((piece if cut == len(line) else line[cut])[0] in _NEVER_FIRST or line[cut - 1] in _NEVER_LAST):
        cut -= 1
    return (line[:cut], line[cut:]) if cut > 1 else (line, "")
