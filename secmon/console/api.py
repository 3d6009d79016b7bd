"""The same reading for programs: JSON, described by /api/openapi.json."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Final

import sqlalchemy as sa
from litestar import get
from litestar.exceptions import NotFoundException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Struct

from secmon.console import machine, queries
from secmon.console.context import Given
from secmon.console.fact_view import plain_facts
from secmon.console.queries import Choice, Contact
from secmon.evaluate.model import Item, Severity, Standing, Status
from secmon.store.schema import exceptions, findings, hosts
from secmon_agent.wire import PROBLEM_CONTENT_TYPE, Problem


class HostEntry(Struct, frozen=True, kw_only=True):
    """A machine in the list."""

    id: uuid.UUID
    name: str
    zone: str | None
    department: str | None
    contact: Contact
    observed_at: datetime | None
    """When its facts were last known to be true."""
    resyncing: bool
    findings: dict[Severity, int]
    unknown: int


class HostList(Struct, frozen=True, kw_only=True):
    total: int
    """Machines that match, shown or not."""
    hosts: list[HostEntry]
    """Worst first."""


class SectionEntry(Struct, frozen=True, kw_only=True):
    status: str
    reason: str
    collected_at: datetime
    facts: dict[str, Any] | None
    """None unless the section is `ok`; a field that could not be determined is missing."""


class ResultEntry(Struct, frozen=True, kw_only=True):
    check: str
    severity: Severity
    status: Status
    """As the machine's facts have it."""
    standing: Standing
    """As it counts: `excepted` where an exception covers every failing item, `unknown` where it is disputed."""
    reason: str
    evidence: str
    items: list[Item]
    since: datetime


class HostDetail(Struct, frozen=True, kw_only=True):
    id: uuid.UUID
    name: str
    hostname: str
    attributes: dict[str, str]
    asset_number: str | None
    contact: Contact
    observed_at: datetime | None
    received_at: datetime | None
    retired_at: datetime | None
    resyncing: bool
    stale: bool
    agent_version: str | None
    profile: str | None
    """The kind of machine that it is; null: none fits, and every check is asked."""
    results: list[ResultEntry]
    sections: dict[str, SectionEntry]


class FindingEntry(Struct, frozen=True, kw_only=True):
    id: uuid.UUID
    host_id: uuid.UUID
    host: str
    check: str
    item: str
    severity: Severity
    state: str
    evidence: str
    opened_at: datetime
    due_at: datetime
    unconfirmed_since: datetime | None
    owner: str | None
    """A post."""
    acknowledged_at: datetime | None
    exception: str | None
    """Number of the exception or dispute that covers it."""


class FindingList(Struct, frozen=True, kw_only=True):
    total: int
    findings: list[FindingEntry]
    """Oldest first."""


def _problem(description: str) -> ResponseSpec:
    return ResponseSpec(
        data_container=Problem,
        description=description,
        media_type=PROBLEM_CONTENT_TYPE,
        generate_examples=False,
    )


_UNAUTHORIZED: Final = {401: _problem("No session")}
_FAULTY: Final = {**_UNAUTHORIZED, 400: _problem("A parameter is not right")}
_ABSENT: Final = {**_UNAUTHORIZED, 404: _problem("There is no such machine")}

Limit = Annotated[int, QueryParameter(ge=1, le=1_000)]
Offset = Annotated[int, QueryParameter(ge=0, le=10_000_000)]
Word = Annotated[str, QueryParameter(max_length=255)]


@get("/api/v1/hosts", responses=_FAULTY, sync_to_thread=True, operation_id="listHosts")
def list_hosts(
    console: Given, zone: Word = "", department: Word = "", text: Word = "", limit: Limit = 200, offset: Offset = 0
) -> HostList:
    """Machines, worst first."""
    choice = Choice(zone=zone, department=department, text=text.strip())
    with console.database.read() as connection:
        rows = queries.machines(connection, choice, console.config, console.rules.current, console.clock())
    return HostList(total=len(rows), hosts=[_entry(row) for row in rows[offset : offset + limit]])


def _entry(row: queries.HostSummary) -> HostEntry:
    return HostEntry(
        id=row.host_id,
        name=row.name,
        zone=row.zone,
        department=row.department,
        contact=row.contact,
        observed_at=row.observed_at,
        resyncing=row.resyncing,
        findings=row.findings,
        unknown=row.unknown,
    )


@get("/api/v1/hosts/{host_id:uuid}", responses=_ABSENT, sync_to_thread=True, operation_id="getHost")
def get_host(console: Given, host_id: FromPath[uuid.UUID]) -> HostDetail:
    """One machine with its present results and facts."""
    with console.database.read() as connection:
        if machine.find(connection, str(host_id)) != host_id:
            raise NotFoundException(detail="no such host")
        found = machine.read(connection, host_id, console.config, console.rules.current, console.clock())
    return HostDetail(
        id=found.host_id,
        name=found.name,
        hostname=found.hostname,
        attributes=found.attributes,
        asset_number=found.asset_number,
        contact=found.contact,
        observed_at=found.observed_at,
        received_at=found.received_at,
        retired_at=found.retired_at,
        resyncing=found.resyncing,
        stale=found.stale,
        agent_version=found.agent_version,
        profile=found.profile.id if found.profile else None,
        results=[_result(answer) for answer in found.answers],
        sections={section.name: _section(section) for section in found.sections},
    )


def _result(answer: machine.Answer) -> ResultEntry:
    return ResultEntry(
        check=answer.check,
        severity=answer.severity,
        status=answer.present.status,
        standing=answer.standing,
        reason=answer.reason,
        evidence=answer.present.evidence,
        items=list(answer.present.items),
        since=answer.since,
    )


def _section(section: machine.StoredSection) -> SectionEntry:
    return SectionEntry(
        status=section.status,
        reason=section.reason,
        collected_at=section.collected_at,
        facts=plain_facts(section),
    )


@get("/api/v1/findings", responses=_FAULTY, sync_to_thread=True, operation_id="listFindings")
def list_findings(
    console: Given,
    severity: FromQuery[Severity | None] = None,
    check: Word = "",
    limit: Limit = 200,
    offset: Offset = 0,
) -> FindingList:
    """Unresolved findings of machines that are not retired, oldest first."""
    wanted: list[sa.ColumnElement[bool]] = [findings.c.resolved_at.is_(None), hosts.c.retired_at.is_(None)]
    if severity is not None:
        wanted.append(findings.c.severity == severity)
    if check:
        wanted.append(findings.c.check_id == check)
    chosen = (
        sa.select(findings, hosts.c.name.label("host"), exceptions.c.number.label("exception"))
        .join(hosts, hosts.c.host_id == findings.c.host_id)
        .outerjoin(exceptions, exceptions.c.exception_id == findings.c.exception_id)
    )
    chosen = chosen.where(*wanted)
    with console.database.read() as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(chosen.subquery())).scalar_one()
        rows = connection.execute(
            chosen.order_by(findings.c.opened_at, findings.c.finding_id).limit(limit).offset(offset)
        ).all()
    return FindingList(total=total, findings=[_finding(row) for row in rows])


def _finding(row: sa.Row[Any]) -> FindingEntry:
    return FindingEntry(
        id=row.finding_id,
        host_id=row.host_id,
        host=row.host,
        check=row.check_id,
        item=row.item,
        severity=row.severity,
        state=row.state,
        evidence=row.evidence,
        opened_at=row.opened_at,
        due_at=row.due_at,
        unconfirmed_since=row.unconfirmed_since,
        owner=row.owner,
        acknowledged_at=row.acknowledged_at,
        exception=row.exception,
    )


API = [list_hosts, get_host, list_findings]
