"""One machine: who it is, what it answers, since when, and on which facts that rests."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection, Row

from secmon.config import Config
from secmon.console.queries import Contact, contact_of
from secmon.evaluate.adapt import Profile
from secmon.evaluate.model import SEVERITIES, Item, Severity, Standing, Status
from secmon.evaluate.ruleset import OS_SECTION, RuleSet
from secmon.exceptions.model import Record
from secmon.profiles import profile_of
from secmon.store.exceptions import register, softened
from secmon.store.hosts import USE, attributes_of
from secmon.store.schema import assets, contacts, findings, host_assets, hosts, results, section_versions

HISTORY: Final = timedelta(days=90)

_decode_items = msgspec.json.Decoder(tuple[Item, ...]).decode


class Interval(Struct, frozen=True, kw_only=True):
    """An answer that held from … to; without an end it is the present one."""

    status: Status
    reason: str
    evidence: str
    cause: str
    since: datetime
    until: datetime | None
    items: tuple[Item, ...] = ()


class OpenFinding(Struct, frozen=True, kw_only=True):
    item: str
    """Key of the item; empty for a check that is not about a list."""
    evidence: str
    opened_at: datetime
    due_at: datetime
    unconfirmed_since: datetime | None
    """Since when nobody can tell whether it is still so."""
    acknowledged_at: datetime | None = None
    owner: str | None = None
    """A post."""
    cover: Record | None = None
    """The exception or dispute that bears with it now."""


class Answer(Struct, frozen=True, kw_only=True):
    """A check's present answer for the machine, with what led there."""

    check: str
    severity: Severity
    present: Interval
    standing: Standing
    """How the present answer counts under what is excepted and disputed."""
    reason: str
    """Of an answer that counts as unknown."""
    since: datetime
    """Since when the status has been what it is."""
    history: tuple[Interval, ...]
    """Oldest first, of the last 90 days, the present one included."""
    findings: tuple[OpenFinding, ...]

    @property
    def records(self) -> tuple[Record, ...]:
        """What bears with any of its findings."""
        return tuple({each.cover.number: each.cover for each in self.findings if each.cover}.values())


class StoredSection(Struct, frozen=True, kw_only=True):
    name: str
    status: str
    reason: str
    data: bytes | None
    collected_at: datetime


class Machine(Struct, frozen=True, kw_only=True):
    host_id: uuid.UUID
    name: str
    hostname: str
    serial: str | None
    created_at: datetime
    retired_at: datetime | None
    resyncing: bool
    attributes: dict[str, str]
    asset_number: str | None
    asset_location: str | None
    contact: Contact
    observed_at: datetime | None
    received_at: datetime | None
    clamped: bool
    """The machine's clock is so wrong that its times had to be corrected into what is possible."""
    rejected: int
    """Reports that were refused for good and still lie on the machine."""
    agent_version: str | None
    stale: bool
    """Its facts are older than the zone's limit."""
    profile: Profile | None
    """The kind of machine that it is; None: none fits, and every check is asked."""
    sections: tuple[StoredSection, ...]
    answers: tuple[Answer, ...]
    """Gravest first, of the rules in force."""


def find(connection: Connection, key: str) -> uuid.UUID | None:
    """A machine by its id, otherwise by its name: no machine can call itself another's id."""
    query = sa.select(hosts.c.host_id)
    try:
        found = connection.execute(query.where(hosts.c.host_id == uuid.UUID(key))).scalar()
    except ValueError:
        found = None
    return found or connection.execute(query.where(hosts.c.name == key)).scalar()


def read(connection: Connection, host_id: uuid.UUID, config: Config, rules: RuleSet, now: datetime) -> Machine:
    row = connection.execute(_machine_row(host_id)).one()
    attributes = attributes_of(connection, [host_id]).get(host_id, {})
    zone = attributes.get("zone")
    sections = _sections(connection, host_id)
    age = None if row.observed_at is None else (now - row.observed_at).total_seconds()
    return Machine(
        host_id=row.host_id,
        name=row.name,
        hostname=row.hostname,
        serial=row.serial,
        created_at=row.created_at,
        retired_at=row.retired_at,
        resyncing=row.resyncing,
        attributes=attributes,
        asset_number=row.asset_number,
        asset_location=row.asset_location,
        contact=contact_of(row.observed_at, zone, config, now, attributes.get(USE)),
        observed_at=row.observed_at,
        received_at=row.received_at,
        clamped=bool(row.clamped),
        rejected=row.rejected or 0,
        agent_version=row.agent_version,
        stale=age is not None and age > config.stale_after_s(zone),
        profile=_profile(sections, attributes, rules),
        sections=sections,
        answers=_answers(connection, host_id, rules, now),
    )


def _profile(sections: Sequence[StoredSection], attributes: Mapping[str, str], rules: RuleSet) -> Profile | None:
    system = next((each for each in sections if each.name == OS_SECTION), None)
    return profile_of(rules, attributes, (system.status, system.reason, system.data) if system else None)


def _machine_row(host_id: uuid.UUID) -> sa.Select[Any]:
    asset = host_assets.join(assets, assets.c.asset_id == host_assets.c.asset_id)
    current = sa.and_(host_assets.c.host_id == hosts.c.host_id, host_assets.c.valid_to.is_(None))
    return (
        sa.select(
            hosts, assets.c.asset_number, assets.c.location.label("asset_location"), contacts.c.observed_at,
            contacts.c.received_at, contacts.c.clamped, contacts.c.rejected, contacts.c.agent_version,
        )
        .select_from(
            hosts.outerjoin(contacts, contacts.c.host_id == hosts.c.host_id).outerjoin(asset, current)
        )
        .where(hosts.c.host_id == host_id)
        .order_by(host_assets.c.valid_from.desc())
        .limit(1)
    )  # fmt: skip


def _sections(connection: Connection, host_id: uuid.UUID) -> tuple[StoredSection, ...]:
    rows = connection.execute(
        sa.select(section_versions)
        .where(section_versions.c.host_id == host_id, section_versions.c.observed_to.is_(None))
        .order_by(section_versions.c.section)
    )
    return tuple(
        StoredSection(
            name=row.section, status=row.status, reason=row.reason, data=row.data, collected_at=row.collected_at
        )
        for row in rows
    )


def _answers(connection: Connection, host_id: uuid.UUID, rules: RuleSet, now: datetime) -> tuple[Answer, ...]:
    rows = connection.execute(
        sa.select(results)
        .where(
            results.c.host_id == host_id,
            sa.or_(results.c.observed_to.is_(None), results.c.observed_to > now - HISTORY),
        )
        .order_by(results.c.check_id, results.c.observed_from, results.c.revision)
    )
    intervals: defaultdict[str, list[Interval]] = defaultdict(list)
    for row in rows:
        if row.check_id in rules.checks:
            intervals[row.check_id].append(_interval(row))
    open_findings = _open_findings(connection, host_id, now)
    borne = softened(connection, [host_id])
    answers = (
        _answer(
            check,
            rules.checks[check].severity,
            history,
            open_findings.get(check, ()),
            borne.get((host_id, check)),
        )
        for check, history in intervals.items()
        if history[-1].until is None
    )
    return tuple(sorted(answers, key=lambda one: (SEVERITIES.index(one.severity), one.since, one.check)))


def _interval(row: Row[Any]) -> Interval:
    return Interval(
        status=row.status,
        reason=row.reason,
        evidence=row.evidence,
        cause=row.cause,
        since=row.observed_from,
        until=row.observed_to,
        items=_decode_items(row.items),
    )


def _answer(
    check: str,
    severity: Severity,
    history: Sequence[Interval],
    open_findings: tuple[OpenFinding, ...],
    borne: tuple[Standing, str] | None,
) -> Answer:
    present = history[-1]
    since = present.since
    for earlier in reversed(history):
        if earlier.status != present.status:
            break
        since = earlier.since
    if present.status == "fail":
        since = min((since, *(finding.opened_at for finding in open_findings)))
    standing, reason = borne or (present.status, present.reason)
    return Answer(
        check=check,
        severity=severity,
        present=present,
        standing=standing,
        reason=reason,
        since=since,
        history=tuple(history),
        findings=open_findings,
    )


def _open_findings(connection: Connection, host_id: uuid.UUID, now: datetime) -> dict[str, tuple[OpenFinding, ...]]:
    records = {record.exception_id: record for record in register(connection, now).records}
    rows = connection.execute(
        sa.select(findings)
        .where(findings.c.host_id == host_id, findings.c.resolved_at.is_(None))
        .order_by(findings.c.check_id, findings.c.opened_at, findings.c.item)
    )
    grouped: dict[str, tuple[OpenFinding, ...]] = {}
    for row in rows:
        found = OpenFinding(
            item=row.item,
            evidence=row.evidence,
            opened_at=row.opened_at,
            due_at=row.due_at,
            unconfirmed_since=row.unconfirmed_since,
            acknowledged_at=row.acknowledged_at,
            owner=row.owner,
            cover=records.get(row.exception_id),
        )
        grouped[row.check_id] = (*grouped.get(row.check_id, ()), found)
    return grouped
