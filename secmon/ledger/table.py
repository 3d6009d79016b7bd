"""A file that a spreadsheet wrote, as rows of text. What it is, its bytes say, not its name.

Everything is bounded before it is read: the file, its rows and columns, the length of a cell.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from secmon.errors import UsageError

MAX_FILE_BYTES: Final = 16 * 1024 * 1024
MAX_ROWS: Final = 20_000
MAX_COLUMNS: Final = 200
MAX_CELL_CHARS: Final = 4096
ENCODINGS: Final = ("utf-8", "cp932")
"""Without a byte order mark; the first that fits."""
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


class Row(Struct, frozen=True, kw_only=True):
    number: int
    """As the spreadsheet counts it, from 1."""
    cells: tuple[str, ...]


class TableError(UsageError):
    """A file that is no table that can be read."""


def read_file(path: Path) -> bytes:
    """The content; TableError where it cannot be had or is too long."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise TableError(f"{path}: larger than {MAX_FILE_BYTES // 1024 // 1024} MiB")
    return data


def readings(data: bytes, max_rows: int = MAX_ROWS) -> Iterator[tuple[Row, ...]]:
    """The rows, in each of the ways in which the bytes can be read, the likeliest first. Raises TableError for none.

    Half-width katakana in cp932 can be UTF-8 by accident, so whoever knows the headings has the last word.
    """
    if data.startswith(_ZIP):
        from secmon.ledger.workbook import read_workbook

        yield read_workbook(data)
        return
    if data.startswith(_OLE):
        raise TableError("this is an old Excel file (.xls) or one with a password; save it as .xlsx or CSV")
    texts = list(_texts(data))
    if not texts:
        raise TableError(f"neither UTF-8 nor cp932 (Shift_JIS): line {_bad_line(data)} cannot be read")
    yield from (_rows_of_text(text, max_rows) for text in texts)


def _texts(data: bytes) -> Iterator[str]:
    if data.startswith(b"\xef\xbb\xbf"):
        encodings: tuple[str, ...] = ("utf-8-sig",)
    elif data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ("utf-16",)
    else:
        encodings = ENCODINGS
    for encoding in encodings:
        try:
            yield data.decode(encoding)
        except UnicodeDecodeError:
            continue


def _bad_line(data: bytes) -> int:
    """Where the reading that gets furthest ends."""
    reached = 0
    for encoding in ENCODINGS:
        try:
            data.decode(encoding)
        except UnicodeDecodeError as error:
            reached = max(reached, error.start)
    return data.count(b"\n", 0, reached) + 1


def _rows_of_text(text: str, max_rows: int) -> tuple[Row, ...]:
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if first.count("\t") > first.count(",") else ",")
    try:
        return bounded(((reader.line_num, cells) for cells in reader), max_rows)
    except csv.Error as error:
        raise TableError(f"row {reader.line_num}: {error}") from None


def bounded(rows: Iterable[tuple[int, Iterable[str]]], max_rows: int = MAX_ROWS) -> tuple[Row, ...]:
    """The rows that hold anything, within the limits."""
    found: list[Row] = []
    for number, cells in rows:
        kept = tuple(cells)
        if len(kept) > MAX_COLUMNS:
            raise TableError(f"row {number}: more than {MAX_COLUMNS} columns")
        if any(len(cell) > MAX_CELL_CHARS for cell in kept):
            raise TableError(f"row {number}: a cell of more than {MAX_CELL_CHARS} characters")
        if any(cell.strip() for cell in kept):
            found.append(Row(number=number, cells=kept))
        if len(found) > max_rows:
            raise TableError(f"more than {max_rows} rows")
    return tuple(found)
