"""What the present answers of many machines come to. Only what is not a pass is fetched; the rest is counted.

An answer that is missing (a machine that never reported, a check that is new) counts as unknown.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection

from secmon.evaluate.areas import AREAS
from secmon.evaluate.model import STANDINGS, Standing
from secmon.store.exceptions import softened
from secmon.store.schema import results

if TYPE_CHECKING:
    from secmon.evaluate.ruleset import RuleSet

_CHUNK: Final = 500
_PRESENT: Final = results.c.observed_to.is_(None)


class AreaAnswers(Struct, frozen=True, kw_only=True):
    """Machines by their worst answer in an area."""

    area: str
    hosts: dict[Standing, int]


class FleetAnswers(Struct, frozen=True, kw_only=True):
    unknown: Counter[uuid.UUID]
    """Checks without an answer, by machine."""
    areas: tuple[AreaAnswers, ...]
    failing: Counter[str]
    """Machines that fail, by check."""


def read(connection: Connection, hosts: Collection[uuid.UUID], rules: RuleSet) -> FleetAnswers:
    chosen = frozenset(hosts)
    failing: defaultdict[str, set[uuid.UUID]] = defaultdict(set)
    unknown: defaultdict[str, set[uuid.UUID]] = defaultdict(set)
    excepted: defaultdict[str, set[uuid.UUID]] = defaultdict(set)
    borne = softened(connection)
    counted = {"fail": failing, "unknown": unknown, "excepted": excepted}
    for host_id, check, status in connection.execute(_not_well(rules)):
        if host_id in chosen:
            standing = borne.get((host_id, check), (status, ""))[0]
            counted[standing][check].add(host_id)
    for host_id, check in _missing(connection, chosen, rules):
        unknown[check].add(host_id)
    return FleetAnswers(
        unknown=Counter(host_id for machines in unknown.values() for host_id in machines),
        areas=tuple(_area(connection, area, checks, chosen, counted) for area, checks in _by_area(rules)),
        failing=Counter({check: len(machines) for check, machines in failing.items()}),
    )


def _not_well(rules: RuleSet) -> sa.Select[Any]:
    return sa.select(results.c.host_id, results.c.check_id, results.c.status).where(
        _PRESENT, results.c.check_id.in_(sorted(rules.checks)), results.c.status.in_(("fail", "unknown"))
    )


def _missing(connection: Connection, chosen: frozenset[uuid.UUID], rules: RuleSet) -> list[tuple[uuid.UUID, str]]:
    """Pairs of machine and check without any answer."""
    answered = Counter[uuid.UUID]()
    count = sa.select(results.c.host_id, sa.func.count()).where(_PRESENT).group_by(results.c.host_id)
    for host_id, answers in connection.execute(count):
        answered[host_id] = answers
    incomplete = sorted(host_id for host_id in chosen if answered[host_id] < len(rules.checks))
    given: set[tuple[uuid.UUID, str]] = set()
    for start in range(0, len(incomplete), _CHUNK):
        some = incomplete[start : start + _CHUNK]
        rows = connection.execute(
            sa.select(results.c.host_id, results.c.check_id).where(_PRESENT, results.c.host_id.in_(some))
        )
        given.update((host_id, check) for host_id, check in rows)
    return [(host_id, check) for host_id in incomplete for check in rules.checks if (host_id, check) not in given]


def _area(
    connection: Connection,
    area: str,
    checks: Sequence[str],
    chosen: frozenset[uuid.UUID],
    counted: Mapping[str, Mapping[str, set[uuid.UUID]]],
) -> AreaAnswers:
    """`counted`: machines by standing and check."""
    counts: dict[Standing, int] = dict.fromkeys(STANDINGS, 0)
    worse: frozenset[uuid.UUID] = frozenset()
    for standing in ("fail", "unknown", "excepted"):
        here = frozenset[uuid.UUID]().union(*(counted[standing].get(check, ()) for check in checks)) - worse
        counts[standing] = len(here)
        worse |= here
    counts["not_applicable"] = len(_spared(connection, checks) & chosen)
    counts["pass"] = len(chosen) - sum(counts.values())
    return AreaAnswers(area=area, hosts=counts)


def _spared(connection: Connection, checks: Sequence[str]) -> frozenset[uuid.UUID]:
    """Machines to which none of these checks applies."""
    query = (
        sa.select(results.c.host_id)
        .where(_PRESENT, results.c.check_id.in_(checks), results.c.status == "not_applicable")
        .group_by(results.c.host_id)
        .having(sa.func.count() == len(checks))
    )
    return frozenset(connection.execute(query).scalars())


def _by_area(rules: RuleSet) -> list[tuple[str, list[str]]]:
    """Areas in the order in which people read them."""
    grouped: dict[str, list[str]] = {area: [] for area in AREAS}
    for check in rules.checks.values():
        grouped.setdefault(check.area, []).append(check.id)
    return [(area, checks) for area, checks in grouped.items() if checks]
