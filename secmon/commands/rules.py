"""Which rules were in force, and what is otherwise now."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from secmon.commands.common import opened, say, say_json, spoken
from secmon.config import Config
from secmon.errors import Failure, UsageError
from secmon.evaluate.catalogue import Catalogue, catalogue_of, difference
from secmon.rulebook import open_rulebook
from secmon.rules_news import told
from secmon.store.rulesets import InForce, history


def rules_changes(options: Namespace, config: Config) -> int:
    """The rules on disk against those that were in force before them, or against a version that is named."""
    now = catalogue_of(open_rulebook(config).current)
    with opened(config) as database, database.read() as connection:
        known = history(connection)
    found = difference(_before(known, now, options.since, config), now)
    if options.json:
        say_json(found)
        return 0
    for line in told(found, config.office.language):
        say(line)
    return 0


def _before(known: Sequence[InForce], now: Catalogue, since: str | None, config: Config) -> Catalogue:
    if since is None:
        before = next((each for each in known if each.version != now.version), None)
        if before is None:
            raise Failure(spoken(config, "前の判定基準の記録がありません", "no other rules were in force before"))
    else:
        before = next((each for each in known if each.version == since), None)
        if before is None:
            raise UsageError(f"--since {since}: no such rules were in force; see `secmon rules history`")
    if before.catalogue is None:
        raise Failure(
            spoken(
                config,
                f"判定基準 {before.version} の内容は保存されていません",
                f"what the rules {before.version} were is not kept",
            )
        )
    return before.catalogue


def rules_history(options: Namespace, config: Config) -> int:
    """The newest first."""
    with opened(config) as database, database.read() as connection:
        known = history(connection)
    if options.json:
        say_json([{"version": each.version, "since": each.loaded_at, "checks": each.checks} for each in known])
        return 0
    for each in known:
        shipped = each.catalogue.shipped if each.catalogue is not None else "?"
        count = spoken(config, f"{each.checks} 項目", f"{each.checks} checks")
        origin = spoken(config, f"付属の基準 {shipped}", f"shipped {shipped}")
        say(f"{each.loaded_at.astimezone(config.tz):%Y-%m-%d %H:%M}  {each.version}  {count}  {origin}")
    return 0
