"""A check: what is read, when it passes, why it matters, how to fix it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from secmon.evaluate.condition import Condition
from secmon.evaluate.model import Language, Severity, Status, Text
from secmon.evaluate.scope import Run


class Limit(Struct, frozen=True, kw_only=True):
    """A number that the office may set per zone."""

    default: int | float
    zones: Mapping[str, int | float] = {}
    strictest: Literal["min", "max"] = "min"
    """Which of the numbers holds for a machine without a zone."""

    def of(self, zone: str | None) -> int | float:
        if zone is None:
            values = (self.default, *self.zones.values())
            return min(values) if self.strictest == "min" else max(values)
        return self.zones.get(zone, self.default)


class Filter(Struct, frozen=True, kw_only=True, eq=False):
    """One `.filter(variable, …)` at the end of `items`; it is asked element by element, so that one element without an
    answer becomes one unknown item and hides no other."""

    variable: str
    run: Run


class Items(Struct, frozen=True, kw_only=True):
    """The list that a check is about."""

    condition: Condition
    """The whole text; decides equality and what is read."""
    base: Condition
    """What stands before the filters."""
    filters: tuple[Filter, ...]


class Check(Struct, frozen=True, kw_only=True):
    id: str
    area: str
    title: Text
    severity: Severity
    why: Text
    fix: Mapping[Language, tuple[str, ...]]
    """Up to three steps in each language, the first one first."""
    pass_: Condition
    applies: Condition | None = None
    items: Items | None = None
    key: Condition | None = None
    """Stable name of an item; present exactly when `items` is."""
    spared: Condition | None = None
    """About one item that fails: where this is known to hold, it passes all the same. What is not known spares nothing,
    so that what an older agent does not tell closes no finding."""
    requires_fresh: Condition | None = None
    evidence: Condition | None = None
    """A text of what was read; never of `now`. Without it, the fields that `pass` reads."""
    when_absent: Status = "unknown"
    """The answer where a section that it reads is `absent`."""
    limits: Mapping[str, Limit] = {}
    lists: Mapping[str, tuple[str, ...]] = {}
    """The lists that its conditions look things up in, by name."""
    reads: frozenset[str] = frozenset()
    """Sections that any of its conditions reads."""
    judged_sections: frozenset[str] = frozenset()
    """Sections that must be there for an answer: all of `reads` except those that only `applies` reads."""
    paths: frozenset[str] = frozenset()
    """Paths of the facts that decide, e.g. `patches.pending[].security`."""
    rests_on: frozenset[str] = frozenset()
    """Paths of all facts that any of its conditions reads, and its sections: while these stay as they are, and what is
    said of the machine and the clock too, its verdict does."""
    time_dependent: bool = False
    """`now` alone can change the answer (beyond staleness, to which every check that reads a section is subject)."""
    file: str = ""
    """Where it was read from."""
