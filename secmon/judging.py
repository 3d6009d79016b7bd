"""Judging what is stored: load one host's sections, evaluate, record. Runs inside the caller's transaction.

The three occasions are a report (checks that read what changed), the clock (once per office-local day) and new rules
(everything, acting from now on).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection, Row

from secmon.config import Config
from secmon.evaluate.judge import evaluate
from secmon.evaluate.model import Machine
from secmon.evaluate.ruleset import RuleSet
from secmon.evaluate.sections import read_sections
from secmon.store import results
from secmon.store.database import Database, is_unavailable
from secmon.store.hosts import attributes_of
from secmon.store.ledger import LEDGER, apply_due, due_hosts, ledger_standing, misjudged
from secmon.store.schema import contacts, hosts, rulesets, section_versions, transitions
from secmon.store.schema import results as results_table
from secmon.store.settling import settle_host

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


def judge_host(
    connection: Connection, rules: RuleSet, config: Config, host: Row[Any], revision: int, occasion: Occasion
) -> int:
    """Judge the stored sections of `host` (a row of `hosts`, locked by the caller); number of results that changed.

    The first judgement of a host is its baseline: it notifies once, as a whole.
    """
    first = host.judged_ruleset is None
    wanted = None if first else occasion.checks
    if wanted is not None and not wanted:
        return 0
    machine = load_machine(connection, config, host.host_id)
    judged = results.Judged(
        host_id=host.host_id,
        revision=revision,
        cause="baseline" if first else occasion.cause,
        observed_at=occasion.at,
        recorded_at=occasion.recorded_at,
        ruleset=rules.version,
        zone=machine.zone or "",
    )
    verdicts = evaluate(rules, machine, occasion.at, wanted)
    severities = {check.id: check.severity for check in rules.checks.values()}
    changed = results.record(connection, judged, verdicts, severities)
    if wanted is None and not first:
        results.drop(connection, judged, _vanished(connection, rules, host.host_id))
    if first:
        results.note_first_state(connection, judged)
    if changed or wanted is None:
        settle_host(connection, host.host_id, occasion.recorded_at, judged.cause)
    return changed


def load_machine(connection: Connection, config: Config, host_id: uuid.UUID) -> Machine:
    """A host as the evaluation sees it: its present sections, attributes and when they were last known to be true."""
    rows = connection.execute(
        sa.select(
            section_versions.c.section, section_versions.c.status, section_versions.c.reason, section_versions.c.data
        ).where(section_versions.c.host_id == host_id, section_versions.c.observed_to.is_(None))
    )
    stored = {row.section: (row.status, row.reason, row.data) for row in rows}
    observed_at = connection.execute(sa.select(contacts.c.observed_at).where(contacts.c.host_id == host_id)).scalar()
    attributes = attributes_of(connection, [host_id]).get(host_id, {})
    standing = ledger_standing(connection, host_id)
    if standing is not None:
        attributes = {**attributes, LEDGER: standing}
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
    query = sa.select(hosts).where(hosts.c.host_id == host_id)
    return connection.execute(query.with_for_update(key_share=True)).one()


def rejudge_host(connection: Connection, rules: RuleSet, config: Config, host_id: uuid.UUID, occasion: Occasion) -> int:
    """Lock a host, judge it for a reason other than a report, and note what its results now rest on."""
    host = lock_host(connection, host_id)
    if host.state is None or host.retired_at is not None:
        return 0
    revision = host.revision + 1
    changed = judge_host(connection, rules, config, host, revision, occasion)
    values: dict[str, object] = {"revision": revision}
    if occasion.checks is None:
        values |= {
            "judged_ruleset": rules.version,
            "judged_state": host.state,
            "swept_on": occasion.at.astimezone(config.tz).date().isoformat(),
        }
    connection.execute(sa.update(hosts).where(hosts.c.host_id == host_id).values(**values))
    return changed


def _vanished(connection: Connection, rules: RuleSet, host_id: uuid.UUID) -> list[str]:
    open_checks = connection.execute(
        sa.select(results_table.c.check_id).where(
            results_table.c.host_id == host_id, results_table.c.observed_to.is_(None)
        )
    ).scalars()
    return [check for check in open_checks if check not in rules.checks]


def repair(
    database: Database,
    rules: RuleSet,
    config: Config,
    now: datetime,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Judge every host whose results do not rest on its present state and these rules: at start-up and on new rules.

    Interrupted, it goes on where it stopped. Returns how many hosts were judged.
    """
    with database.read() as connection:
        due = list(
            connection.execute(
                sa.select(hosts.c.host_id).where(
                    hosts.c.retired_at.is_(None),
                    hosts.c.state.is_not(None),
                    sa.or_(
                        hosts.c.judged_ruleset.is_(None),
                        hosts.c.judged_ruleset != rules.version,
                        hosts.c.judged_state.is_(None),
                        hosts.c.judged_state != hosts.c.state,
                    ),
                ).order_by(hosts.c.host_id)
            ).scalars()
        )  # fmt: skip
    occasion = Occasion(cause="rules", at=now, recorded_at=now)
    for done in range(0, len(due), SWEEP_BATCH):
        with database.write() as connection:
            for host_id in due[done : done + SWEEP_BATCH]:
                host = lock_host(connection, host_id)
                if (host.judged_ruleset, host.judged_state) != (rules.version, host.state):  # a report was quicker
                    _guarded(connection, host_id, partial(rejudge_host, connection, rules, config, host_id, occasion))
        if progress is not None:
            progress(min(done + SWEEP_BATCH, len(due)), len(due))
    return len(due)


def sweep(database: Database, rules: RuleSet, config: Config, now: datetime) -> int:
    """Judge again what depends on the clock, once per office-local day and host, missed days in order.

    A day is judged at its first moment, the last one at `now`. A host whose results rest on other rules is left to
    `repair`: new rules never judge the past. Returns how many hosts were swept.
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
                _guarded(connection, host_id, partial(_sweep_host, connection, rules, config, host_id, moments, now))
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
                    _guarded(connection, host_id, partial(rejudge_host, connection, rules, config, host_id, occasion))
    return changed


def judge_by_ledger(database: Database, rules: RuleSet, config: Config, now: datetime) -> int:
    """After the ledger changed: machines that came to stand in it or no longer do; how many were judged."""
    with database.read() as connection:
        due = misjudged(connection)
    occasion = Occasion(cause="attributes", at=now, recorded_at=now, checks=rules.factless)
    for start in range(0, len(due), SWEEP_BATCH):
        with database.write() as connection:
            for host_id in due[start : start + SWEEP_BATCH]:
                _guarded(connection, host_id, partial(rejudge_host, connection, rules, config, host_id, occasion))
    return len(due)


def _guarded(connection: Connection, host_id: uuid.UUID, work: Callable[[], object]) -> None:
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
    """Record that these rules are in force from now on; True when they are new here. One transition tells people."""
    with database.write() as connection:
        last = connection.execute(sa.select(rulesets.c.version).order_by(rulesets.c.loaded_at.desc()).limit(1)).scalar()
        if last == rules.version:
            return False
        connection.execute(sa.insert(rulesets).values(version=rules.version, loaded_at=now, checks=len(rules.checks)))
        if last is not None:
            connection.execute(
                sa.insert(transitions).values(
                    event="ruleset", cause="rules", evidence=rules.version, observed_at=now, recorded_at=now
                )
            )
        return True
