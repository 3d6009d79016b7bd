"""The fleet at one moment: machines worst first, and the numbers above them. All of a page from one read snapshot.

The number of statements is fixed, whatever the number of machines; the partial indexes on present results and
unresolved findings carry them.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection, Row

from secmon.config import Config
from secmon.console import answers
from secmon.console.answers import AreaAnswers, FleetAnswers
from secmon.evaluate.model import SEVERITIES, Severity
from secmon.store.exceptions import is_due
from secmon.store.gaps import in_ledger
from secmon.store.hosts import STORED, USE
from secmon.store.schema import assets, contacts, findings, host_assets, host_attributes, hosts

if TYPE_CHECKING:
    from secmon.evaluate.ruleset import RuleSet

Contact = Literal["reporting", "silent", "never_reported", "stored"]
CONTACTS: Final[tuple[Contact, ...]] = ("reporting", "silent", "never_reported", "stored")
_MOST_FAILED: Final = 5
UNSET_VALUE: Final = "-"
"""As a filter: machines that have no zone, or no department."""


class Choice(Struct, frozen=True, kw_only=True):
    """Which machines a reader asked for; empty: all."""

    zone: str = ""
    department: str = ""
    text: str = ""

    @property
    def is_everything(self) -> bool:
        return not (self.zone or self.department or self.text)


class Worst(Struct, frozen=True, kw_only=True):
    """A machine's gravest finding, the oldest among equals."""

    check: str
    item: str
    severity: Severity
    opened_at: datetime


class HostSummary(Struct, frozen=True, kw_only=True):
    """One line of the list of machines."""

    host_id: uuid.UUID
    name: str
    zone: str | None
    department: str | None
    contact: Contact
    observed_at: datetime | None
    """When the machine's facts were last known to be true."""
    resyncing: bool
    findings: dict[Severity, int]
    """Neither resolved nor excepted nor disputed, by severity."""
    unknown: int
    """Checks that have no answer at present."""


class Fleet(Struct, frozen=True, kw_only=True):
    hosts: tuple[HostSummary, ...]
    """Worst first."""
    contact: dict[Contact, int]
    findings: dict[Severity, int]
    areas: tuple[AreaAnswers, ...]
    failing_checks: tuple[tuple[str, int], ...]
    """Checks that most machines fail, with how many; of as many the gravest first."""
    zones: tuple[str, ...]
    """Zones and departments that any machine has, chosen or not."""
    departments: tuple[str, ...]
    registered: int
    """Machines altogether, chosen or not."""
    unseen_assets: int
    """Rows of the ledger for which no machine ever enrolled."""


def fleet(connection: Connection, choice: Choice, config: Config, rules: RuleSet, now: datetime) -> Fleet:
    rows, found = _machines(connection, choice, config, rules, now)
    by_attribute = _attribute_values(connection)
    return Fleet(
        hosts=rows,
        contact=dict.fromkeys(CONTACTS, 0) | Counter(row.contact for row in rows),
        findings={
            severity: sum(row.findings[severity] for row in rows if row.contact != "stored") for severity in SEVERITIES
        },
        areas=found.areas,
        failing_checks=tuple(sorted(found.failing.items(), key=_most_machines_first(rules))[:_MOST_FAILED]),
        zones=by_attribute["zone"],
        departments=by_attribute["department"],
        registered=_registered(connection),
        unseen_assets=_unseen_assets(connection, now),
    )


def machines(
    connection: Connection, choice: Choice, config: Config, rules: RuleSet, now: datetime
) -> tuple[HostSummary, ...]:
    """The machines chosen, worst first."""
    return _machines(connection, choice, config, rules, now)[0]


def _machines(
    connection: Connection, choice: Choice, config: Config, rules: RuleSet, now: datetime
) -> tuple[tuple[HostSummary, ...], FleetAnswers]:
    chosen = connection.execute(_host_rows(_scope(choice))).all()
    found = answers.read(connection, [row.host_id for row in chosen if row.use != STORED], rules)
    open_findings = _count_findings(connection)
    rows = [
        _summary(row, config, now, open_findings.get(row.host_id, {}), found.unknown[row.host_id]) for row in chosen
    ]
    return tuple(sorted(rows, key=_worst_first)), found


def worst_findings(connection: Connection, host_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Worst]:
    """For the machines of one page."""
    rank = sa.case({severity: place for place, severity in enumerate(SEVERITIES)}, value=findings.c.severity)
    query = (
        sa.select(findings.c.host_id, findings.c.check_id, findings.c.item, findings.c.severity, findings.c.opened_at)
        .where(findings.c.host_id.in_(host_ids), is_due())
        .order_by(findings.c.host_id, rank, findings.c.opened_at, findings.c.check_id, findings.c.item)
    )
    worst: dict[uuid.UUID, Worst] = {}
    for row in connection.execute(query):
        if row.host_id not in worst:
            worst[row.host_id] = Worst(
                check=row.check_id, item=row.item, severity=row.severity, opened_at=row.opened_at
            )
    return worst


def current_attribute(name: str) -> sa.ScalarSelect[Any]:
    """The present value of an attribute, correlated with `hosts`."""
    return (
        sa.select(host_attributes.c.value)
        .where(
            host_attributes.c.host_id == hosts.c.host_id,
            host_attributes.c.name == name,
            host_attributes.c.valid_to.is_(None),
        )
        .correlate(hosts)
        .scalar_subquery()
    )


def contact_of(
    observed_at: datetime | None, zone: str | None, config: Config, now: datetime, use: str | None = None
) -> Contact:
    if use == STORED:
        return "stored"
    if observed_at is None:
        return "never_reported"
    return "silent" if (now - observed_at).total_seconds() > config.silent_after_s(zone) else "reporting"


def _everything() -> sa.Select[tuple[uuid.UUID]]:
    return sa.select(hosts.c.host_id).where(hosts.c.retired_at.is_(None))


def _scope(choice: Choice) -> sa.Select[tuple[uuid.UUID]]:
    chosen = _everything()
    for name, value in (("zone", choice.zone), ("department", choice.department)):
        if value == UNSET_VALUE:
            chosen = chosen.where(current_attribute(name).is_(None))
        elif value:
            chosen = chosen.where(current_attribute(name) == value)
    if choice.text:
        asset = (
            sa.select(sa.literal(1))
            .select_from(host_assets.join(assets, assets.c.asset_id == host_assets.c.asset_id))
            .where(
                host_assets.c.host_id == hosts.c.host_id,
                host_assets.c.valid_to.is_(None),
                assets.c.asset_number.icontains(choice.text, autoescape=True),
            )
            .correlate(hosts)
            .exists()
        )
        named = (column.icontains(choice.text, autoescape=True) for column in (hosts.c.name, hosts.c.hostname))
        chosen = chosen.where(sa.or_(*named, asset))
    return chosen


def _host_rows(scope: sa.Select[tuple[uuid.UUID]]) -> sa.Select[Any]:
    return (
        sa.select(
            hosts.c.host_id, hosts.c.name, hosts.c.resyncing, contacts.c.observed_at,
            current_attribute("zone").label("zone"), current_attribute("department").label("department"),
            current_attribute(USE).label("use"),
        )
        .select_from(hosts.outerjoin(contacts, contacts.c.host_id == hosts.c.host_id))
        .where(hosts.c.host_id.in_(scope))
    )  # fmt: skip


def _summary(
    row: Row[Any], config: Config, now: datetime, open_findings: Mapping[Severity, int], unknown: int
) -> HostSummary:
    return HostSummary(
        host_id=row.host_id,
        name=row.name,
        zone=row.zone,
        department=row.department,
        contact=contact_of(row.observed_at, row.zone, config, now, row.use),
        observed_at=row.observed_at,
        resyncing=row.resyncing,
        findings={severity: open_findings.get(severity, 0) for severity in SEVERITIES},
        unknown=unknown,
    )


def _worst_first(row: HostSummary) -> tuple[object, ...]:
    """By findings, gravest first; that nobody knows how a machine fares weighs more than a finding of low severity.
    What lies in storage comes last."""
    return (
        row.contact == "stored",
        -row.findings["high"],
        -row.findings["medium"],
        row.contact == "reporting",
        -row.findings["low"],
        -row.unknown,
        row.name,
    )


def _most_machines_first(rules: RuleSet) -> Callable[[tuple[str, int]], tuple[object, ...]]:
    return lambda pair: (-pair[1], SEVERITIES.index(rules.checks[pair[0]].severity), pair[0])


def _count_findings(connection: Connection) -> dict[uuid.UUID, dict[Severity, int]]:
    query = (
        sa.select(findings.c.host_id, findings.c.severity, sa.func.count())
        .where(is_due())
        .group_by(findings.c.host_id, findings.c.severity)
    )
    counts: dict[uuid.UUID, dict[Severity, int]] = {}
    for host_id, severity, count in connection.execute(query):
        counts.setdefault(host_id, {})[severity] = count
    return counts


def _attribute_values(connection: Connection) -> dict[str, tuple[str, ...]]:
    query = (
        sa.select(host_attributes.c.name, host_attributes.c.value)
        .join(hosts, hosts.c.host_id == host_attributes.c.host_id)
        .where(
            host_attributes.c.name.in_(("zone", "department")),
            host_attributes.c.valid_to.is_(None),
            hosts.c.retired_at.is_(None),
        )
        .distinct()
        .order_by(host_attributes.c.value)
    )
    values: dict[str, tuple[str, ...]] = {"zone": (), "department": ()}
    for name, value in connection.execute(query):
        values[name] += (value,)
    return values


def _registered(connection: Connection) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(_everything().subquery())).scalar_one())


def _unseen_assets(connection: Connection, now: datetime) -> int:
    seen = sa.exists().where(host_assets.c.asset_id == assets.c.asset_id)
    rows = sa.select(sa.func.count()).select_from(assets).where(in_ledger(now), ~seen)
    return int(connection.execute(rows).scalar_one())
