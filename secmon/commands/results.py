"""Results for elsewhere."""

from __future__ import annotations

import contextlib
import os
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import msgspec

from secmon.app import now_utc
from secmon.commands.common import actor, check_text, note, opened, say
from secmon.config import Config
from secmon.errors import Failure, UsageError
from secmon.evaluate.model import WORST_FIRST
from secmon.export.model import Export, checks_of, machines
from secmon.export.oscal import as_oscal
from secmon.export.table import as_csv
from secmon.notify.text import one_line
from secmon.rulebook import open_rulebook
from secmon.scanners.xccdf import MAX_FILE_BYTES, read_report
from secmon.store import audit
from secmon.store.hosts import find_host
from secmon.store.scanners import find_scanned, take_report

FORMATS: Mapping[str, Callable[[Export, Config], bytes]] = {
    "json": lambda export, _: msgspec.json.format(msgspec.json.encode(export), indent=1) + b"\n",
    "csv": lambda export, config: as_csv(export, config.office.language, config.tz),
    "oscal": lambda export, config: as_oscal(export, config.office.language),
}


def results_export(options: Namespace, config: Config) -> int:
    rules = open_rulebook(config).rules
    now = now_utc()
    with opened(config) as database:
        collector_id, generation = database.identity(now)
        export = Export(
            format="secmon.results.v1",
            collector_id=collector_id,
            generation=generation,
            exported_at=now,
            office=config.office.name,
            ruleset=rules.checks.version,
            checks=checks_of(rules),
            machines=tuple(machines(database, now, config.tz)),
        )
    file = Path(options.out)
    _write(file, FORMATS[options.format](export, config))
    say(str(file))
    note(f"{len(export.machines)} machines, {sum(len(each.answers) for each in export.machines)} answers")
    return 0


def results_import(options: Namespace, config: Config) -> int:
    file, now = Path(options.file), now_utc()
    check_text("--scanner", options.scanner, 64)
    if not options.scanner.strip():
        raise UsageError("--scanner: the scanner needs a name")
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"{file}: larger than {MAX_FILE_BYTES >> 20} MiB")
    report = read_report(data, config.tz)
    if report.ended_at > now + timedelta(days=1):
        raise UsageError(f"{file}: the run ended on {report.ended_at:%Y-%m-%d}, which is to come")
    with opened(config) as database, database.write() as connection:
        host_id = find_host(connection, options.host) if options.host else find_scanned(connection, report.names)
        if host_id is None:
            named = options.host or ", ".join(report.names) or "nobody"
            raise Failure(f"there is no one host {one_line(named)!r}; say which it is with --host")
        number, changed = take_report(connection, host_id, options.scanner, report, now)
        detail = {"scanner": options.scanner, "results": number, "changed": changed}
        audit.write(connection, at=now, actor=actor(), action="results.import", subject=str(host_id), detail=detail)
    counts = Counter(result.status for result in report.results)
    say(f"{number} results of {options.scanner}, {changed} of them new or changed")
    say(", ".join(f"{counts[status]} {status.replace('_', ' ')}" for status in WORST_FIRST))
    return 0


def _write(file: Path, data: bytes) -> None:
    """Whole or not at all, and for nobody else's eyes: it names every weakness of the office."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        part.touch(mode=0o600)
        part.write_bytes(data)
        part.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise Failure(f"{file}: cannot be written: {error.strerror}") from None
