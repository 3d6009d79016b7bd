"""What a rule set was, short enough to be kept: so that the next one can be held against it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from secmon.evaluate.adapt import Disabled, Profile
from secmon.evaluate.check import Check, Limit
from secmon.evaluate.model import Text
from secmon.evaluate.ruleset import RuleSet

Aspect = Literal["condition", "limits", "severity", "lists", "switched"]
"""What of a check is another: its conditions, its numbers, its severity, the lists it looks things up in, and whether
the office asks it."""


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A check as it was in force."""

    title: Text
    severity: str
    condition: str
    """Digest of its conditions, and of the answer where a section is absent."""
    limits: Mapping[str, Limit] = {}
    lists: str = ""
    """Digest of the lists that it looks things up in."""
    disabled: Disabled | None = None
    own: bool = False
    """The office wrote it."""


class Catalogue(Struct, frozen=True, kw_only=True, omit_defaults=True):
    version: str
    shipped: str
    """Version of what came with secmon."""
    checks: Mapping[str, Entry]
    profiles: Mapping[str, str] = {}
    """Digest of each, by id."""
    lifecycle: str = ""
    """Digest of the ends of support."""
    misfits: tuple[str, ...] = ()
    """What the office's rules said in vain: file, line, reason."""


class Change(Struct, frozen=True, kw_only=True):
    check: str
    title: Text
    aspects: tuple[Aspect, ...]
    details: tuple[str, ...] = ()
    """Severity and numbers: before → after."""


class Difference(Struct, frozen=True, kw_only=True):
    """What the second of two rule sets has otherwise."""

    old: str
    new: str
    shipped_changed: bool
    """Something else came with secmon: an upgrade. Otherwise the office changed its own rules."""
    added: Mapping[str, Text] = {}
    """Titles by check."""
    gone: Mapping[str, Text] = {}
    changed: tuple[Change, ...] = ()
    profiles: tuple[str, ...] = ()
    """That are new, gone or otherwise."""
    lifecycle: bool = False
    misfits: tuple[str, ...] = ()
    """All that fit nothing in the second one."""

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.gone or self.changed or self.profiles or self.lifecycle or self.misfits)


def catalogue_of(rules: RuleSet) -> Catalogue:
    return Catalogue(
        version=rules.version,
        shipped=rules.shipped,
        checks={id_: _entry(rules, check) for id_, check in rules.checks.items()},
        profiles={profile.id: _profile(profile) for profile in rules.profiles},
        lifecycle=_digest(msgspec.to_builtins(rules.lifecycle.products)),
        misfits=tuple(str(misfit) for misfit in rules.misfits),
    )


def _entry(rules: RuleSet, check: Check) -> Entry:
    override = rules.overrides.get(check.id)
    items = check.items.condition if check.items else None
    conditions = (check.applies, items, check.key, check.pass_, check.requires_fresh, check.evidence)
    return Entry(
        title=check.title,
        severity=check.severity,
        condition=_digest([*(each and " ".join(each.source.split()) for each in conditions), check.when_absent]),
        limits=check.limits,
        lists=_digest(check.lists) if check.lists else "",
        disabled=override.disabled if override is not None else None,
        own=check.id in rules.own,
    )


def _profile(profile: Profile) -> str:
    return _digest(msgspec.to_builtins(profile, order="deterministic"))


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:12]


def difference(old: Catalogue, new: Catalogue) -> Difference:
    both = sorted(old.checks.keys() & new.checks.keys())
    profiles = {
        id_ for id_ in old.profiles.keys() | new.profiles.keys() if old.profiles.get(id_) != new.profiles.get(id_)
    }
    return Difference(
        old=old.version,
        new=new.version,
        shipped_changed=old.shipped != new.shipped,
        added={id_: new.checks[id_].title for id_ in sorted(new.checks.keys() - old.checks.keys())},
        gone={id_: old.checks[id_].title for id_ in sorted(old.checks.keys() - new.checks.keys())},
        changed=tuple(change for id_ in both if (change := _change(id_, old.checks[id_], new.checks[id_])) is not None),
        profiles=tuple(sorted(profiles)),
        lifecycle=old.lifecycle != new.lifecycle,
        misfits=new.misfits,
    )


def _change(id_: str, old: Entry, new: Entry) -> Change | None:
    differs: Mapping[Aspect, bool] = {
        "condition": old.condition != new.condition,
        "limits": old.limits != new.limits,
        "severity": old.severity != new.severity,
        "lists": old.lists != new.lists,
        "switched": old.disabled != new.disabled,
    }
    aspects = tuple(aspect for aspect, is_other in differs.items() if is_other)
    if not aspects:
        return None
    return Change(check=id_, title=new.title, aspects=aspects, details=tuple(_details(old, new)))


def _details(old: Entry, new: Entry) -> Iterator[str]:
    if old.severity != new.severity:
        yield f"{old.severity} → {new.severity}"
    for name in sorted(old.limits.keys() | new.limits.keys()):
        before, after = _numbers(old.limits.get(name)), _numbers(new.limits.get(name))
        zones = [zone for zone in sorted(before.keys() | after.keys()) if before.get(zone) != after.get(zone)]
        for zone in sorted(zones, key=lambda zone: zone != "default"):
            yield f"{name} ({zone}): {before.get(zone, '-')} → {after.get(zone, '-')}"


def _numbers(limit: Limit | None) -> Mapping[str, int | float]:
    return {"default": limit.default, **limit.zones} if limit is not None else {}
