"""The rules in force: loaded together, replaced together, and never by something broken."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct

from secmon.alerts.model import AlertRule
from secmon.alerts.rules import load_alert_rules
from secmon.config import Config
from secmon.errors import UsageError
from secmon.evaluate.adapt import LimitChange
from secmon.evaluate.folders import Folders, fingerprint
from secmon.evaluate.frameworks import Articles, Framework, load_frameworks, with_articles
from secmon.evaluate.mistakes import Mistake, RulesError
from secmon.evaluate.questions import Question, load_questions
from secmon.evaluate.ruleset import RuleSet, load_rules
from secmon.evaluate.threats import ThreatList, load_threats
from secmon.resources import rules_dir

log = logging.getLogger(__name__)


class Rules(Struct, frozen=True, kw_only=True):
    """One reading of the rules folders."""

    checks: RuleSet
    frameworks: tuple[Framework, ...]
    alerts: tuple[AlertRule, ...]
    questions: Mapping[str, Question]
    threats: tuple[ThreatList, ...]


def rules_folders(config: Config) -> Folders:
    """The folders that rules come from, by the settings. Raises UsageError where the office's own cannot be meant."""
    shipped = Path(config.rules.folder) if config.rules.folder else rules_dir()
    if not config.rules.site:
        site = config.folder / "rules"
        return Folders(shipped, None if site.resolve() == shipped.resolve() else site)
    site = Path(config.rules.site)
    if not site.is_dir():
        raise UsageError(f"rules.site: {site} is no folder; make it, or take the setting out")
    if site.resolve() == shipped.resolve():
        raise UsageError(f"rules.site: {site} holds the shipped rules; the office's own go into a folder of their own")
    return Folders(shipped, site)


def open_rulebook(config: Config) -> Rulebook:
    """The rules that the settings name. Raises UsageError with file, line and reason of the first mistake."""
    return Rulebook(*rules_folders(config), articles=config.articles)


def read(folders: Folders, articles: Articles = MappingProxyType({})) -> Rules:
    """Raises RulesError with every mistake; an article of a control that is not there is one."""
    checks = load_rules(*folders)
    return Rules(
        checks=checks,
        frameworks=with_articles(load_frameworks(folders.shipped, checks), articles),
        alerts=load_alert_rules(folders.shipped),
        questions=load_questions(*folders),
        threats=load_threats(folders.shipped, checks),
    )


class Rulebook:
    """Holds the last good rules. `trouble` says why newer ones were not taken; empty when all is well."""

    def __init__(self, folder: Path, site: Path | None = None, *, articles: Articles = MappingProxyType({})) -> None:
        """`articles`: as `Config.articles`. Raises UsageError with file, line and reason of the first mistake."""
        self._folders = Folders(folder, site)
        self._articles = articles
        self._seen = fingerprint(self._folders)
        try:
            self.rules = read(self._folders, articles)
        except RulesError as error:
            raise UsageError(_first(error)) from None
        self.trouble = ""
        _tell_misfits(self.current)

    @property
    def current(self) -> RuleSet:
        return self.rules.checks

    def reload(self) -> bool:
        """Take the folders' rules when their files changed; True when other checks are in force than before.

        Broken rules are not taken: the last good ones stay, and the log and `trouble` say so.
        """
        seen = fingerprint(self._folders)
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            fresh = self._read_again()
        except RulesError as error:
            self.trouble = _first(error)
            log.error("the changed rules are not taken, the last good ones stay: %s", self.trouble)  # noqa: TRY400
            return False
        self.trouble = ""
        changed = fresh.checks.version != self.rules.checks.version
        self.rules = fresh
        log.info("rules %s are in force (%d checks)", fresh.checks.version, len(fresh.checks.checks))
        _tell_misfits(fresh.checks)
        return changed

    def _read_again(self) -> Rules:
        """A folder of the office that was there and is gone (a share that is not mounted) is no decision of anybody."""
        site = self._folders.site
        if site is not None and self.current.version != self.current.shipped and not site.is_dir():
            reason = "the office's own rules are gone; to do without them, leave the folder there and empty"
            raise RulesError([Mistake(file=str(site), line=1, reason=reason)])
        return read(self._folders, self._articles)


def _first(error: RulesError) -> str:
    first = error.mistakes[0]
    more = f" (and {len(error.mistakes) - 1} more; see `secmon rules check`)" if len(error.mistakes) > 1 else ""
    return f"{first.file}:{first.line}: {first.reason}{more}"


def _tell_misfits(rules: RuleSet) -> None:
    for misfit in rules.misfits:
        log.warning("the office's own rules: %s", misfit)


def strange_zones(rules: RuleSet, config: Config) -> list[str]:
    """Zones that the office's own rules name and the settings do not; what is said of them never holds."""
    named = {zone for override in rules.overrides.values() for zone in _zones(override.limits.values())}
    for override in rules.overrides.values():
        named |= set(override.disabled.zones) if override.disabled is not None else set()
    for profile in rules.profiles:
        if profile.is_own:
            named |= {zone for selector in profile.hosts for zone in selector.get("zone", ())}
            named |= {zone for changes in profile.limits.values() for zone in _zones(changes.values())}
    return sorted(named - {zone.id for zone in config.zones})


def _zones(changes: Iterable[LimitChange]) -> set[str]:
    return {zone for change in changes for zone in change.numbers} - {"default"}
