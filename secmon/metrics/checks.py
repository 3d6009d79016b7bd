"""Answers: per check, per area, and how probing went. Every machine stands in every denominator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

import sqlalchemy as sa
from prometheus_client.core import GaugeMetricFamily, Metric

from secmon.metrics.answers import Vector
from secmon.metrics.labels import NONE, SECTION_STATUSES, STATUSES, Place
from secmon.metrics.view import View
from secmon.store.hosts import in_use
from secmon.store.schema import host_attributes, section_versions
from secmon.store.schema import hosts as hosts_table
from secmon_agent.facts import SECTIONS

_UNKNOWN: Final = STATUSES.index("unknown")

_ZONES: Final = (
    sa.select(host_attributes.c.host_id, host_attributes.c.value)
    .where(host_attributes.c.name == "zone", host_attributes.c.valid_to.is_(None))
    .subquery()
)
_SECTIONS: Final = (
    sa.select(section_versions.c.section, _ZONES.c.value, section_versions.c.status, sa.func.count())
    .join(hosts_table, hosts_table.c.host_id == section_versions.c.host_id)
    .join(_ZONES, _ZONES.c.host_id == section_versions.c.host_id, isouter=True)
    .where(section_versions.c.observed_to.is_(None), *in_use())
    .group_by(section_versions.c.section, _ZONES.c.value, section_versions.c.status)
)
"""Counted by the database: with every section of every machine, these are the most rows of all."""


def check_hosts(view: View) -> Iterator[Metric]:
    checks = tuple(sorted(view.rules.checks))
    counts: Counter[tuple[str, str, int]] = Counter()
    for (place, vector), hosts in _alike(view, checks).items():
        for check, rank in zip(checks, vector, strict=True):
            counts[check, place.zone, rank] += hosts
    metric = GaugeMetricFamily("secmon_check_hosts", "Machines by answer.", labels=("check", "zone", "status"))
    for check in checks:
        for zone in view.fleet.zones:
            for rank, status in enumerate(STATUSES):
                if status != "excepted" or counts[check, zone, rank]:
                    metric.add_metric((check, zone, status), counts[check, zone, rank])
    yield metric


def area_hosts(view: View) -> Iterator[Metric]:
    checks = tuple(sorted(view.rules.checks))
    members: dict[str, list[int]] = {}
    for index, check in enumerate(checks):
        members.setdefault(view.rules.checks[check].area, []).append(index)
    counts: Counter[tuple[str, Place, int]] = Counter()
    for (place, vector), hosts in _alike(view, checks).items():
        for area, indexes in members.items():
            counts[area, place, min(vector[index] for index in indexes)] += hosts
    metric = GaugeMetricFamily(
        "secmon_area_hosts",
        "Machines by their worst answer in the area.",
        labels=("area", "zone", "department", "status"),
    )
    for area in sorted(members):
        for place in view.fleet.places:
            for rank, status in enumerate(STATUSES):
                if status != "excepted" or counts[area, place, rank]:  # rare, unlike the others
                    metric.add_metric((area, *place, status), counts[area, place, rank])
    yield metric


def framework_controls(view: View) -> Iterator[Metric]:
    """A control is as good as the worst answer of any of its checks on any machine of the zone. One that no check bears
    on is unknown, whatever a person attested: that is no matter of zones. In a zone without machines every control is
    not applicable."""
    checks = tuple(sorted(view.rules.checks))
    nothing = STATUSES.index("not_applicable")
    worst: dict[str, list[int]] = {zone: [nothing] * len(checks) for zone in view.fleet.zones}
    alike = _alike(view, checks)
    used = {place.zone for place, _ in alike}
    for place, vector in alike:
        worst[place.zone] = [min(pair) for pair in zip(worst[place.zone], vector, strict=True)]
    metric = GaugeMetricFamily(
        "secmon_framework_controls", "Controls by verdict.", labels=("framework", "zone", "verdict")
    )
    for framework in view.frameworks:
        for zone, ranks in worst.items():
            answers = dict(zip(checks, ranks, strict=True))
            uncovered = _UNKNOWN if zone in used else nothing
            counts = Counter(
                min((answers[check] for check in control.checks if check in answers), default=uncovered)
                for control in framework.controls
            )
            for rank, verdict in enumerate(STATUSES):
                metric.add_metric((framework.id, zone, verdict), counts[rank])
    yield metric


def section_hosts(view: View) -> Iterator[Metric]:
    """A status of a later agent is shown under its own name."""
    counts = Counter[tuple[str, str, str]]()
    for section, zone, status, hosts in view.connection.execute(_SECTIONS):
        if section in SECTIONS:
            counts[section, zone or NONE, status] += hosts
    keys = {(section, zone, status) for section in SECTIONS for zone in view.fleet.zones for status in SECTION_STATUSES}
    metric = GaugeMetricFamily(
        "secmon_section_hosts", "Machines by how reading a section went.", labels=("section", "zone", "status")
    )
    for key in sorted(keys | counts.keys()):
        metric.add_metric(key, counts[key])
    yield metric


def _alike(view: View, checks: tuple[str, ...]) -> Mapping[tuple[Place, Vector], int]:
    """Machines of one place that answer alike, counted: there are far fewer of these than machines."""
    vectors = view.memory.answers.read(view.connection, checks, view.revisions)
    return Counter((machine.place, vectors[host_id]) for host_id, machine in view.fleet.machines.items())


FAMILIES: Final = {
    "check_hosts": check_hosts,
    "area_hosts": area_hosts,
    "framework_controls": framework_controls,
    "section_hosts": section_hosts,
}
