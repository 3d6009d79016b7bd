"""Other scanners' results as intervals: what a scanner no longer names, or names otherwise, ends."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from secmon.errors import Failure
from secmon.scanners.xccdf import ScannerReport, ScannerResult
from secmon.store.schema import hosts, scanner_results, scanner_runs


def find_scanned(connection: Connection, names: Iterable[str]) -> uuid.UUID | None:
    """The machine in service that bears one of these names, with or without its domain; None unless it is just one."""
    wanted = {part for name in names for part in (name.casefold(), _short(name).casefold())}
    query = sa.select(hosts.c.host_id).where(
        hosts.c.retired_at.is_(None),
        sa.or_(sa.func.lower(hosts.c.name).in_(wanted), sa.func.lower(hosts.c.hostname).in_(wanted)),
    )
    found = connection.execute(query).scalars().all()
    return found[0] if len(found) == 1 else None


def take_report(
    connection: Connection, host_id: uuid.UUID, scanner: str, report: ScannerReport, now: datetime
) -> tuple[int, int]:
    """How many results the report has, and how many of them are others than before.

    Raises Failure for a report that is older than what is there: the past is not rewritten.
    """
    present = {row.rule: row for row in current(connection, [host_id], scanner)}
    run = last_runs(connection, [host_id]).get((host_id, scanner))
    newest = max([*(row.observed_from for row in present.values()), *([run] if run else [])], default=None)
    if newest is not None and report.ended_at < newest:
        raise Failure(f"a newer result of {scanner} is there already, of {newest:%Y-%m-%d %H:%M} UTC")
    named = {result.rule: result for result in report.results}
    changed = [result for result in named.values() if not _same(present.get(result.rule), result)]
    ended = [rule for rule in present if rule not in named] + [each.rule for each in changed if each.rule in present]
    for rule in ended:
        row = present[rule]
        which = _open(host_id, scanner, rule)
        if row.observed_from == report.ended_at:  # the same run again, read otherwise
            connection.execute(sa.delete(scanner_results).where(which))
        else:
            connection.execute(sa.update(scanner_results).where(which).values(observed_to=report.ended_at))
    if changed:
        connection.execute(
            sa.insert(scanner_results), [_row(host_id, scanner, each, report.ended_at, now) for each in changed]
        )
    _note_run(connection, host_id, scanner, report, now)
    return len(named), len(changed)


def last_runs(connection: Connection, host_ids: Iterable[uuid.UUID]) -> dict[tuple[uuid.UUID, str], datetime]:
    """By machine and scanner, when it last looked, whether anything changed or not."""
    rows = connection.execute(
        sa.select(scanner_runs.c.host_id, scanner_runs.c.scanner, sa.func.max(scanner_runs.c.ended_at))
        .where(scanner_runs.c.host_id.in_(list(host_ids)))
        .group_by(scanner_runs.c.host_id, scanner_runs.c.scanner)
    )
    return {(host_id, scanner): ended_at for host_id, scanner, ended_at in rows}


def _note_run(connection: Connection, host_id: uuid.UUID, scanner: str, report: ScannerReport, now: datetime) -> None:
    key = {"host_id": host_id, "scanner": scanner, "ended_at": report.ended_at}
    same = sa.and_(*(scanner_runs.c[name] == value for name, value in key.items()))
    if connection.execute(sa.select(scanner_runs.c.ended_at).where(same)).first() is None:
        connection.execute(sa.insert(scanner_runs).values(**key, recorded_at=now, results=len(report.results)))


def current(connection: Connection, host_ids: Iterable[uuid.UUID], scanner: str | None = None) -> list[Row[Any]]:
    """What holds now, of one scanner or of all, in the order of scanners and rules."""
    query = sa.select(scanner_results).where(
        scanner_results.c.host_id.in_(list(host_ids)), scanner_results.c.observed_to.is_(None)
    )
    if scanner is not None:
        query = query.where(scanner_results.c.scanner == scanner)
    return list(connection.execute(query.order_by(scanner_results.c.scanner, scanner_results.c.rule)))


def _short(name: str) -> str:
    """Without its domain; an address has none."""
    first = name.partition(".")[0]
    return name if first.isdecimal() else first


def _same(row: Row[Any] | None, result: ScannerResult) -> bool:
    return row is not None and (row.status, row.said, row.severity) == (result.status, result.said, result.severity)


def _open(host_id: uuid.UUID, scanner: str, rule: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        scanner_results.c.host_id == host_id,
        scanner_results.c.scanner == scanner,
        scanner_results.c.rule == rule,
        scanner_results.c.observed_to.is_(None),
    )


def _row(
    host_id: uuid.UUID, scanner: str, result: ScannerResult, observed_from: datetime, now: datetime
) -> dict[str, object]:
    return {
        "host_id": host_id,
        "scanner": scanner,
        "rule": result.rule,
        "observed_from": observed_from,
        "recorded_at": now,
        "status": result.status,
        "said": result.said,
        "severity": result.severity,
        "title": result.title,
    }
