"""What is kept how long: superseded section versions for days, history for fiscal years, secrets until they expire."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.config import Config
from secmon.store.schema import (
    agent_keys,
    agents,
    archived_reports,
    asset_findings,
    attestations,
    audit,
    deliveries,
    dispatches,
    enrollment_tokens,
    enrollments,
    exceptions,
    findings,
    host_agents,
    host_assets,
    host_attributes,
    jobs,
    planned_attributes,
    results,
    scanner_results,
    scanner_runs,
    section_versions,
    sightings,
    sign_ins,
    stream_window,
    streams,
    transitions,
)

APRIL = 4
_CHUNK = 500
TOKEN_GRACE = timedelta(days=30)
"""An expired token is remembered this long, so that whoever still uses it is told that it has expired."""


def fiscal_cutoff(config: Config, now: datetime) -> datetime:
    """The first instant of the oldest fiscal year (April to March) that is kept, besides the present one."""
    today = now.astimezone(config.tz).date()
    year = today.year - (today.month < APRIL) - config.retention.fiscal_years
    return datetime.combine(date(year, APRIL, 1), time(), config.tz).astimezone(UTC)


def purge(connection: Connection, config: Config, now: datetime) -> int:
    """Remove what has been kept long enough; number of rows. What is still open is never removed."""
    old = fiscal_cutoff(config, now)
    superseded = now - timedelta(days=config.retention.section_days)
    transitions_gone = sa.select(transitions.c.transition_id).where(transitions.c.recorded_at < old)
    deliveries_used = sa.exists().where(dispatches.c.delivery_id == deliveries.c.delivery_id)
    removed = _delete(
        connection,
        (
            (section_versions, section_versions.c.observed_to < superseded),
            (stream_window, _given_up_before(superseded)),
            (streams, streams.c.agent_id.in_(_forgotten_agents(old))),
            (agent_keys, agent_keys.c.agent_id.in_(_forgotten_agents(old))),
            (results, results.c.observed_to < old),
            (findings, findings.c.resolved_at < old),
            (asset_findings, asset_findings.c.resolved_at < old),
            (dispatches, dispatches.c.transition_id.in_(transitions_gone)),
            (transitions, transitions.c.recorded_at < old),
            (deliveries, sa.and_(deliveries.c.created_at < old, deliveries.c.status != "pending", ~deliveries_used)),
            (exceptions, _over_before(old)),
            (enrollments, enrollments.c.decided_at < old),
            (host_attributes, host_attributes.c.valid_to < old),
            (host_assets, host_assets.c.valid_to < old),
            (planned_attributes, planned_attributes.c.settled_at < old),
            (attestations, attestations.c.due_on < old.astimezone(config.tz).date().isoformat()),
            (scanner_runs, scanner_runs.c.ended_at < old),
            (scanner_results, scanner_results.c.observed_to < old),
            (sightings, sa.and_(sightings.c.recorded_at < old, ~_newest_sighting())),
            (jobs, jobs.c.finished_at < old),
            (archived_reports, archived_reports.c.created_at < old),
            (audit, audit.c.at < old),
        ),
    )
    return removed + _purge_agents(connection, old)


def expire(connection: Connection, now: datetime) -> int:
    """Remove enrollment tokens and sign-ins that can no longer be used; number of rows."""
    return _delete(
        connection,
        (
            (enrollment_tokens, enrollment_tokens.c.expires_at < now - TOKEN_GRACE),
            (sign_ins, sign_ins.c.expires_at < now),
        ),
    )


def _given_up_before(moment: datetime) -> sa.ColumnElement[bool]:
    """Whatever still comes of such a stream is refused by its name, or by its key, alone."""
    revoked = sa.select(agents.c.agent_id).where(agents.c.revoked_at < moment)
    return sa.exists().where(
        streams.c.host_id == stream_window.c.host_id,
        streams.c.stream == stream_window.c.stream,
        sa.or_(streams.c.superseded_at < moment, streams.c.agent_id.in_(revoked)),
    )


def _forgotten_agents(old: datetime) -> sa.Select[tuple[uuid.UUID]]:
    """Revoked for so long, and succeeded by another: a machine of a pool leaves one behind at every start."""
    speaks = sa.exists().where(host_agents.c.agent_id == agents.c.agent_id, host_agents.c.valid_to.is_(None))
    return sa.select(agents.c.agent_id).where(agents.c.revoked_at < old, ~speaks)


def _purge_agents(connection: Connection, old: datetime) -> int:
    """After what hangs on them; both at once, since the one tells of the other."""
    ids = list(connection.execute(_forgotten_agents(old)).scalars())
    removed = 0
    for start in range(0, len(ids), _CHUNK):
        some = ids[start : start + _CHUNK]
        removed += connection.execute(sa.delete(host_agents).where(host_agents.c.agent_id.in_(some))).rowcount
        removed += connection.execute(sa.delete(agents).where(agents.c.agent_id.in_(some))).rowcount
    return removed


def _over_before(old: datetime) -> sa.ColumnElement[bool]:
    """An exception or dispute that ended so long ago; nothing that is open is covered by it."""
    used = [
        sa.exists().where(table.c.exception_id == exceptions.c.exception_id, table.c.resolved_at.is_(None))
        for table in (findings, asset_findings)
    ]
    return sa.and_(sa.or_(exceptions.c.valid_to < old, exceptions.c.ended_at < old), ~sa.or_(*used))


def _newest_sighting() -> sa.ColumnElement[bool]:
    """A machine's last sighting stays, however old: it is the only word of when it was last seen."""
    later = sightings.alias()
    return ~sa.exists().where(later.c.host_id == sightings.c.host_id, later.c.observed_at > sightings.c.observed_at)


def _delete(connection: Connection, doomed: Sequence[tuple[sa.Table, sa.ColumnElement[bool]]]) -> int:
    return sum(connection.execute(sa.delete(table).where(condition)).rowcount for table, condition in doomed)
