"""What a mail says, before it is put into words: texts are already of one language, and free of surprises."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from secmon.evaluate.model import Language


class MachineCard(Struct, frozen=True, kw_only=True):
    """How people know a machine; empty where nobody said."""

    name: str
    asset_number: str = ""
    department: str = ""
    location: str = ""
    zone: str = ""


class Affected(Struct, frozen=True, kw_only=True):
    """A machine on which a check changed."""

    machine: MachineCard
    since: datetime
    due: datetime | None = None
    evidence: tuple[str, ...] = ()
    again: bool = False
    """The same problem was gone for less than a day."""
    lapsed: str = ""
    """Number of the exception or dispute that bore with it until its time was over."""
    failing: bool = True
    """How it stands after everything that happened."""


class Clause(Struct, frozen=True, kw_only=True):
    """Where a rule of the office asks for it."""

    framework: str
    control: str
    verified: bool


class Topic(Struct, frozen=True, kw_only=True):
    """A check and where it changed."""

    title: str
    severity: str
    why: str = ""
    steps: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    clauses: tuple[Clause, ...] = ()
    affected: tuple[Affected, ...] = ()

    @property
    def due(self) -> datetime | None:
        return min((each.due for each in self.affected if each.due is not None), default=None)

    @property
    def since(self) -> datetime:
        return min(each.since for each in self.affected)

    @property
    def spread(self) -> bool:
        """The machines changed at different times."""
        return len({each.since for each in self.affected}) > 1


class NewMachine(Struct, frozen=True, kw_only=True):
    """What the first look at a machine found."""

    machine: MachineCard
    high: int
    medium: int
    low: int
    unknown: int
    """Checks without an answer."""
    worst: tuple[str, ...] = ()
    """Titles of failing checks of high severity."""


class Change(Struct, frozen=True, kw_only=True):
    """What other rules did to a check's findings."""

    title: str
    opened: int
    resolved: int


class RulesNews(Struct, frozen=True, kw_only=True):
    """What the rules now in force have otherwise than those before them."""

    is_upgrade: bool
    """Other rules came with secmon; otherwise the office changed its own."""
    added: tuple[str, ...] = ()
    """Titles of checks."""
    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """Titles, with what of them is different."""
    misfits: tuple[str, ...] = ()
    """What the office's own rules say in vain: file, line, reason."""

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.gone or self.changed or self.misfits)


class Mail(Struct, frozen=True, kw_only=True):
    kind: Literal["problem", "recovery", "flapping", "new_machines", "rules"]
    language: Language
    office: str
    contact: str
    time_zone: ZoneInfo
    topics: tuple[Topic, ...] = ()
    """Of problem, recovery and flapping."""
    follows: bool = True
    """A mail will say that it is over."""
    newcomers: tuple[NewMachine, ...] = ()
    """Worst first."""
    ruleset: str = ""
    """Version of the rules now in force."""
    news: RulesNews | None = None
    """None where it is not known what the rules before were."""
    changes: tuple[Change, ...] = ()
