"""How an office adapts checks that it did not write: other limits, another severity, checks that it leaves out."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from secmon.evaluate.check import Check, Limit
from secmon.evaluate.model import Severity, Text

Lists = Mapping[str, tuple[str, ...]]
"""Entries by name, as conditions say it (`lists.generative_ai`)."""
Selector = Mapping[str, tuple[str, ...]]
"""Attribute (or `os`, `family`) → values of which the machine has one; every attribute must fit."""


class LimitChange(Struct, frozen=True, kw_only=True):
    """Other numbers for one limit of one check."""

    everywhere: int | float | None = None
    """One number for all zones; instead of `numbers`."""
    numbers: Mapping[str, int | float] = {}
    """By zone, or `default`; the others stay as they are."""

    def of(self, limit: Limit) -> Limit:
        if self.everywhere is not None:
            return Limit(default=self.everywhere, strictest=limit.strictest)
        zones = {zone: number for zone, number in self.numbers.items() if zone != "default"}
        return Limit(
            default=self.numbers.get("default", limit.default),
            zones={**limit.zones, **zones},
            strictest=limit.strictest,
        )


LimitChanges = Mapping[str, LimitChange]
"""By name of the limit."""


class Disabled(Struct, frozen=True, kw_only=True):
    """A check that the office does not ask, and why."""

    reason: str
    zones: tuple[str, ...] = ()
    """Only there; empty: in every zone."""
    profiles: tuple[str, ...] = ()
    """Only for machines of these profiles; empty: for all."""

    @property
    def is_everywhere(self) -> bool:
        return not self.zones and not self.profiles

    def holds_for(self, zone: str | None, profile: str | None) -> bool:
        return (not self.zones or zone in self.zones) and (not self.profiles or profile in self.profiles)


class Override(Struct, frozen=True, kw_only=True):
    """What the office changes of one check."""

    check: str
    limits: LimitChanges = {}
    severity: Severity | None = None
    disabled: Disabled | None = None
    reason: str = ""
    """Why, in the office's words."""


class Pick(Struct, frozen=True, kw_only=True):
    """Checks by what they have in common: one of the three is enough."""

    areas: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()
    checks: frozenset[str] = frozenset()

    def has(self, check: Check) -> bool:
        return check.id in self.checks or check.area in self.areas or check.severity in self.severities


class Profile(Struct, frozen=True, kw_only=True):
    """A kind of machine: which machines are of it, which checks it asks, and with what limits."""

    id: str
    title: Text
    hosts: tuple[Selector, ...]
    """One of them must fit."""
    include: Pick | None = None
    """None: every check."""
    exclude: Pick = Pick()
    limits: Mapping[str, LimitChanges] = {}
    """By check."""
    is_own: bool = False
    """The office wrote it."""

    def asks(self, check: Check) -> bool:
        return (self.include is None or self.include.has(check)) and not self.exclude.has(check)

    def fit(self, said: Mapping[str, str]) -> tuple[bool, int] | None:
        """How well it fits a machine of which this is said; None where it does not. More is better: the role, which is
        what the office calls the machine, goes first; then how much is named."""
        fits = [
            ("role" in selector, len(selector))
            for selector in self.hosts
            if all(said.get(name) in values for name, values in selector.items())
        ]
        return max(fits, default=None)


def best_fit(profiles: tuple[Profile, ...], said: Mapping[str, str]) -> Profile | None:
    """The profile that fits best; between equals the office's own, then the first by its id."""
    fits = [(*fit, profile.is_own, profile) for profile in profiles if (fit := profile.fit(said)) is not None]
    if not fits:
        return None
    return min(fits, key=lambda each: (not each[0], -each[1], not each[2], each[3].id))[3]


def adapted(check: Check, lists: Lists, override: Override | None, profile: Profile | None = None) -> Check:
    """The check as it was written, with the lists as they are and what the profile and the office change of it.

    The office goes before what was shipped, and its own profile, which says more of a machine, before its own override.
    """
    of_profile = profile.limits.get(check.id, {}) if profile is not None else {}
    of_office = override.limits if override is not None else {}
    is_own = profile is not None and profile.is_own
    limits = dict(check.limits)
    for changes in (of_office, of_profile) if is_own else (of_profile, of_office):
        for name, change in changes.items():
            limits[name] = change.of(limits[name])
    severity = override.severity if override is not None and override.severity else check.severity
    looked_up = {name: lists[name] for name in check.lists}
    if (limits, severity, looked_up) == (check.limits, check.severity, check.lists):
        return check
    return msgspec.structs.replace(check, limits=limits, severity=severity, lists=looked_up)


class Tailored(Struct, frozen=True, kw_only=True):
    """The checks as they are asked of one kind of machine in one zone."""

    profile: Profile | None
    checks: Mapping[str, Check]
    """All of them, by id."""
    left_out: Mapping[str, str]
    """Those that are not asked, with the reason."""
