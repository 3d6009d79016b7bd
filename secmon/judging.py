"""Judging what is stored: load one host's sections, evaluate, record. Runs inside the caller's transaction.

The three occasions are a report (checks that read what changed), the clock (once per office-local day) and new rules
(everything, acting from now on).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection, Row

from secmon.config import Config
from secmon.evaluate.catalogue import catalogue_of, difference
from secmon.evaluate.judge import evaluate
from secmon.evaluate.model import Machine
from secmon.evaluate.ruleset import RuleSet
from secmon.evaluate.sections import Stored, read_sections
from secmon.rules_news import told
from secmon.store import results, rulesets
from secmon.store.bulk import execute_many, plain, plain_ids
from secmon.store.database import Database, is_unavailable
from secmon.store.hosts import attributes_of
from secmon.store.ledger import apply_due, due_hosts
from secmon.store.schema import contacts, hosts, section_versions, transitions
from secmon.store.settling import settle_judged

log = logging.getLogger(__name__)

SWEEP_BATCH = 50
"""Hosts judged in one transaction by the sweeps, so that reports get their turn in between."""


class Occasion(Struct, frozen=True, kw_only=True):
    """Why a host is judged, and as of when."""

    cause: results.Cause
    at: datetime
    """The moment at which it is judged: `observed_at` of a report, or the clock."""
    recorded_at: datetime
    checks: frozenset[str] | None = None
    """Only these; None: all."""
    settles: bool = False
    """These checks are all whose answers could be others under the rules in force."""


class Turn(Struct, frozen=True, kw_only=True):
    """One host to be judged."""

    host: Row[Any]
    """Of `hosts`, locked by the caller."""
    revision: int
    occasion: Occasion

    @property
    def is_first(self) -> bool:
        return self.host.judged_ruleset is None

    @property
    def checks(self) -> frozenset[str] | None:
        """The first time it is all of them."""
        return None if self.is_first else self.occasion.checks


def judge_host(
    connection: Connection, rules: RuleSet, config: Config, host: Row[Any], revision: int, occasion: Occasion
) -> int:
    """Judge the stored sections of `host` (a row of `hosts`, locked by the caller); number of results that changed."""
    turn = Turn(host=host, revision=revision, occasion=occasion)
    return judge_hosts(connection, rules, config, [turn]).get(host.host_id, 0)


def judge_hosts(connection: Connection, rules: RuleSet, config: Config, turns: Iterable[Turn]) -> dict[uuid.UUID, int]:
    """Judge the stored sections of several hosts; number of results that changed, for those that were to be judged.

    The first judgement of a host is its baseline: it notifies once, as a whole.
    """
    due = {turn.host.host_id: turn for turn in turns if turn.checks is None or turn.checks}
    if not due:
        return {}
    machines = load_machines(connection, config, due, _sections(rules, due.values()))
    answered = [_answered(rules, machines[host_id], turn) for host_id, turn in due.items()]
    changed = results.record(connection, answered, rules.severities)
    judged = [each.judged for each in answered]
    results.note_first_states(connection, [each for each in judged if each.cause == "baseline"])
    settle_judged(connection, [each for each in judged if changed[each.host_id] or due[each.host_id].checks is None])
    return changed


def _sections(rules: RuleSet, turns: Iterable[Turn]) -> frozenset[str] | None:
    """Those that are read, where not all are."""
    wanted = [turn.checks for turn in turns]
    known = [checks for checks in wanted if checks is not None]
    return rules.sections_of(frozenset().union(*known)) if len(known) == len(wanted) else None


def _answered(rules: RuleSet, machine: Machine, turn: Turn) -> results.Answered:
    occasion = turn.occasion
    judged = results.Judged(
        host_id=turn.host.host_id,
        revision=turn.revision,
        cause="baseline" if turn.is_first else occasion.cause,
        observed_at=occasion.at,
        recorded_at=occasion.recorded_at,
        ruleset=rules.version,
        zone=machine.zone or "",
    )
    verdicts = evaluate(rules, machine, occasion.at, turn.checks)
    return results.Answered(judged=judged, verdicts=verdicts, asked=turn.checks)


def load_machine(connection: Connection, config: Config, host_id: uuid.UUID) -> Machine:
    return load_machines(connection, config, [host_id])[host_id]


def load_machines(
    connection: Connection,
    config: Config,
    host_ids: Iterable[uuid.UUID],
    sections: frozenset[str] | None = None,
) -> dict[uuid.UUID, Machine]:
    """Hosts as the evaluation sees them: present sections, attributes and when they were last known to be true.

    With `sections`, only these are read: enough for checks that read no others.
    """
    names = plain_ids(connection, host_ids)
    table, ids = section_versions.c, list(names.values())
    query = sa.select(plain(table.host_id), table.section, table.status, table.reason, table.data)
    query = query.where(table.host_id.in_(ids), table.observed_to.is_(None))
    if sections is not None:
        query = query.where(table.section.in_(sorted(sections)))
    stored: dict[uuid.UUID, dict[str, Stored]] = {host_id: {} for host_id in ids}
    for key, section, status, reason, data in connection.execute(query).all():
        stored[names[key]][section] = (status, reason, data)
    seen = sa.select(contacts.c.host_id, contacts.c.observed_at).where(contacts.c.host_id.in_(ids))
    observed_at = {row.host_id: row.observed_at for row in connection.execute(seen)}
    attributes = attributes_of(connection, ids)
    return {
        host_id: _machine(config, stored[host_id], observed_at.get(host_id), attributes.get(host_id, {}))
        for host_id in ids
    }


def _machine(
    config: Config, stored: Mapping[str, Stored], observed_at: datetime | None, attributes: Mapping[str, str]
) -> Machine:
    zone = attributes.get("zone")
    return Machine(
        sections=read_sections(stored),
        observed_at=observed_at,
        zone=zone,
        attributes=attributes,
        stale_after_s=config.stale_after_s(zone),
        networks=config.zone_networks,
    )


def lock_host(connection: Connection, host_id: uuid.UUID) -> Row[Any]:
    """The row of `hosts`, kept from other judges, but not from rows elsewhere that only refer to it."""
    return lock_hosts(connection, [host_id])[0]


def lock_hosts(connection: Connection, host_ids: Iterable[uuid.UUID]) -> Sequence[Row[Any]]:
    """In the order of ids, as everybody locks several of them."""
    query = sa.select(hosts).where(hosts.c.host_id.in_(list(host_ids))).order_by(hosts.c.host_id)
    return connection.execute(query.with_for_update(key_share=True)).all()


def rejudge_host(connection: Connection, rules: RuleSet, config: Config, host_id: uuid.UUID, occasion: Occasion) -> int:
    """Lock a host, judge it for a reason other than a report, and note what its results now rest on."""
    return rejudge_locked(connection, rules, config, [(lock_host(connection, host_id), occasion)]).get(host_id, 0)


def rejudge_locked(
    connection: Connection, rules: RuleSet, config: Config, those: Iterable[tuple[Row[Any], Occasion]]
) -> dict[uuid.UUID, int]:
    """The same of hosts that are locked already. One that never reported or is retired is passed over."""
    turns = [
        Turn(host=host, revision=host.revision + 1, occasion=occasion)
        for host, occasion in those
        if host.state is not None and host.retired_at is None
    ]
    changed = judge_hosts(connection, rules, config, turns)
    execute_many(connection, _NOTE, [_noted(rules, config, turn) for turn in turns])
    return changed


_NOTE = "UPDATE hosts SET revision = ?, judged_ruleset = ?, judged_state = ?, swept_on = ? WHERE host_id = ?"


def _noted(rules: RuleSet, config: Config, turn: Turn) -> tuple[object, ...]:
    host, occasion = turn.host, turn.occasion
    rests_on = (host.judged_ruleset, host.judged_state)
    if occasion.checks is None or occasion.settles:
        rests_on = (rules.version, host.state)
    day = occasion.at.astimezone(config.tz).date().isoformat() if occasion.checks is None else host.swept_on
    return (turn.revision, *rests_on, day, host.host_id)


def sweep(database: Database, rules: RuleSet, config: Config, now: datetime) -> int:
    """Judge again what depends on the clock, once per office-local day and host, missed days in order.

    A day is judged at its first moment, the last one at `now`. A host whose results rest on other rules is left to
    `rejudging.repair`: new rules never judge the past. Returns how many hosts were swept.
    """
    today = now.astimezone(config.tz).date()
    with database.read() as connection:
        due = connection.execute(
            sa.select(hosts.c.host_id, hosts.c.swept_on, contacts.c.observed_at)
            .join(contacts, contacts.c.host_id == hosts.c.host_id)
            .where(
                hosts.c.retired_at.is_(None),
                hosts.c.judged_ruleset == rules.version,
                sa.or_(hosts.c.swept_on.is_(None), hosts.c.swept_on < today.isoformat()),
            )
            .order_by(hosts.c.host_id)
        ).all()
    for done in range(0, len(due), SWEEP_BATCH):
        with database.write() as connection:
            for host_id, swept_on, observed_at in due[done : done + SWEEP_BATCH]:
                host = lock_host(connection, host_id)
                if (host.judged_ruleset, host.swept_on) != (rules.version, swept_on):  # new rules came in between
                    continue
                moments = _days(swept_on, observed_at, now, config)
                guarded(connection, host_id, partial(_sweep_host, connection, rules, config, host_id, moments, now))
    return len(due)


def apply_planned(database: Database, rules: RuleSet, config: Config, now: datetime) -> int:
    """What the office planned up to today holds from its day on, and is judged; how many machines it changed."""
    today, changed = now.astimezone(config.tz).date(), 0
    with database.read() as connection:
        due = due_hosts(connection, today)
    for start in range(0, len(due), SWEEP_BATCH):
        with database.write() as connection:
            for host_id in due[start : start + SWEEP_BATCH]:
                if apply_due(connection, host_id, today, config.tz, now):
                    changed += 1
                    occasion = Occasion(cause="attributes", at=now, recorded_at=now)
                    guarded(connection, host_id, partial(rejudge_host, connection, rules, config, host_id, occasion))
    return changed


def guarded(connection: Connection, host_id: uuid.UUID, work: Callable[[], object]) -> None:
    """One host that cannot be judged does not keep the others from it."""
    try:
        with connection.begin_nested():
            work()
    except Exception as error:
        if is_unavailable(error):
            raise
        log.exception("host %s could not be judged", host_id)


def _days(swept_on: str | None, observed_at: datetime, now: datetime, config: Config) -> list[datetime]:
    """Moments to judge at: the start of each missed day after the last sweep, and `now`. At most 400 days back."""
    today = now.astimezone(config.tz).date()
    last = date.fromisoformat(swept_on) if swept_on else observed_at.astimezone(config.tz).date()
    first = max(last + timedelta(days=1), today - timedelta(days=400))
    missed = [first + timedelta(days=n) for n in range((today - first).days)]
    starts = [datetime.combine(day, datetime.min.time(), config.tz) for day in missed]
    return [*(start.astimezone(now.tzinfo) for start in starts if start > observed_at), now]


def _sweep_host(
    connection: Connection,
    rules: RuleSet,
    config: Config,
    host_id: uuid.UUID,
    moments: Iterable[datetime],
    now: datetime,
) -> None:
    for moment in moments:
        # Freshness is the clock's business for every check, so all of them are judged.
        rejudge_host(connection, rules, config, host_id, Occasion(cause="time", at=moment, recorded_at=now))
    connection.execute(
        sa.update(hosts).where(hosts.c.host_id == host_id).values(swept_on=now.astimezone(config.tz).date().isoformat())
    )


def note_ruleset(database: Database, rules: RuleSet, now: datetime) -> bool:
    """Record that these rules are in force from now on; True when they are new here. One transition tells people, and
    the log what is different."""
    with database.write() as connection:
        known = rulesets.history(connection, 1)
        if known and known[0].version == rules.version:
            return False
        catalogue = catalogue_of(rules)
        rulesets.write(connection, catalogue, now)
        if known:
            connection.execute(
                sa.insert(transitions).values(
                    event="ruleset", cause="rules", evidence=rules.version, observed_at=now, recorded_at=now
                )
            )
    if known and known[0].catalogue is not None:
        for line in told(difference(known[0].catalogue, catalogue), "en"):
            log.info("%s", line)
    return True
