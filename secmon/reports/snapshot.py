"""The office at a past moment, as it was known at a later one: read from intervals, never from the present.

An interval that was closed after `known_at` counts as still open, and a row recorded after it does not exist; so what
arrives later can never change what is read here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection, Row

from secmon.config import Config
from secmon.evaluate.model import Item, Standing
from secmon.exceptions.model import COVERS, Record, Register, standing
from secmon.ledger.gaps import NEVER_REPORTED
from secmon.reports.model import AssetLine, Counts, MachineLine
from secmon.store.exceptions import covers_of, register
from secmon.store.gaps import in_ledger, since
from secmon.store.hosts import is_stored, valid
from secmon.store.results import items_of
from secmon.store.schema import (
    asset_findings,
    assets,
    findings,
    host_assets,
    host_attributes,
    hosts,
    results,
    section_versions,
    sightings,
    transitions,
)

Presence = Literal["reporting", "silent", "never_reported"]


_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(Struct, frozen=True, kw_only=True):
    at: datetime
    """The moment described."""
    known_at: datetime
    """Only what was recorded up to here is looked at."""


class Answer(Struct, frozen=True, kw_only=True):
    """What a check said of a machine. All but the status is filled for what failed or was unknown only."""

    status: Standing
    """As it counts under the exceptions and disputes of that moment."""
    reason: str = ""
    evidence: str = ""
    items: tuple[Item, ...] = ()
    since: datetime = _NEVER
    covers: Mapping[str, Record] = {}
    """By failing item what was excepted or disputed; the key is empty for a check without items."""


class Machine(Struct, frozen=True, kw_only=True):
    line: MachineLine
    presence: Presence
    last_seen_at: datetime | None


class Snapshot(Struct, frozen=True, kw_only=True):
    machines: Mapping[UUID, Machine]
    checks: frozenset[str]
    """Checks that had an answer for some machine."""
    answers: Mapping[UUID, Mapping[str, Answer]]
    rulesets: tuple[str, ...]

    def answer(self, host_id: UUID, check: str) -> Answer:
        """A machine that a check said nothing about was not judged, and that is not known."""
        return self.answers.get(host_id, {}).get(check, NOT_JUDGED)


NOT_JUDGED = Answer(status="unknown", reason="not judged")
_PLAIN: Mapping[str, Answer] = {"pass": Answer(status="pass"), "not_applicable": Answer(status="not_applicable")}


def take(connection: Connection, config: Config, moment: Moment) -> Snapshot:
    attributes = _attributes(connection, moment)
    machines = _machines(connection, config, moment, attributes)
    borne = register(connection, moment.at, moment.known_at)
    answers: dict[UUID, dict[str, Answer]] = {host_id: {} for host_id in machines}
    checks: set[str] = set()
    rulesets: set[str] = set()
    for row in connection.execute(_results(moment)):
        if row.host_id in answers:
            answers[row.host_id][row.check_id] = _answer(row, borne, attributes.get(row.host_id, {}))
            checks.add(row.check_id)
            rulesets.add(row.ruleset)
    return Snapshot(machines=machines, checks=frozenset(checks), answers=answers, rulesets=tuple(sorted(rulesets)))


def _answer(row: Row[Any], borne: Register, attributes: Mapping[str, str]) -> Answer:
    if row.status in _PLAIN:
        return _PLAIN[row.status]
    items = items_of(row)
    covers = covers_of(row, items, borne, attributes)
    status, reason = standing(row.status, items, {key: COVERS[record.kind] for key, record in covers.items()}.get)
    return Answer(
        status=status,
        reason=reason or row.reason,
        evidence=row.evidence,
        items=items,
        since=row.observed_from,
        covers=covers,
    )


def _results(moment: Moment) -> sa.Select[Any]:
    return (
        sa.select(results).where(*_holding(moment)).order_by(results.c.host_id, results.c.check_id, results.c.revision)
    )


def _holding(moment: Moment) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        results.c.recorded_at <= moment.known_at,
        results.c.observed_from <= moment.at,
        sa.or_(
            results.c.observed_to.is_(None),
            results.c.observed_to > moment.at,
            results.c.closed_at > moment.known_at,
        ),
    )


def _existing(moment: Moment) -> tuple[sa.ColumnElement[bool], ...]:
    """In use at that moment: a machine in storage is counted, and left out of everything else."""
    return (*_there(moment), ~is_stored(hosts.c.host_id, moment.at, moment.known_at))


def _there(moment: Moment) -> tuple[sa.ColumnElement[bool], ...]:
    return (hosts.c.created_at <= moment.at, sa.or_(hosts.c.retired_at.is_(None), hosts.c.retired_at > moment.at))


def count_stored(connection: Connection, moment: Moment) -> int:
    """Machines that lay in storage (倉庫保管)."""
    stored = is_stored(hosts.c.host_id, moment.at, moment.known_at)
    return connection.execute(sa.select(sa.func.count()).select_from(hosts).where(*_there(moment), stored)).scalar_one()


# ── machines ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _machines(
    connection: Connection, config: Config, moment: Moment, attributes: Mapping[UUID, Mapping[str, str]]
) -> dict[UUID, Machine]:
    numbers = _asset_numbers(connection, moment)
    seen = _last_seen(connection, moment)
    machines: dict[UUID, Machine] = {}
    rows = connection.execute(sa.select(hosts.c.host_id, hosts.c.name).where(*_existing(moment)).order_by(hosts.c.name))
    for host_id, name in rows:
        mine = attributes.get(host_id, {})
        number, location = numbers.get(host_id, ("", ""))
        zone = mine.get("zone", "")
        line = MachineLine(
            host_id=host_id,
            name=name,
            asset_number=number,
            department=mine.get("department", ""),
            location=mine.get("location", "") or location,
            zone=zone,
        )
        last = seen.get(host_id)
        limit = timedelta(seconds=config.silent_after_s(zone or None))
        machines[host_id] = Machine(line=line, presence=_presence(last, moment.at, limit), last_seen_at=last)
    return machines


def _presence(last: datetime | None, at: datetime, limit: timedelta) -> Presence:
    if last is None:
        return "never_reported"
    return "silent" if at - last > limit else "reporting"


def _attributes(connection: Connection, moment: Moment) -> dict[UUID, dict[str, str]]:
    query = (
        sa.select(host_attributes.c.host_id, host_attributes.c.name, host_attributes.c.value)
        .where(host_attributes.c.recorded_at <= moment.known_at, *valid(host_attributes, moment.at))
        .order_by(host_attributes.c.recorded_at)
    )
    found: dict[UUID, dict[str, str]] = {}
    for host_id, name, value in connection.execute(query):
        found.setdefault(host_id, {})[name] = value
    return found


def _asset_numbers(connection: Connection, moment: Moment) -> dict[UUID, tuple[str, str]]:
    query = (
        sa.select(host_assets.c.host_id, assets.c.asset_number, assets.c.location)
        .join(assets, assets.c.asset_id == host_assets.c.asset_id)
        .where(host_assets.c.recorded_at <= moment.known_at, *valid(host_assets, moment.at))
        .where(sa.or_(assets.c.removed_at.is_(None), assets.c.removed_at > min(moment.at, moment.known_at)))
        .order_by(host_assets.c.recorded_at)
    )
    return {host_id: (number, location) for host_id, number, location in connection.execute(query)}


def _last_seen(connection: Connection, moment: Moment) -> dict[UUID, datetime]:
    """The newest moment up to `at` for which there is evidence: a kept contact, or facts that were new then."""
    seen: dict[UUID, datetime] = {}
    for table, column in ((sightings, sightings.c.observed_at), (section_versions, section_versions.c.observed_from)):
        query = (
            sa.select(table.c.host_id, sa.func.max(column))
            .where(column <= moment.at, table.c.recorded_at <= moment.known_at)
            .group_by(table.c.host_id)
        )
        for host_id, newest in connection.execute(query):
            seen[host_id] = max(newest, seen.get(host_id, newest))
    return seen


def ledger(connection: Connection, moment: Moment) -> tuple[int, int]:
    """Rows of the office's ledger, and how many of them no machine was linked to."""
    known = in_ledger(min(moment.at, moment.known_at))
    linked = sa.exists().where(
        host_assets.c.asset_id == assets.c.asset_id,
        host_assets.c.recorded_at <= moment.known_at,
        *valid(host_assets, moment.at),
    )
    rows = connection.execute(sa.select(sa.func.count()).select_from(assets).where(known)).scalar_one()
    unlinked = connection.execute(sa.select(sa.func.count()).select_from(assets).where(known, ~linked)).scalar_one()
    return rows, unlinked


def never_reported(connection: Connection, moment: Moment) -> list[AssetLine]:
    """Rows of the ledger whose machine had not reported although its time was over."""
    query = (
        sa.select(assets, asset_findings.c.opened_at, since().label("since"))
        .join(asset_findings, asset_findings.c.asset_id == assets.c.asset_id)
        .where(
            asset_findings.c.check_id == NEVER_REPORTED.id,
            asset_findings.c.opened_at <= moment.at,
            asset_findings.c.recorded_at <= moment.known_at,
            sa.or_(asset_findings.c.resolved_at.is_(None), asset_findings.c.resolved_at > moment.at),
        )
        .order_by(assets.c.asset_number)
    )
    borne = register(connection, moment.at, moment.known_at)
    return [_asset_line(row, borne) for row in connection.execute(query)]


def _asset_line(row: Row[Any], borne: Register) -> AssetLine:
    said = msgspec.json.decode(row.attributes, type=dict[str, str])
    record = borne.find(row.asset_id, said, NEVER_REPORTED.id, row.asset_number)
    return AssetLine(
        asset_number=row.asset_number,
        name=row.name,
        zone=said.get("zone", ""),
        department=said.get("department", ""),
        location=said.get("location", "") or row.location,
        since=row.since,
        exception=record.number if record else "",
    )


# ── counts over time ──────────────────────────────────────────────────────────────────────────────────────────────────


def count_answers(connection: Connection, moment: Moment) -> Counts | None:
    """Answers (machine × check) by status, what was never answered among the unknown; None without any machine."""
    machines = connection.execute(sa.select(sa.func.count()).select_from(hosts).where(*_existing(moment))).scalar_one()
    if not machines:
        return None
    held = sa.select(results.c.check_id, results.c.status).join(hosts, hosts.c.host_id == results.c.host_id)
    held_now = held.where(*_holding(moment), *_existing(moment)).subquery()
    statuses: Counter[str] = Counter()
    for status, number in connection.execute(sa.select(held_now.c.status, sa.func.count()).group_by(held_now.c.status)):
        statuses[status] = number
    for counts_as in _softened(connection, moment):
        statuses["fail"] -= 1
        statuses[counts_as] += 1
    checks = connection.execute(sa.select(sa.func.count(held_now.c.check_id.distinct()))).scalar_one()
    missing = machines * checks - statuses.total()
    return Counts(
        passed=statuses["pass"],
        failed=statuses["fail"],
        unknown=statuses["unknown"] + missing,
        excepted=statuses["excepted"],
        not_applicable=statuses["not_applicable"],
    )


def _softened(connection: Connection, moment: Moment) -> Iterator[Standing]:
    """How the failing answers of that moment count that do not count as failing."""
    borne = register(connection, moment.at, moment.known_at)
    if not borne:
        return
    attributes = _attributes(connection, moment)
    query = sa.select(results).join(hosts, hosts.c.host_id == results.c.host_id)
    failing = (results.c.status == "fail", results.c.check_id.in_(sorted(borne.checks)))
    for row in connection.execute(query.where(*failing, *_holding(moment), *_existing(moment))):
        counts_as = _answer(row, borne, attributes.get(row.host_id, {})).status
        if counts_as != "fail":
            yield counts_as


def movement(connection: Connection, begins_at: datetime, moment: Moment) -> Counter[tuple[str, bool]]:
    """Transitions of the month by (event, whether it happened on a machine)."""
    query = (
        sa.select(transitions.c.event, transitions.c.cause, sa.func.count())
        .where(
            transitions.c.observed_at >= begins_at,
            transitions.c.observed_at <= moment.at,
            transitions.c.recorded_at <= moment.known_at,
            transitions.c.event.in_(("opened", "reopened", "resolved")),
        )
        .group_by(transitions.c.event, transitions.c.cause)
    )
    counted: Counter[tuple[str, bool]] = Counter()
    for event, cause, number in connection.execute(query):
        counted["resolved" if event == "resolved" else "opened", cause in ("machine", "time")] += number
    return counted


def known_findings(connection: Connection, moment: Moment) -> dict[tuple[UUID, str, str], tuple[datetime, datetime]]:
    """(opened, due) of the newest finding by host, check and item."""
    query = (
        sa.select(findings.c.host_id, findings.c.check_id, findings.c.item, findings.c.opened_at, findings.c.due_at)
        .where(findings.c.opened_at <= moment.at, findings.c.recorded_at <= moment.known_at)
        .order_by(findings.c.opened_at)
    )
    return {(row.host_id, row.check_id, row.item): (row.opened_at, row.due_at) for row in connection.execute(query)}
