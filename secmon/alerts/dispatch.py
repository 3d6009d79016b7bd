"""The dispatcher: claims undecided transitions and writes their deliveries and decisions in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.alerts.clauses import clauses_of
from secmon.alerts.compose import Context, compose, read_context
from secmon.alerts.decide import decide
from secmon.alerts.model import AlertRule, Decision, Draft
from secmon.alerts.past import newest, read_past, undecided
from secmon.config import Config
from secmon.evaluate.frameworks import Framework
from secmon.evaluate.ruleset import RuleSet
from secmon.notify.queue import Letter, enqueue
from secmon.notify.render import render
from secmon.store import turns
from secmon.store.database import Database
from secmon.store.schema import dispatches

MARGIN = 10_000
"""Transitions that may become visible after later ones did: PostgreSQL numbers them before they are committed."""
REST = timedelta(minutes=1)


class Dispatcher:
    """Remembers below which number everything is decided, so that looking costs the same in the sixth year."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._floor = 0
        self._seen = 0
        self._look_again = datetime.min.replace(tzinfo=UTC)

    def run(
        self,
        config: Config,
        rules: RuleSet,
        frameworks: Sequence[Framework],
        alert_rules: Sequence[AlertRule],
        now: datetime,
    ) -> int:
        """Decide upon what happened; how many deliveries were written. Safe beside other dispatchers of this database.

        Transitions that have to wait (this hour's mails are used up, new rules are still being applied) stay undecided,
        and are told together later.
        """
        if not self._anything_new(now):
            return 0
        self._database.identity(now)
        with self._database.write() as connection:
            take_turn(connection)
            waiting = undecided(connection, self._floor)
            decision = decide(waiting, alert_rules, read_past(connection, waiting, rules.version, now, config))
            context = read_context(connection, config, rules, clauses_of(frameworks), decision.drafts)
            decided, written = _record(connection, context, decision, now)
        if decided < len(waiting):
            self._seen = max(each.transition_id for each in waiting)
            self._look_again = now + REST
        return written

    def _anything_new(self, now: datetime) -> bool:
        """What has to wait is looked at once a minute, not with every report."""
        resting = now < self._look_again
        with self._database.read() as connection:
            top = newest(connection)
            if undecided(connection, self._seen if resting else self._floor, limit=1):
                return True
        if not resting:
            self._floor = max(0, top - MARGIN)
        return False


def take_turn(connection: Connection) -> None:
    """Only one transaction at a time decides upon transitions; SQLite has one writer anyway."""
    turns.take(connection, "dispatch")


def dispatch(
    database: Database,
    config: Config,
    rules: RuleSet,
    frameworks: Sequence[Framework],
    alert_rules: Sequence[AlertRule],
    now: datetime,
) -> int:
    """One run of a dispatcher that remembers nothing."""
    return Dispatcher(database).run(config, rules, frameworks, alert_rules, now)


def _record(connection: Connection, context: Context, decision: Decision, now: datetime) -> tuple[int, int]:
    """Number of transitions decided upon and of deliveries written."""
    rows: list[dict[str, object]] = []
    written = 0
    for draft in decision.drafts:
        ids = enqueue(connection, context.config, _letter(draft, context), now)
        written += len(ids)
        rows += [_row(each.transition_id, now, ids[0] if ids else None) for each in draft.transitions]
    rows += [_row(transition_id, now, None) for transition_id in decision.silent]
    rows += [_row(transition_id, now, None, "suppressed") for transition_id in decision.suppressed]
    if rows:
        connection.execute(sa.insert(dispatches), rows)
    return len(rows), written


def _letter(draft: Draft, context: Context) -> Letter:
    rendered = render(compose(draft, context))
    return Letter(
        rule=draft.rule.id,
        group=draft.group,
        window=draft.window,
        recipients=draft.rule.recipients or context.config.mail.recipients,
        subject=rendered.subject,
        text=rendered.text,
    )


def _row(
    transition_id: int, now: datetime, delivery_id: uuid.UUID | None, outcome: str | None = None
) -> dict[str, object]:
    """A mail to several recipients is told of by its first delivery."""
    return {
        "transition_id": transition_id,
        "decided_at": now,
        "outcome": outcome or ("delivery" if delivery_id else "none"),
        "delivery_id": delivery_id,
    }
