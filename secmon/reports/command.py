"""Make the monthly report: from the archive if it was made before, else from history, as PDF, CSV and JSON files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from secmon.config import Config
from secmon.errors import Failure, UsageError
from secmon.judging import sweep
from secmon.reports import archive, pdf
from secmon.reports.archive import Archived
from secmon.reports.csv import render_csv
from secmon.reports.month import Month, month_of, parse_month
from secmon.reports.monthly import monthly
from secmon.rulebook import Rules
from secmon.store.database import Database
from secmon.store.sightings import record_sightings

Progress = Callable[[str], None]

SETTLING = timedelta(minutes=1)
"""A month is closed this long before now: whatever was recorded up to then has been committed by now."""


def _silent(_: str) -> None:
    pass


def make_monthly(
    database: Database,
    config: Config,
    rules: Rules,
    month: str,
    out_dir: Path,
    now: datetime,
    progress: Progress = _silent,
) -> list[Path]:
    """Write `secmon-2026-11.pdf`, `.csv` and `.json` into `out_dir`; `secmon-2026-11-interim.*` for the present month.

    They speak the language of `config.office`; the archived model is of no language.
    Raises UsageError for a month that is none or lies ahead, Failure when a file cannot be written.
    """
    wanted = parse_month(month)
    if wanted > month_of(now, config.tz):
        raise UsageError(f"month: {month} lies in the future; the newest report is of {month_of(now, config.tz)}")
    progress(f"reading the history of {month}")
    archived = obtain(database, config, rules, wanted, now)
    progress("drawing the pages")
    spoken = config.office.language
    files = {
        "pdf": pdf.render(archived, spoken),
        "csv": render_csv(archived, spoken),
        "json": archived.model,
    }
    stem = f"secmon-{wanted}" + ("" if archived.hash else "-interim")
    return [_write(out_dir, f"{stem}.{ending}", content) for ending, content in files.items()]


def obtain(
    database: Database,
    config: Config,
    rules: Rules,
    month: Month,
    now: datetime,
) -> Archived:
    """The archived report of a month that is over, made and archived now if it was not yet; else an interim one."""
    with database.read() as connection:
        found = archive.find(connection, month)
    if found is not None:
        return found
    over = now >= month.ends(config.tz)
    closed_at = max(month.ends(config.tz), now - SETTLING) if over else now
    collector_id, _ = database.identity(now)
    sweep(database, rules.checks, config, closed_at)  # where the collector stood still, nothing had aged meanwhile
    with database.write() as connection:
        record_sightings(connection, closed_at)
    with database.read() as connection:
        report = monthly(
            connection,
            month=month,
            closed_at=closed_at,
            config=config,
            rules=rules,
            collector_id=collector_id,
        )
    if not over:
        return Archived(model=archive.canonical(report), hash=None, created_at=now, renderer=pdf.renderer())
    with database.write() as connection:
        archive.lock(connection)
        found = archive.find(connection, month)
        return found or archive.append(connection, report, created_at=now, renderer=pdf.renderer())


def _write(folder: Path, name: str, content: bytes) -> Path:
    """All of the file or nothing of it, readable like any other file of this user."""
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                os.fchmod(stream.fileno(), 0o640)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from None
    return path
