"""Rows as CSV for a spreadsheet: UTF-8 with a byte order mark, and no cell that could be a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r")


def as_csv(rows: Iterable[Iterable[str]]) -> bytes:
    """A line for each row."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _harmless(cell: str) -> str:
    """A spreadsheet takes `=…` for a formula; an apostrophe in front makes it text."""
    flat = " ".join(cell.splitlines())
    return f"'{flat}" if flat.lstrip().startswith(_FORMULA) else flat
