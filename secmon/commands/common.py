"""What the commands share: speaking, naming who acts, and opening the data."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from secmon.app import open_database
from secmon.config import Config
from secmon.errors import UsageError
from secmon.resources import rules_dir
from secmon.store.database import Database


def say(line: str) -> None:
    """What was asked for."""
    sys.stdout.write(line + "\n")


def note(line: str) -> None:
    """What goes with it."""
    sys.stderr.write(line + "\n")


def actor() -> str:
    """Who acts, for the audit log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def rules_folder(config: Config) -> Path:
    return Path(config.rules.folder) if config.rules.folder else rules_dir()


@contextmanager
def opened(config: Config) -> Iterator[Database]:
    """The database of an installation that exists already."""
    if not config.database.url and not (config.folder / "secmon.db").exists():
        raise UsageError(f"there is no secmon data in {config.folder}; name the folder with --data-dir or --config")
    database = open_database(config)
    try:
        yield database
    finally:
        database.close()


def check_text(option: str, text: str, most: int) -> None:
    if len(text) > most or not text.isprintable():
        raise UsageError(f"{option}: at most {most} characters, none of them a control character")
