"""The first visible sheet of an XLSX file: values only, never a formula, a macro or a link.

An XLSX file is a ZIP of XML. Before the library sees it, every part is unpacked once against the limits, so that a
part that says it is small and is not, a document type (where entities come from) or a damaged file is refused.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any, Final

from openpyxl import Workbook, load_workbook

from secmon.ledger.table import MAX_COLUMNS, MAX_ROWS, Row, TableError, bounded

MAX_PARTS: Final = 500
MAX_UNPACKED_BYTES: Final = 64 * 1024 * 1024
MAX_SHEET_ROWS: Final = 4 * MAX_ROWS
"""Looked at, empty ones among them: a formatted sheet may go on far below its content."""
_PIECE: Final = 256 * 1024


def read_workbook(data: bytes) -> tuple[Row, ...]:
    """Raises TableError, and nothing else, whatever the bytes are."""
    try:
        _check(data)
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        return bounded(_rows(_sheet(book)))
    except TableError:
        raise
    except Exception as error:  # noqa: BLE001 - the library raises whatever a damaged file leads it to
        raise TableError(f"not a workbook that can be read: {type(error).__name__}") from None


def _check(data: bytes) -> None:
    unpacked = 0
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
        if len(parts) > MAX_PARTS:
            raise TableError(f"the workbook has more than {MAX_PARTS} parts")
        for part in parts:
            if part.flag_bits & 1:
                raise TableError("the workbook has a password; save it without one")
            with archive.open(part) as stream:
                start = b""
                while piece := stream.read(_PIECE):
                    unpacked += len(piece)
                    if unpacked > MAX_UNPACKED_BYTES:
                        raise TableError(f"the workbook unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB")
                    start = start or piece
                if b"<!DOCTYPE" in start or start.startswith((b"\xff\xfe", b"\xfe\xff")):
                    raise TableError("the workbook holds XML of a kind that no spreadsheet writes")


def _sheet(book: Workbook) -> Any:
    """A `ReadOnlyWorksheet`, whose stubs do not know its rows."""
    sheets: list[Any] = [each for each in book.worksheets if each.sheet_state == "visible"]
    if not sheets:
        raise TableError("the workbook has no sheet")
    return sheets[0]


def _rows(sheet: Any) -> Iterator[tuple[int, list[str]]]:
    sheet.reset_dimensions()  # what the file says of its size is not believed
    for number, cells in enumerate(sheet.iter_rows(max_col=MAX_COLUMNS + 1, values_only=True), 1):
        if number > MAX_SHEET_ROWS:
            raise TableError(f"more than {MAX_SHEET_ROWS} rows, empty ones among them")
        texts = [_text(cell) for cell in cells]
        while texts and not texts[-1].strip():
            texts.pop()
        yield number, texts


def _text(value: object) -> str:
    """As a person sees it: 12 and not 12.0, a day without its midnight."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ", timespec="minutes")
    return value.isoformat() if isinstance(value, date) else str(value)
