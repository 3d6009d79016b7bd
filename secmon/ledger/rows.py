"""Rows of the ledger as secmon understands them; a row that it cannot take says why, and takes no other with it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct, UnsetType

from secmon.config import Zone
from secmon.ledger.columns import ColumnMap, Columns
from secmon.ledger.table import Row
from secmon_agent.probes.placeholders import meaningful

ATTRIBUTES: Final = ("zone", "department", "department_code", "role", "location", "owner")
"""Fields that become attributes of the machine."""
LIMITS: Final[Mapping[str, int]] = {"asset_number": 64, "serial": 128, "zone": 64, "role": 64, "department_code": 64}
"""Characters of a field; the others have 255."""


class LedgerRow(Struct, frozen=True, kw_only=True):
    number: int
    """As the spreadsheet counts it."""
    asset_number: str
    name: str = ""
    serial: str = ""
    attributes: Mapping[str, str] = {}
    """Only what the row says: an empty cell says nothing."""


class BadRow(Struct, frozen=True, kw_only=True):
    number: int
    reason: str


class _BadError(Exception):
    """Why this row is not taken."""


def read_rows(
    columns: Columns, rows: Sequence[Row], mapping: ColumnMap, zones: Sequence[Zone]
) -> tuple[list[LedgerRow], list[BadRow]]:
    taken: dict[str, LedgerRow] = {}
    bad: list[BadRow] = []
    names = _zone_names(zones, mapping)
    for row in rows:
        try:
            read = _row(columns, row, mapping, names, strict=bool(zones))
        except _BadError as error:
            bad.append(BadRow(number=row.number, reason=str(error)))
            continue
        first = taken.setdefault(read.asset_number, read)
        if first is not read:
            reason = f"the asset number {read.asset_number} stands in row {first.number} already"
            bad.append(BadRow(number=row.number, reason=reason))
    return list(taken.values()), bad


def _zone_names(zones: Sequence[Zone], mapping: ColumnMap) -> dict[str, str]:
    """What people call a zone → its id."""
    names = {_folded(zone.id): zone.id for zone in zones} | {_folded(zone.name): zone.id for zone in zones}
    return names | {_folded(said): zone for said, zone in mapping.zones.items()}


def _row(columns: Columns, row: Row, mapping: ColumnMap, zones: Mapping[str, str], *, strict: bool) -> LedgerRow:
    cells = {field: row.cells[at] if at < len(row.cells) else "" for field, at in columns.places.items()}
    said = {field: _clean(field, cell) for field, cell in cells.items()}
    if not said["asset_number"]:
        raise _BadError("no asset number")
    attributes = {field: said[field] for field in ATTRIBUTES if said.get(field)}
    if "zone" in attributes:
        attributes["zone"] = _zone(attributes["zone"], zones, strict=strict)
    if "role" in attributes:
        roles = {_folded(name): role for name, role in mapping.roles.items()}
        attributes["role"] = roles.get(_folded(attributes["role"]), attributes["role"])
    serial = meaningful(said.get("serial", ""))
    return LedgerRow(
        number=row.number,
        asset_number=said["asset_number"],
        name=said.get("name", ""),
        serial="" if isinstance(serial, UnsetType) else serial,
        attributes=attributes,
    )


def _clean(field: str, cell: str) -> str:
    """One line; what identifies is brought to one width, so that ＰＣ－０１ is PC-01."""
    text = " ".join(cell.split())
    if field in ("asset_number", "name", "serial", "department_code"):
        text = unicodedata.normalize("NFKC", text)
    most = LIMITS.get(field, 255)
    if len(text) > most:
        raise _BadError(f"{field}: more than {most} characters")
    if not text.isprintable():
        raise _BadError(f"{field}: a character that cannot be shown")
    return text


def _zone(said: str, zones: Mapping[str, str], *, strict: bool) -> str:
    """Without zones in the settings the office's own word is taken, as `secmon host set` takes it."""
    zone = zones.get(_folded(said))
    if zone is None and strict:
        raise _BadError(f"the zone {said!r} is not in the settings; name it there, or under [zones] with --map")
    return zone or said


def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
