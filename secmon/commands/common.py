"""What the commands share: speaking, naming who acts, and opening the data."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

import msgspec

from secmon.app import open_database
from secmon.config import Config
from secmon.errors import UsageError
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


def has_data(config: Config) -> bool:
    return bool(config.database.url) or (config.folder / "secmon.db").exists()


@contextmanager
def opened(config: Config) -> Iterator[Database]:
    """The database of an installation that exists already."""
    if not has_data(config):
        raise UsageError(f"there is no secmon data in {config.folder}; name the folder with --data-dir or --config")
    database = open_database(config)
    try:
        yield database
    finally:
        database.close()


def check_text(option: str, text: str, most: int) -> None:
    if len(text) > most or not text.isprintable():
        raise UsageError(f"{option}: at most {most} characters, none of them a control character")


def spoken(config: Config, ja: str, en: str) -> str:
    """What a person reads, in the office's language."""
    return ja if config.office.language == "ja" else en


def say_json(value: object) -> None:
    """For programs: instants as ISO 8601, UTC."""
    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def check_post(option: str, text: str, config: Config) -> str:
    """The name of a post, stripped. A person's name would be wrong with the next reshuffle."""
    post = text.strip()
    check_text(option, post, 100)
    if not post or "@" in post or post.endswith(("さん", "様", "氏")):
        raise UsageError(
            spoken(
                config,
                f"{option} には職名を書いてください（例：総務課長）。個人名やメールアドレスは書けません",
                f"{option}: name a post (e.g. 総務課長), not a person or a mail address",
            )
        )
    return post


def check_day(option: str, text: str, config: Config) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day of the calendar
    except ValueError:
        raise UsageError(
            spoken(
                config,
                f"{option} {text}：日付は 2027-03-31 のように書いてください",
                f"{option} {text}: a date is written like 2027-03-31",
            )
        ) from None
