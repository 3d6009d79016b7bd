"""The rules in force: loaded together, replaced together, and never by something broken."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct

from secmon.alerts.model import AlertRule
from secmon.alerts.rules import load_alert_rules
from secmon.errors import UsageError
from secmon.evaluate.frameworks import Articles, Framework, load_frameworks, with_articles
from secmon.evaluate.mistakes import RulesError
from secmon.evaluate.questions import Question, load_questions
from secmon.evaluate.ruleset import RuleSet, load_rules
from secmon.evaluate.threats import ThreatList, load_threats

log = logging.getLogger(__name__)


class Rules(Struct, frozen=True, kw_only=True):
    """One reading of a rules folder."""

    checks: RuleSet
    frameworks: tuple[Framework, ...]
    alerts: tuple[AlertRule, ...]
    questions: Mapping[str, Question]
    threats: tuple[ThreatList, ...]


def read(folder: Path, articles: Articles = MappingProxyType({})) -> Rules:
    """Raises RulesError with every mistake; an article of a control that is not there is one."""
    checks = load_rules(folder)
    return Rules(
        checks=checks,
        frameworks=with_articles(load_frameworks(folder, checks), articles),
        alerts=load_alert_rules(folder),
        questions=load_questions(folder),
        threats=load_threats(folder, checks),
    )


class Rulebook:
    """Holds the last good rules of a folder. `trouble` says why newer ones were not taken; empty when all is well."""

    def __init__(self, folder: Path, articles: Articles = MappingProxyType({})) -> None:
        """`articles`: as `Config.articles`. Raises UsageError with file, line and reason of the first mistake."""
        self._folder = folder
        self._articles = articles
        self._seen = _fingerprint(folder)
        try:
            self.rules = read(folder, articles)
        except RulesError as error:
            raise UsageError(_first(error)) from None
        self.trouble = ""

    @property
    def current(self) -> RuleSet:
        return self.rules.checks

    def reload(self) -> bool:
        """Take the folder's rules when its files changed; True when other checks are in force than before.

        Broken rules are not taken: the last good ones stay, and the log and `trouble` say so.
        """
        seen = _fingerprint(self._folder)
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            fresh = read(self._folder, self._articles)
        except RulesError as error:
            self.trouble = _first(error)
            log.error("the changed rules are not taken, the last good ones stay: %s", self.trouble)  # noqa: TRY400
            return False
        self.trouble = ""
        changed = fresh.checks.version != self.rules.checks.version
        self.rules = fresh
        log.info("rules %s are in force (%d checks)", fresh.checks.version, len(fresh.checks.checks))
        return changed


def _first(error: RulesError) -> str:
    first = error.mistakes[0]
    more = f" (and {len(error.mistakes) - 1} more; see `secmon rules check`)" if len(error.mistakes) > 1 else ""
    return f"{first.file}:{first.line}: {first.reason}{more}"


def _fingerprint(folder: Path) -> frozenset[tuple[str, int, int]]:
    found = set()
    for file in folder.rglob("*.yaml"):
        try:
            stat = file.stat()
        except FileNotFoundError:
            continue
        found.add((str(file), stat.st_mtime_ns, stat.st_size))
    return frozenset(found)
