"""Which operating systems lose their support soon, by number of machines: what next year's budget rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.evaluate.lifecycle import Lifecycle
from secmon.evaluate.sections import read_sections
from secmon.reports.model import EndOfSupport, SupportOutlook
from secmon.reports.snapshot import Moment
from secmon.store.schema import section_versions
from secmon_agent import facts

HORIZON = timedelta(days=548)
"""Eighteen months."""


def outlook(connection: Connection, lifecycle: Lifecycle, machines: Collection[UUID], moment: Moment) -> SupportOutlook:
    """Systems whose support has ended or ends within the horizon; `undetermined` counts the machines without a date."""
    ends: Counter[tuple[str, str, datetime]] = Counter()
    determined = 0
    for system in _systems(connection, machines, moment):
        found = _look_up(lifecycle, system)
        if found is not None:
            determined += 1
            ends[found] += 1
    lines = [
        EndOfSupport(product=product, label=label, until=until, machines=number, passed=until <= moment.at)
        for (product, label, until), number in ends.items()
        if until <= moment.at + HORIZON
    ]
    return SupportOutlook(
        lines=tuple(sorted(lines, key=lambda line: (line.until, line.label))),
        undetermined=len(machines) - determined,
    )


def _look_up(lifecycle: Lifecycle, system: facts.Os) -> tuple[str, str, datetime] | None:
    product = system.id or ""
    cycle = (str(system.build) if system.build else "") if product.startswith("windows") else system.version or ""
    if not product or not cycle:
        return None
    edition = system.edition or ""
    found = lifecycle.find(product, cycle, edition)
    until = lifecycle.end_of_support(product, cycle, edition)
    if found is None or until is None:
        return None
    return product, found.label or f"{product} {found.cycle}", until


def _systems(connection: Connection, machines: Collection[UUID], moment: Moment) -> Iterable[facts.Os]:
    """The newest `os` section of each machine up to the moment, as known then."""
    rows = connection.execute(
        sa.select(
            section_versions.c.host_id, section_versions.c.status, section_versions.c.reason, section_versions.c.data
        )
        .where(
            section_versions.c.section == "os",
            section_versions.c.observed_from <= moment.at,
            section_versions.c.recorded_at <= moment.known_at,
        )
        .order_by(section_versions.c.host_id, section_versions.c.revision)
    )
    newest = {row.host_id: (row.status, row.reason, row.data) for row in rows if row.host_id in machines}
    for stored in newest.values():
        system = read_sections({"os": stored})["os"].facts
        if system is not None:
            yield msgspec.convert(system, facts.Os)
