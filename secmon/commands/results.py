"""Results for elsewhere."""

from __future__ import annotations

import contextlib
import os
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from secmon.app import now_utc
from secmon.commands.common import note, opened, rules_folder, say
from secmon.config import Config
from secmon.errors import Failure
from secmon.export.model import Export, checks_of, machines
from secmon.export.oscal import as_oscal
from secmon.export.table import as_csv
from secmon.rulebook import Rulebook

FORMATS: Mapping[str, Callable[[Export, Config], bytes]] = {
    "json": lambda export, _: msgspec.json.format(msgspec.json.encode(export), indent=1) + b"\n",
    "csv": lambda export, config: as_csv(export, config.office.language, config.tz),
    "oscal": lambda export, config: as_oscal(export, config.office.language),
}


def results_export(options: Namespace, config: Config) -> int:
    rules = Rulebook(rules_folder(config)).rules
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
            machines=tuple(machines(database)),
        )
    file = Path(options.out)
    _write(file, FORMATS[options.format](export, config))
    say(str(file))
    note(f"{len(export.machines)} machines, {sum(len(each.answers) for each in export.machines)} answers")
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
