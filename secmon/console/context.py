"""What the console is given to work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from litestar import Request
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from msgspec import Struct

from secmon.config import Config
from secmon.evaluate.model import Language
from secmon.store.database import Database

if TYPE_CHECKING:
    from secmon.evaluate.frameworks import Framework
    from secmon.evaluate.questions import Question
    from secmon.evaluate.ruleset import RuleSet
    from secmon.evaluate.threats import ThreatList

LANGUAGE_COOKIE = "secmon_language"


class RulesHolder(Protocol):
    """Holds the rules in force; they can be exchanged while the collector runs."""

    @property
    def current(self) -> RuleSet: ...


class Exposition(Protocol):
    def render(self, accept: str) -> tuple[bytes, str]:
        """The metrics and their content type, in the format that the `Accept` header asks for."""


class Guides(Protocol):
    """What the office answers to; exchanged with the rules."""

    @property
    def frameworks(self) -> Sequence[Framework]: ...
    @property
    def questions(self) -> Mapping[str, Question]: ...
    @property
    def threats(self) -> Sequence[ThreatList]: ...


class Console(Struct, frozen=True, kw_only=True):
    database: Database
    config: Config
    rules: RulesHolder
    guides: Callable[[], Guides]
    exposition: Exposition
    clock: Callable[[], datetime]
    trouble: Callable[[], str]
    """Why the rules on disk are not the ones in force; empty when they are."""


Given = NamedDependency[SkipValidation[Console]]
"""Type of a handler's parameter `console`."""
HttpRequest = Request[Any, Any, Any]


def language_of(request: HttpRequest, config: Config) -> Language:
    """The reader's choice, otherwise the office's language."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen == "ja":
        return "ja"
    return "en" if chosen == "en" else config.office.language
