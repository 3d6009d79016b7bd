"""Judging every machine whose answers do not rest on its present state and the rules in force.

That is so after a change of the rules, and where a collector ended in between. Machines are taken in small batches,
each in a transaction of its own: reports get their turn in between, and who is interrupted goes on where it stopped.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from secmon.config import Config
from secmon.evaluate.ruleset import RuleSet
from secmon.judging import Occasion, guarded, lock_hosts, rejudge_locked
from secmon.store.database import Database, is_unavailable
from secmon.store.schema import hosts
from secmon.whatif.compare import differing

BATCH = 25
"""Hosts judged in one transaction; a report that comes meanwhile waits for one of them."""
PAUSE_S = 0.001
"""Between two transactions: whoever waits to write gets the lock, which otherwise whoever had it takes again first."""

Progress = Callable[[int, int], None]


def repair(
    database: Database,
    rules: RuleSet,
    config: Config,
    now: datetime,
    progress: Progress | None = None,
    before: RuleSet | None = None,
) -> int:
    """Judge every host that is due; how many were. `progress` hears how many of how many are done.

    `before` are the rules that were in force until now, where they are known: hosts that were judged by them are asked
    again only what these rules could answer otherwise.
    """
    with database.read() as connection:
        due = list(connection.execute(_due(rules)).scalars())
    task = _Task(rules, config, now, before)
    for done in range(0, len(due), BATCH):
        with database.write() as connection:
            task.judge(connection, due[done : done + BATCH])
        time.sleep(PAUSE_S)
        if progress is not None:
            progress(min(done + BATCH, len(due)), len(due))
    return len(due)


def _due(rules: RuleSet) -> sa.Select[Any]:
    return (
        sa.select(hosts.c.host_id)
        .where(
            hosts.c.retired_at.is_(None),
            hosts.c.state.is_not(None),
            sa.or_(
                hosts.c.judged_ruleset.is_(None),
                hosts.c.judged_ruleset != rules.version,
                hosts.c.judged_state.is_(None),
                hosts.c.judged_state != hosts.c.state,
            ),
        )
        .order_by(hosts.c.host_id)
    )


class _Task:
    """One change of rules."""

    def __init__(self, rules: RuleSet, config: Config, now: datetime, before: RuleSet | None) -> None:
        self.rules = rules
        self.config = config
        self.today = now.astimezone(config.tz).date().isoformat()
        self.whole = Occasion(cause="rules", at=now, recorded_at=now)
        self.part = None
        self.before = before.version if before is not None else ""
        if before is not None:
            checks = differing(before, rules)
            self.part = Occasion(cause="rules", at=now, recorded_at=now, checks=checks, settles=True)

    def judge(self, connection: Connection, host_ids: Sequence[uuid.UUID]) -> None:
        """All at once; where one of them cannot be judged, each alone, so that it keeps no other from it."""
        try:
            with connection.begin_nested():
                self._judge(connection, host_ids)
        except Exception as error:
            if is_unavailable(error):
                raise
            for host_id in host_ids:
                guarded(connection, host_id, partial(self._judge, connection, [host_id]))

    def _judge(self, connection: Connection, host_ids: Sequence[uuid.UUID]) -> None:
        those = [
            (host, self._occasion(host))
            for host in lock_hosts(connection, host_ids)
            if (host.judged_ruleset, host.judged_state) != (self.rules.version, host.state)  # a report was quicker
        ]
        rejudge_locked(connection, self.rules, self.config, those)

    def _occasion(self, host: Row[Any]) -> Occasion:
        """A part is enough where all else was judged by the rules before, for the same state, and today."""
        known = self.part is not None and (host.judged_ruleset, host.judged_state) == (self.before, host.state)
        swept = host.swept_on is not None and host.swept_on >= self.today
        return self.part if self.part is not None and known and swept else self.whole


def waiting(connection: Connection, rules: RuleSet) -> int:
    """How many machines have answers that do not rest on these rules yet."""
    return connection.execute(sa.select(sa.func.count()).select_from(_due(rules).subquery())).scalar_one()
