"""The export of a WSUS: one row for each machine and update that is not settled, made by docs/wsus-compare.ja.md.

Made from documentation: the columns are properties of IComputerTarget, IUpdate and IUpdateInstallationInfo of the
WSUS administration interface; no export of a real server has been seen yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from secmon.ledger.table import Row, TableError, readings

COLUMNS: Final = ("FullDomainName", "LastReportedStatusTime", "UpdateId", "KB", "ClassificationId", "State", "Approval")
MAX_ROWS: Final = 500_000
UNSETTLED: Final = frozenset({"NotInstalled", "Downloaded", "InstalledPendingReboot", "Failed"})
"""States (UpdateInstallationState) in which an update is needed; `Unknown` says that the WSUS has not heard yet."""
STATES: Final = UNSETTLED | {"Unknown", "Installed", "NotApplicable"}
DEFINITIONS: Final = "e0789628-ce08-4437-be74-2495b842f43b"
DRIVERS: Final = "ebfc1fc5-71a4-4f7b-9aca-3b9a503104a0"
_KB: Final = re.compile(r"(?:KB)?([0-9]{5,8})", re.IGNORECASE)


class Update(Struct, frozen=True, kw_only=True):
    name: str
    """`KB5068861`, or the GUID of an update that has none, as the agent names it."""
    classification: str
    """GUID, in small letters."""
    state: str
    approval: str
    """`Install`, `NotApproved`, `Uninstall`."""


class WsusMachine(Struct, frozen=True, kw_only=True):
    name: str
    """FullDomainName."""
    reported_at: datetime | None
    """When it last told the WSUS its state; None: never."""
    updates: tuple[Update, ...]

    @property
    def hostname(self) -> str:
        return self.name.partition(".")[0].casefold()


def read_export(data: bytes) -> list[WsusMachine]:
    """Machines in the order of names. Raises TableError with row and reason: a half-read file would mislead."""
    for rows in readings(data, MAX_ROWS):
        places = _places(rows[0]) if rows else {}
        if places:
            return _machines(rows[1:], places)
    raise TableError(f"the first row must name the columns {', '.join(COLUMNS)}; see docs/wsus-compare.ja.md")


def _places(row: Row) -> Mapping[str, int]:
    found = {cell.strip(): at for at, cell in enumerate(row.cells)}
    return {column: found[column] for column in COLUMNS} if found.keys() >= set(COLUMNS) else {}


def _machines(rows: tuple[Row, ...], places: Mapping[str, int]) -> list[WsusMachine]:
    times: dict[str, datetime | None] = {}
    updates: dict[str, dict[str, Update]] = {}
    for row in rows:
        said = {name: row.cells[at].strip() if at < len(row.cells) else "" for name, at in places.items()}
        name = said["FullDomainName"]
        if not name or not name.isprintable():
            raise TableError(f"row {row.number}: no FullDomainName")
        times[name] = _instant(row.number, said["LastReportedStatusTime"])
        of_machine = updates.setdefault(name, {})
        for update in _updates(row.number, said):
            if update.state in UNSETTLED or update.name not in of_machine:  # several updates may share a KB
                of_machine[update.name] = update
    return [
        WsusMachine(name=name, reported_at=times[name], updates=tuple(updates[name].values())) for name in sorted(times)
    ]


def _updates(number: int, said: Mapping[str, str]) -> Iterator[Update]:
    """None where the row only says that the machine is there; one for each KB otherwise, as the agent counts them."""
    if not said["UpdateId"] and not said["KB"]:
        return
    if said["State"] not in STATES:
        raise TableError(f"row {number}: State {said['State']!r} is none of {', '.join(sorted(STATES))}")
    names = [f"KB{digits}" for digits in _KB.findall(said["KB"])] or [said["UpdateId"].casefold()]
    for name in names:
        yield Update(
            name=name,
            classification=said["ClassificationId"].casefold().strip("{}"),
            state=said["State"],
            approval=said["Approval"],
        )


def _instant(number: int, text: str) -> datetime | None:
    """ISO 8601 in UTC; WSUS writes the year 1 or nothing for never."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TableError(f"row {number}: LastReportedStatusTime {text!r} is not ISO 8601") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment if moment.year > 2000 else None
