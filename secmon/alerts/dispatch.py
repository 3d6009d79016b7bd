"""The dispatcher: claims undecided transitions and writes their deliveries and decisions in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.alerts.clauses import clauses_of
from secmon.alerts.compose import Context, compose, read_context
from secmon.alerts.decide import decide
from secmon.alerts.model import AlertRule, Decision, Draft
from secmon.alerts.past import read_past, undecided
from secmon.config import Config
from secmon.evaluate.frameworks import Framework
from secmon.evaluate.ruleset import RuleSet
from secmon.notify.queue import Letter, enqueue
from secmon.notify.render import render
from secmon.store.database import Database
from secmon.store.schema import dispatches

_LOCK = 0x5EC_0A1E  # any number of our own: one dispatcher at a time on PostgreSQL


def dispatch(
    database: Database,
    config: Config,
    rules: RuleSet,
    frameworks: Sequence[Framework],
    alert_rules: Sequence[AlertRule],
    now: datetime,
) -> int:
    """Decide upon what happened; how many deliveries were written. Safe beside other dispatchers of the same database.

    Transitions for which this hour has no mail left stay undecided, and are told together later.
    """
    with database.read() as connection:
        if not undecided(connection, limit=1):
            return 0
    database.identity(now)
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        waiting = undecided(connection)
        decision = decide(waiting, alert_rules, read_past(connection, waiting, now))
        clauses = clauses_of(frameworks)
        context = read_context(connection, config, rules, clauses, decision.drafts)
        return _record(connection, context, decision, now)


def _record(connection: Connection, context: Context, decision: Decision, now: datetime) -> int:
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
    return written


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
