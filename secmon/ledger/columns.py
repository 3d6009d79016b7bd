"""Which column of an office's ledger means what: the usual Japanese headings, or what the office says in a file."""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from secmon.errors import UsageError
from secmon.ledger.table import Row, TableError, read_file, readings

HEADINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "asset_number": ("資産番号", "台帳番号", "管理番号", "資産管理番号", "備品番号", "asset number", "asset_number"),
    "name": ("機器名", "コンピュータ名", "コンピューター名", "機器名/コンピュータ名", "ホスト名", "端末名", "pc名",
             "computer name", "hostname", "host"),
    "serial": ("シリアル番号", "シリアルno", "シリアル", "製造番号", "serial number", "serial", "s/n"),
    "zone": ("ネットワーク", "ゾーン", "ネットワーク/ゾーン", "ネットワーク区分", "接続系", "系統", "zone"),
    "department": ("部署", "部署名", "所属", "所属名", "課", "課名", "所管課", "department"),
    "department_code": ("部署コード", "所属コード", "課コード", "department code", "department_code"),
    "role": ("役割", "機器の役割", "role"),
    "location": ("設置場所", "設置箇所", "場所", "location"),
    "owner": ("管理者", "管理責任者", "管理担当", "owner"),
}  # fmt: skip
"""Field → headings it is known by, as `plain_heading` leaves them. Columns of other names are not read."""
MAX_HEADING_ROW: Final = 30
"""Titles and notes may stand above the headings, so far down they are looked for."""


class ColumnMap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file that `--map` names. What it does not say stays as usual."""

    columns: dict[str, str | list[str]] = {}
    """Field → its heading, or headings that mean the same."""
    zones: dict[str, str] = {}
    """What the ledger calls a zone → its id in the settings."""
    roles: dict[str, str] = {}
    """What the ledger calls a role → `office-pc`, …"""


class Columns(Struct, frozen=True, kw_only=True):
    """Where each field stands."""

    heading: Row
    places: Mapping[str, int]


def read_mapping(path: Path) -> ColumnMap:
    """Raises UsageError with the reason."""
    try:
        found = msgspec.convert(tomllib.loads(read_file(path).decode("utf-8")), ColumnMap)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path}: {error}") from None
    for field in found.columns:
        if field not in HEADINGS:
            raise UsageError(f"{path}: columns.{field}: the fields are {', '.join(HEADINGS)}")
    return found


def plain_heading(text: str) -> str:
    """Headings differ by width, spaces and breaks of line: `資産　番号` is 資産番号."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def understand(data: bytes, mapping: ColumnMap) -> tuple[Columns, tuple[Row, ...]]:
    """The columns and the rows below them, of the reading in which most headings are known. Raises TableError."""
    found = [(columns, rows) for rows in readings(data) if (columns := _columns(rows, mapping)) is not None]
    if not found:
        raise TableError("no heading for the asset number (資産番号) in the first rows; say which it is with --map")
    columns, rows = max(found, key=lambda pair: len(pair[0].places))
    return columns, tuple(row for row in rows if row.number > columns.heading.number)


def _columns(rows: Sequence[Row], mapping: ColumnMap) -> Columns | None:
    known = _known(mapping)
    candidates = [_places(row, known) for row in rows[:MAX_HEADING_ROW]]
    best = max(candidates, key=lambda columns: len(columns.places), default=None)
    return best if best is not None and "asset_number" in best.places else None


def _known(mapping: ColumnMap) -> dict[str, str]:
    """Plain heading → field; what the office says wins, and a field it names is known by no other heading."""
    own = {
        plain_heading(heading): field
        for field, said in mapping.columns.items()
        for heading in ([said] if isinstance(said, str) else said)
    }
    usual = {
        plain_heading(heading): field
        for field, headings in HEADINGS.items()
        if field not in mapping.columns
        for heading in headings
    }
    return {**usual, **own}


def _places(row: Row, known: Mapping[str, str]) -> Columns:
    places: dict[str, int] = {}
    for at, cell in enumerate(row.cells):
        field = known.get(plain_heading(cell))
        if field is not None:
            places.setdefault(field, at)
    return Columns(heading=row, places=places)
