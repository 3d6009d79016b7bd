"""What drafts need to know of machines, read for all of them at once."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from secmon.config import Config
from secmon.evaluate.model import SEVERITIES
from secmon.exceptions.model import COVERED
from secmon.notify.text import one_line
from secmon.notify.view import MachineCard
from secmon.store.exceptions import is_due
from secmon.store.schema import (
    asset_findings,
    assets,
    findings,
    host_assets,
    host_attributes,
    hosts,
    results,
    transitions,
)

Hosts = Collection[uuid.UUID]


def machine_cards(connection: Connection, config: Config, wanted: Hosts) -> Mapping[uuid.UUID, MachineCard]:
    """As the office knows them now."""
    said: dict[uuid.UUID, dict[str, str]] = defaultdict(dict)
    for host_id, name, value in connection.execute(
        sa.select(host_attributes.c.host_id, host_attributes.c.name, host_attributes.c.value).where(
            host_attributes.c.host_id.in_(wanted), host_attributes.c.valid_to.is_(None)
        )
    ):
        said[host_id][name] = one_line(value)
    for host_id, number, location in connection.execute(
        sa.select(host_assets.c.host_id, assets.c.asset_number, assets.c.location)
        .join(assets, assets.c.asset_id == host_assets.c.asset_id)
        .where(host_assets.c.host_id.in_(wanted), host_assets.c.valid_to.is_(None))
    ):
        said[host_id]["asset_number"] = one_line(number)
        said[host_id].setdefault("location", one_line(location))
    names = connection.execute(sa.select(hosts.c.host_id, hosts.c.name).where(hosts.c.host_id.in_(wanted)))
    return {host_id: _card(config, name, said[host_id]) for host_id, name in names}


def _card(config: Config, name: str, said: Mapping[str, str]) -> MachineCard:
    zone_id = said.get("zone", "")
    zone = config.zone(zone_id)
    return MachineCard(
        name=one_line(name, 64),
        asset_number=said.get("asset_number", ""),
        department=said.get("department", ""),
        location=said.get("location", ""),
        zone=one_line(zone.name, 40) if zone else zone_id,
    )


def asset_cards(connection: Connection, config: Config, numbers: Collection[str]) -> Mapping[str, MachineCard]:
    """By asset number: machines that are known from the ledger alone."""
    rows = connection.execute(sa.select(assets).where(assets.c.asset_number.in_(numbers)))
    return {row.asset_number: _asset_card(config, row) for row in rows}


def _asset_card(config: Config, row: Row[Any]) -> MachineCard:
    said = {name: one_line(value) for name, value in msgspec.json.decode(row.attributes, type=dict[str, str]).items()}
    number = one_line(row.asset_number)
    if not row.name:
        return _card(config, number, said)
    return _card(config, row.name, {**said, "asset_number": number})


def due_dates(connection: Connection, wanted: Hosts) -> Mapping[uuid.UUID, datetime]:
    """Due date by finding, of everything unresolved on these machines and on machines that never reported."""
    query = sa.select(findings.c.finding_id, findings.c.due_at).where(
        findings.c.host_id.in_(wanted), findings.c.resolved_at.is_(None)
    )
    of_assets = sa.select(asset_findings.c.finding_id, asset_findings.c.due_at)
    rows = connection.execute(query.union_all(of_assets.where(asset_findings.c.resolved_at.is_(None))))
    return {row.finding_id: row.due_at for row in rows}


def open_findings(connection: Connection, wanted: Hosts) -> Mapping[uuid.UUID, Mapping[str, int]]:
    """Number of findings by machine and severity that are neither resolved nor excepted nor disputed."""
    rows = connection.execute(
        sa.select(findings.c.host_id, findings.c.severity, sa.func.count().label("number"))
        .where(findings.c.host_id.in_(wanted), is_due())
        .group_by(findings.c.host_id, findings.c.severity)
    )
    found: dict[uuid.UUID, dict[str, int]] = defaultdict(lambda: dict.fromkeys(SEVERITIES, 0))
    for row in rows:
        found[row.host_id][row.severity] = row.number
    return found


def failing_checks(connection: Connection, wanted: Hosts, severity: str) -> Mapping[uuid.UUID, list[str]]:
    """Checks with such findings of this severity, by machine."""
    rows = connection.execute(
        sa.select(findings.c.host_id, findings.c.check_id)
        .where(findings.c.host_id.in_(wanted), is_due(), findings.c.severity == severity)
        .distinct()
        .order_by(findings.c.check_id)
    )
    found: dict[uuid.UUID, list[str]] = defaultdict(list)
    for row in rows:
        found[row.host_id].append(row.check_id)
    return found


def unknown_answers(connection: Connection, wanted: Hosts) -> Mapping[uuid.UUID, int]:
    """Number of checks that have no answer now, by machine."""
    rows = connection.execute(
        sa.select(results.c.host_id).where(
            results.c.host_id.in_(wanted), results.c.observed_to.is_(None), results.c.status == "unknown"
        )
    )
    return Counter(row.host_id for row in rows)


def lapsed_exceptions(connection: Connection, wanted: Collection[uuid.UUID]) -> Mapping[uuid.UUID, str]:
    """Findings that are open again because the time of an exception or dispute is over, with its number."""
    rows = connection.execute(
        sa.select(transitions.c.finding_id, transitions.c.event, transitions.c.cause, transitions.c.evidence)
        .where(transitions.c.finding_id.in_(wanted))
        .order_by(transitions.c.transition_id)
    )
    found: dict[uuid.UUID, str] = {}
    covered_by: dict[uuid.UUID, str] = {}
    for row in rows:
        number = covered_by.pop(row.finding_id, "")
        found.pop(row.finding_id, None)
        if row.event in COVERED:
            covered_by[row.finding_id] = row.evidence
        elif number and row.event == "reopened" and row.cause == "time":
            found[row.finding_id] = number
    return found
