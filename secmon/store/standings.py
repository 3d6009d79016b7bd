"""How many machines in use answer a check how, as the answers count now."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.evaluate.model import STANDINGS, Standing
from secmon.store.exceptions import Place
from secmon.store.hosts import in_use
from secmon.store.schema import hosts, results


def machines_by_answer(
    connection: Connection, checks: Collection[str], softened: Mapping[Place, tuple[Standing, str]]
) -> dict[str, dict[Standing, int]]:
    """For each of these checks. A machine that never answered one is unknown there. `softened` as in
    `store.exceptions`, of these checks at least."""
    rows = connection.execute(
        sa.select(results.c.check_id, results.c.status, sa.func.count())
        .join(hosts, hosts.c.host_id == results.c.host_id)
        .where(results.c.check_id.in_(sorted(checks)), results.c.observed_to.is_(None), *in_use())
        .group_by(results.c.check_id, results.c.status)
    )
    counts: dict[str, dict[Standing, int]] = {check: dict.fromkeys(STANDINGS, 0) for check in checks}
    for check, status, machines in rows:
        counts[check][status] = machines
    there = frozenset(connection.execute(sa.select(hosts.c.host_id).where(*in_use())).scalars())
    for of_check in counts.values():
        of_check["unknown"] += len(there) - sum(of_check.values())
    for (host_id, check), (counts_as, _) in softened.items():
        if host_id in there and check in counts:
            counts[check]["fail"] -= 1
            counts[check][counts_as] += 1
    return counts
