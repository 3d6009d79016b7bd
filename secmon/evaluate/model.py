"""The nouns of judgement: what goes in (a machine's sections) and what comes out (verdicts)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct

Status = Literal["pass", "fail", "unknown", "not_applicable"]
Standing = Literal["pass", "fail", "unknown", "excepted", "not_applicable"]
"""An answer as it counts: one whose every failing item is excepted is `excepted`."""
Severity = Literal["high", "medium", "low"]
Language = Literal["ja", "en"]

WORST_FIRST: tuple[Status, ...] = ("fail", "unknown", "pass", "not_applicable")
STANDINGS: tuple[Standing, ...] = ("fail", "unknown", "excepted", "pass", "not_applicable")
"""Worst first."""
SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low")
STALE = "stale"
"""The reason of an `unknown` that rests on facts older than the zone's limit."""


class Text(Struct, frozen=True, kw_only=True):
    """What a person reads, in both languages."""

    ja: str
    en: str

    def of(self, language: Language) -> str:
        return self.ja if language == "ja" else self.en


class SectionState(Struct, frozen=True, kw_only=True):
    """What is known of one section of one machine."""

    status: str
    """Of the wire (`ok`, `absent`, `denied`, …), or `undecodable`: stored, but of a shape this version cannot read."""
    reason: str = ""
    facts: Mapping[str, object] | None = None
    """Builtin values with undetermined fields left out and instants as aware datetimes; None unless `ok`."""


class Machine(Struct, frozen=True, kw_only=True):
    """Everything that judging one machine may look at. A section that was never reported is missing from `sections`."""

    sections: Mapping[str, SectionState]
    observed_at: datetime | None = None
    """When these facts were last known to be true; None when the machine never reported."""
    zone: str | None = None
    """None: the machine has no zone; it gets the strictest limits, and a finding that says so."""
    attributes: Mapping[str, str] = {}
    """`zone`, `department`, `role`, …, as the office gave them; only those that are given."""
    stale_after_s: float = 14 * 86_400.0
    """The zone's limit of freshness."""
    networks: tuple[tuple[str, str], ...] = ()
    """Each network of the office (CIDR) and the id of its zone."""


class Item(Struct, frozen=True, kw_only=True):
    """One element of a check's list (a package, a port). Only what fails or is unknown is kept."""

    key: str
    """Stable name of the element within the check, e.g. `tcp/5432`; one finding each."""
    status: Status
    evidence: str = ""
    reason: str = ""


class Verdict(Struct, frozen=True, kw_only=True):
    """The answer of one check for one machine."""

    check: str
    status: Status
    reason: str = ""
    """Why it is `unknown` or `not_applicable`; names the path that could not be read. English, stable, short."""
    evidence: str = ""
    """What was read, as a short text free of personal data."""
    items: tuple[Item, ...] = ()
