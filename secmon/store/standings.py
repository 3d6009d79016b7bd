"""What covers guidelines at present: how machines in use answer, as the answers count now, and what people attested."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, tzinfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.attestations.model import current
from secmon.coverage import Known
from secmon.evaluate.model import STANDINGS, Standing
from secmon.evaluate.questions import Question
from secmon.evaluate.ruleset import RuleSet
from secmon.store.attestations import read_all
from secmon.store.exceptions import Place, softened
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


def what_is_known(
    connection: Connection, checks: RuleSet, questions: Mapping[str, Question], now: datetime, tz: tzinfo
) -> Known:
    today = now.astimezone(tz).date()
    return Known(
        checks=checks,
        questions=questions,
        machines=machines_by_answer(connection, list(checks.checks), softened(connection)),
        attested=current(read_all(connection), today, now),
        today=today,
    )
