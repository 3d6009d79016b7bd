"""Trying rules over what is stored, and saying why an answer is what it is. Nothing here changes anything."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from secmon.app import now_utc
from secmon.commands.common import note, opened, say
from secmon.config import Config
from secmon.errors import Failure, UsageError
from secmon.evaluate.ruleset import RuleSet
from secmon.judging import load_machine
from secmon.ledger.gaps import GAPS
from secmon.rulebook import rules_folders
from secmon.store.exceptions import register
from secmon.store.hosts import find_host
from secmon.store.schema import hosts
from secmon.whatif.compare import Change, changes, differing
from secmon.whatif.explain import explain, told
from secmon.whatif.machines import Stored, stored_machines
from secmon.whatif.tell import report
from secmon.whatif.trial import is_site, laid_over, read_rules

QUIET_S = 2.0
"""Whoever waits longer is told how far it is, as often."""


class _Comparison(Struct, frozen=True, kw_only=True):
    format: str
    rules: Mapping[str, str]
    machines: int
    checks_compared: int
    changes: tuple[Change, ...]


def rules_diff(options: Namespace, config: Config) -> int:
    old, new = read_rules(Path(options.old)), read_rules(Path(options.new))
    return _compare(old, new, options, config)


def rules_try(options: Namespace, config: Config) -> int:
    folders, path = rules_folders(config), Path(options.file)
    old = read_rules(*folders)
    new = read_rules(folders.shipped, path) if is_site(path) else laid_over(old, path)
    for misfit in new.misfits:
        note(f"set aside: {misfit}")
    return _compare(old, new, options, config)


def _compare(old: RuleSet, new: RuleSet, options: Namespace, config: Config) -> int:
    now, checks = now_utc(), differing(old, new)
    found: list[Change] = []
    machines = 0
    with opened(config) as database:
        with database.read() as connection:
            held = register(connection, now)
        for stored in stored_machines(database, config, _Progress()):
            machines += 1
            found += changes(stored, old, new, checks, now, held)
    if options.json:
        comparison = _Comparison(
            format="secmon.rules-diff.v1",
            rules={"old": old.version, "new": new.version},
            machines=machines,
            checks_compared=len(checks),
            changes=tuple(found),
        )
        _write(comparison)
        return 0
    for line in report(found, old, new, machines, config.office.language):
        say(line)
    return 0


def rules_explain(options: Namespace, config: Config) -> int:
    rules = read_rules(*rules_folders(config))
    if options.check in GAPS:
        raise UsageError(f"{options.check} is about rows of the ledger, no machine; see `secmon ledger compare`")
    if options.check not in rules.checks:
        raise UsageError(
            f"there is no check {options.check!r}; `secmon rules check` counts them, rules/checks has them"
        )
    with opened(config) as database, database.read() as connection:
        host_id = find_host(connection, options.host)
        if host_id is None:
            raise Failure(f"there is no host {options.host!r}; see `secmon host list`")
        now = now_utc()
        held = register(connection, now)
        name = connection.execute(hosts.select().where(hosts.c.host_id == host_id)).one().name
        stored = Stored(host_id=host_id, name=name, machine=load_machine(connection, config, host_id))
    explanation = explain(options.check, stored, now, rules, held, config.tz)
    if options.json:
        _write(explanation)
        return 0
    for line in told(explanation, config.office.language, config.tz):
        say(line)
    return 0


def _write(value: Struct) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


class _Progress:
    """Says how far it is, once it takes longer than a person waits without a word."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() - self._last >= QUIET_S:
            self._last = time.monotonic()
            note(f"{done} of {of} machines")
