"""The nouns: a record, the register of all that hold at a moment, and how an answer stands under it. Pure."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final, Literal

from msgspec import Struct

from secmon.evaluate.model import Item, Standing, Status

Kind = Literal["exception", "dispute"]
Cover = Literal["excepted", "disputed"]
"""What a problem is that a record covers; also `findings.state`, and the event of the transition."""

COVERS: Final[Mapping[Kind, Cover]] = {"exception": "excepted", "dispute": "disputed"}
COVERED: Final[tuple[Cover, ...]] = ("excepted", "disputed")
REVIEW_DAYS: Final = 90
"""A dispute is looked at again after this long."""
DISPUTED: Final = "disputed"
"""The reason of an `unknown` that rests on a dispute."""
_APRIL: Final = 4
_MARCH_31: Final = (3, 31)


class Scope(Struct, frozen=True, kw_only=True):
    """Which problems a record is about. Whatever of machine, zone, department and role is given must all be so."""

    check: str
    item: str | None = None
    """Key of the item (`tcp/23`, a package, an account); None: every item of the check."""
    host_id: uuid.UUID | None = None
    zone: str | None = None
    department: str | None = None
    role: str | None = None

    def covers(self, host_id: uuid.UUID, attributes: Mapping[str, str], check: str, item: str) -> bool:
        """`attributes` are those of the machine at the moment in question."""
        return (
            self.check == check
            and self.item in (None, item)
            and self.host_id in (None, host_id)
            and all(
                wanted is None or attributes.get(name) == wanted
                for name, wanted in (("zone", self.zone), ("department", self.department), ("role", self.role))
            )
        )


class Record(Struct, frozen=True, kw_only=True):
    """A row of `exceptions`."""

    exception_id: uuid.UUID
    number: str
    """How people call it: `2026-E01`."""
    kind: Kind
    scope: Scope
    reason: str
    measure: str = ""
    """What is done instead (代替策)."""
    approver: str = ""
    """A post; empty for a dispute."""
    valid_from: datetime
    valid_to: datetime
    """The first moment after its last day."""
    recorded_at: datetime
    recorded_by: str
    ended_at: datetime | None = None
    ended_by: str | None = None
    ended_reason: str | None = None

    def holds(self, at: datetime, known_at: datetime | None = None) -> bool:
        """At `at`, as it was known at `known_at`; what was recorded later does not exist."""
        known_at = known_at or at
        ended = self.ended_at is not None and self.ended_at <= min(at, known_at)
        return self.recorded_at <= known_at and self.valid_from <= at < self.valid_to and not ended

    @property
    def last_moment(self) -> datetime:
        """Within its last day."""
        return self.valid_to - timedelta(microseconds=1)

    def last_day(self, tz: tzinfo) -> date:
        """Inclusive, at the office."""
        return self.last_moment.astimezone(tz).date()


class Register:
    """Records that hold at one moment, by check. Exceptions go before disputes, what lasts longer before the rest."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._by_check: dict[str, list[Record]] = defaultdict(list)
        for record in sorted(
            records, key=lambda each: (each.kind == "dispute", -each.valid_to.timestamp(), each.number)
        ):
            self._by_check[record.scope.check].append(record)

    def __bool__(self) -> bool:
        return bool(self._by_check)

    @property
    def checks(self) -> frozenset[str]:
        return frozenset(self._by_check)

    @property
    def records(self) -> list[Record]:
        return [record for records in self._by_check.values() for record in records]

    def find(self, host_id: uuid.UUID, attributes: Mapping[str, str], check: str, item: str) -> Record | None:
        """The record that covers this problem. `item` is empty for a check that is about no list."""
        mine = self._by_check.get(check, ())
        return next((each for each in mine if each.scope.covers(host_id, attributes, check, item)), None)


def standing(
    status: Status, items: Sequence[Item], covered: Callable[[str], Cover | None]
) -> tuple[Standing, str | None]:
    """How an answer stands once what is covered is taken out, and the reason of an `unknown` that comes of it.

    Excepted only if every failing item is. A disputed one counts as unknown, and so does what could not be read of the
    other items: bearing with one item says nothing of them.
    """
    if status != "fail":
        return status, None
    covers = {covered(key) for key in failing_items(items)}
    if None in covers:
        return "fail", None
    if "disputed" in covers:
        return "unknown", DISPUTED
    doubtful = next((item for item in items if item.status == "unknown"), None)
    return ("excepted", None) if doubtful is None else ("unknown", doubtful.reason)


def failing_items(items: Iterable[Item]) -> list[str]:
    """Keys as findings have them; of a failing answer without items the one empty key."""
    return [item.key[:255] for item in items if item.status == "fail"] or [""]


# ── days ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def fiscal_year(day: date) -> int:
    """The year in which its April lies."""
    return day.year - (day.month < _APRIL)


def fiscal_year_end(day: date) -> date:
    """31 March, the last day of the fiscal year that `day` lies in."""
    return date(fiscal_year(day) + 1, *_MARCH_31)


def begins(day: date, tz: tzinfo) -> datetime:
    """The first moment of a day at the office."""
    return datetime.combine(day, time(), tz)


def ends(day: date, tz: tzinfo) -> datetime:
    """The first moment after it."""
    return begins(day + timedelta(days=1), tz)
