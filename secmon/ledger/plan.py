"""What taking a ledger in would do, said before it is done. Pure: rows and machines in, a plan out."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from secmon.ledger.rows import BadRow, LedgerRow


class Known(Struct, frozen=True, kw_only=True):
    """A machine in service, as far as the ledger is about it."""

    host_id: uuid.UUID
    name: str
    hostname: str
    serial: str = ""
    asset_number: str = ""
    """Of the row that it stands for now."""
    told_number: str = ""
    """As the machine said when it enrolled, whether the ledger had such a row or not."""
    reported: bool = False
    attributes: Mapping[str, str] = {}
    """As they hold, or will hold on the day from which the ledger is to take effect."""


class Taken(Struct, frozen=True, kw_only=True):
    """A row that is taken, and the machine it is about."""

    row: LedgerRow
    machine: Known | None
    changes: Mapping[str, str] = {}
    """Attribute → its new value, where it has another or none."""

    @property
    def links(self) -> bool:
        return self.machine is not None and self.machine.asset_number != self.row.asset_number


class Plan(Struct, frozen=True, kw_only=True):
    taken: tuple[Taken, ...]
    bad: tuple[BadRow, ...]
    notes: tuple[BadRow, ...]
    """Rows that are taken although something about them looks wrong."""

    @property
    def without_machine(self) -> list[LedgerRow]:
        return [each.row for each in self.taken if each.machine is None]


def make_plan(rows: Sequence[LedgerRow], bad: Sequence[BadRow], machines: Sequence[Known]) -> Plan:
    """Each machine stands for one row at most; a row that could be two machines is nobody's until a person says so."""
    finder = _Finder(machines)
    taken: list[Taken] = []
    refused, notes = list(bad), list[BadRow]()
    for row in rows:
        machine, wrong = finder.find(row)
        if wrong:
            refused.append(BadRow(number=row.number, reason=wrong))
            continue
        if machine is not None and row.serial and machine.serial and not _same(row.serial, machine.serial):
            notes.append(
                BadRow(
                    number=row.number,
                    reason=f"serial number {row.serial} in the ledger, {machine.serial} on {machine.name}",
                )
            )
        changes = {
            name: value
            for name, value in row.attributes.items()
            if machine is not None and machine.attributes.get(name) != value
        }
        taken.append(Taken(row=row, machine=machine, changes=changes))
    refused.sort(key=lambda each: each.number)
    return Plan(taken=tuple(taken), bad=tuple(refused), notes=tuple(notes))


class _Finder:
    """Which machine a row is about. The row it stands for already comes first; then, as when machines enroll, the
    serial number, the asset number that the machine told, and the name."""

    def __init__(self, machines: Sequence[Known]) -> None:
        self._linked = {each.asset_number: each for each in machines if each.asset_number}
        self._serials = _index((each.serial, each) for each in machines)
        self._told = _index((each.told_number, each) for each in machines)
        names = {(name.casefold(), each.host_id): each for each in machines for name in (each.name, each.hostname)}
        self._names = _index((name, each) for (name, _), each in names.items())
        self._used: dict[uuid.UUID, int] = {}

    def find(self, row: LedgerRow) -> tuple[Known | None, str]:
        """The machine or None, and what is wrong."""
        machine, wrong = self._candidate(row)
        if machine is None or wrong:
            return None, wrong
        first = self._used.setdefault(machine.host_id, row.number)
        if first != row.number:
            return None, f"{machine.name} is the machine of row {first} already"
        return machine, ""

    def _candidate(self, row: LedgerRow) -> tuple[Known | None, str]:
        linked, by_serial = self._linked.get(row.asset_number), self._serials.get(row.serial.casefold(), [])
        if linked is not None:
            if by_serial and linked not in by_serial:
                return None, f"asset number of {linked.name}, but serial number of {by_serial[0].name}"
            return linked, ""
        told, named = self._told.get(row.asset_number.casefold(), []), self._names.get(row.name.casefold(), [])
        for what, found in (("serial number", by_serial), ("asset number", told), ("name", named)):
            if len(found) > 1:
                return None, f"two machines have this {what}: {found[0].name} and {found[1].name}"
            if found and found[0].asset_number:
                return None, f"{what} of {found[0].name}, which stands for {found[0].asset_number} already"
            if found:
                return found[0], ""
        return None, ""


def _index(pairs: Iterable[tuple[str, Known]]) -> dict[str, list[Known]]:
    found: dict[str, list[Known]] = {}
    for key, machine in pairs:
        if key:
            found.setdefault(key.casefold(), []).append(machine)
    return found


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
