"""Following findings up: who looks after what until when, who has taken note, and what was there at the beginning."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection, Row

from secmon.config import Config
from secmon.evaluate.model import SEVERITIES
from secmon.exceptions.model import ends
from secmon.japanese import next_working_day
from secmon.store.exceptions import is_due
from secmon.store.schema import asset_findings, assets, exceptions, findings, host_attributes, hosts

SPREAD_DAYS: Final[Mapping[str, int]] = {"high": 30, "medium": 90, "low": 180}
"""Within so many days what was there at the beginning is due, by severity."""
_CHUNK: Final = 500
_INSTANT: Final = timedelta(microseconds=1)
_ID_CHARS: Final = 32


class Choice(Struct, frozen=True, kw_only=True):
    """Which findings; empty: all that are unresolved."""

    host_id: uuid.UUID | None = None
    zone: str | None = None
    department: str | None = None
    check: str | None = None
    item: str | None = None
    severity: str | None = None
    state: str | None = None
    owner: str | None = None
    overdue_at: datetime | None = None
    """Only what was due before, and is neither excepted nor disputed."""
    ids: tuple[str, ...] = ()
    """Beginnings of their ids."""


def read(connection: Connection, choice: Choice) -> list[Row[Any]]:
    """Rows of `findings` with `host` and the `number` of what covers them; what is due first stands first. Among them
    those of machines that never reported: `host_id` is None, `host` what the ledger says, `item` the asset number."""
    rows = [*_of_machines(connection, choice), *_of_assets(connection, choice)]
    return sorted(rows, key=lambda row: (row.due_at, row.host, row.check_id, row.item))


def _of_assets(connection: Connection, choice: Choice) -> Iterator[Row[Any]]:
    if choice.host_id is not None:
        return
    query = (
        sa.select(
            asset_findings, sa.null().label("host_id"), sa.null().label("unconfirmed_since"), assets.c.attributes,
            assets.c.asset_number.label("item"), exceptions.c.number,
            sa.case((assets.c.name == "", assets.c.asset_number), else_=assets.c.name).label("host"),
        )
        .join(assets, assets.c.asset_id == asset_findings.c.asset_id)
        .outerjoin(exceptions, exceptions.c.exception_id == asset_findings.c.exception_id)
        .where(asset_findings.c.resolved_at.is_(None), *_conditions(choice, asset_findings, assets.c.asset_number))
    )  # fmt: skip
    for row in connection.execute(query).all():
        said = msgspec.json.decode(row.attributes, type=dict[str, str])
        if all(getattr(choice, name) in (None, said.get(name)) for name in ("zone", "department")):
            yield row


def _of_machines(connection: Connection, choice: Choice) -> Sequence[Row[Any]]:
    query = (
        sa.select(findings, hosts.c.name.label("host"), exceptions.c.number)
        .join(hosts, hosts.c.host_id == findings.c.host_id)
        .outerjoin(exceptions, exceptions.c.exception_id == findings.c.exception_id)
        .where(
            findings.c.resolved_at.is_(None), *_conditions(choice, findings, findings.c["item"]), *_of_places(choice)
        )
    )
    return connection.execute(query).all()


def _conditions(choice: Choice, table: sa.Table, item: sa.Column[Any]) -> Iterator[sa.ColumnElement[bool]]:
    """All but machine, zone and department."""
    for column, value in (
        (table.c.check_id, choice.check),
        (item, choice.item),
        (table.c.severity, choice.severity),
        (table.c.state, choice.state),
        (table.c.owner, choice.owner),
    ):
        if value is not None:
            yield column == value
    if choice.overdue_at is not None:
        yield sa.and_(is_due(table), table.c.due_at < choice.overdue_at)
    if choice.ids:
        yield sa.or_(*(table.c.finding_id.between(*_span(beginning)) for beginning in choice.ids))


def _of_places(choice: Choice) -> Iterator[sa.ColumnElement[bool]]:
    if choice.host_id is not None:
        yield findings.c.host_id == choice.host_id
    for name in ("zone", "department"):
        if (value := getattr(choice, name)) is not None:
            yield sa.exists().where(
                host_attributes.c.host_id == findings.c.host_id,
                host_attributes.c.name == name,
                host_attributes.c.value == value,
                host_attributes.c.valid_to.is_(None),
            )


def _span(beginning: str) -> tuple[uuid.UUID, uuid.UUID]:
    """The lowest and the highest id that begins so. ValueError for what begins none."""
    digits = beginning.replace("-", "").lower()
    return uuid.UUID(digits.ljust(_ID_CHARS, "0")), uuid.UUID(digits.ljust(_ID_CHARS, "f"))


def acknowledge(connection: Connection, rows: Sequence[Row[Any]], *, actor: str, now: datetime) -> int:
    """Somebody has taken note; how many were open until now."""
    changed = [row for row in rows if row.state == "open"]
    _set(connection, changed, state="acknowledged", acknowledged_at=now, acknowledged_by=actor)
    return len(changed)


def assign(connection: Connection, rows: Sequence[Row[Any]], owner: str | None) -> int:
    """`owner` is a post; None takes it away."""
    changed = [row for row in rows if row.owner != owner]
    _set(connection, changed, owner=owner)
    return len(changed)


def set_due(connection: Connection, rows: Sequence[Row[Any]], due_at: datetime) -> int:
    changed = [row for row in rows if row.due_at != due_at]
    _set(connection, changed, due_at=due_at)
    return len(changed)


def due_moment(day: date, config: Config) -> datetime:
    """Within the last day, at the office."""
    return ends(day, config.tz) - _INSTANT


def _set(connection: Connection, those: Sequence[Row[Any] | Known], **values: object) -> None:
    for start in range(0, len(those), _CHUNK):
        some = those[start : start + _CHUNK]
        here = findings.c.host_id.in_({each.host_id for each in some if each.host_id is not None})
        wanted = findings.c.finding_id.in_([each.finding_id for each in some if each.host_id is not None])
        connection.execute(sa.update(findings).where(here, wanted).values(**values))
        of_assets = asset_findings.c.finding_id.in_([each.finding_id for each in some if each.host_id is None])
        connection.execute(sa.update(asset_findings).where(of_assets).values(**values))


# ── the beginning ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Known(Struct, frozen=True, kw_only=True):
    """A finding that is taken as known, with the day by which it shall be put right."""

    finding_id: uuid.UUID
    host_id: uuid.UUID | None
    """None: of a machine that never reported."""
    severity: str
    due_at: datetime


def plan_baseline(connection: Connection, choice: Choice, config: Config, now: datetime) -> list[Known]:
    """What accepting the present state would do: everything that is to be done and was not accepted before."""
    rows = [
        row for row in read(connection, choice) if row.baseline_at is None and row.state in ("open", "acknowledged")
    ]
    return spread(rows, now.astimezone(config.tz).date(), config)


def spread(rows: Collection[Row[Any]], today: date, config: Config) -> list[Known]:
    """Evenly over the working days of the time that each severity has. Checks that most machines fail come first, and
    a check's machines one after the other, so that one kind of work is done at one time."""
    machines = Counter(row.check_id for row in rows)
    by_severity: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (-machines[row.check_id], row.check_id, row.host, row.item)):
        by_severity[row.severity].append(row)
    found = []
    for severity in (*SEVERITIES, *sorted(by_severity.keys() - set(SEVERITIES))):
        these, days = by_severity.get(severity, []), SPREAD_DAYS.get(severity, SPREAD_DAYS["medium"])
        for number, row in enumerate(these, 1):
            day = today + timedelta(days=max(1, -(-number * days // len(these))))
            due_at = due_moment(next_working_day(day, config.office.holidays), config)
            found.append(Known(finding_id=row.finding_id, host_id=row.host_id, severity=severity, due_at=due_at))
    return found


def accept_baseline(connection: Connection, known: Sequence[Known], now: datetime) -> None:
    """They stay open, and are due as planned."""
    by_day: defaultdict[datetime, list[Known]] = defaultdict(list)
    for each in known:
        by_day[each.due_at].append(each)
    for due_at, those in by_day.items():
        _set(connection, those, due_at=due_at, baseline_at=now)
