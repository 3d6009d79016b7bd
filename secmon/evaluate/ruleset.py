"""The rules as a whole: every check, the lifecycle data they look things up in, and a version that names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

import msgspec
from msgspec import Struct

from secmon.evaluate.adapt import Lists, Override, Profile, Tailored, adapted, best_fit
from secmon.evaluate.areas import AREAS
from secmon.evaluate.check import Check
from secmon.evaluate.examples import Example
from secmon.evaluate.folders import Folders
from secmon.evaluate.lifecycle import Lifecycle
from secmon.evaluate.mistakes import Mistake, RulesError
from secmon.evaluate.model import Machine, Severity
from secmon.evaluate.reading import Gathered, gather

__all__ = ["Mistake", "RuleSet", "RulesError", "load_examples", "load_rules"]

OS_SECTION = "os"
_TELLING = {"os": "id", "family": "family"}
"""Of a profile's selector, and the facts of that section that answer them."""


class RuleSet(Struct, frozen=True, kw_only=True, dict=True):
    version: str
    """Short hash of the content of everything that judgement rests on."""
    checks: Mapping[str, Check]
    """By id, in the order of ids; with what the office changed for all its machines."""
    lifecycle: Lifecycle
    areas: tuple[str, ...] = tuple(AREAS)
    shipped: str = ""
    """Short hash of what came with secmon alone."""
    written: Mapping[str, Check] = {}
    """The checks as they were written."""
    own: frozenset[str] = frozenset()
    """Ids of the checks that the office wrote."""
    overrides: Mapping[str, Override] = {}
    """By check; only those that fit."""
    profiles: tuple[Profile, ...] = ()
    """In the order of ids."""
    lists: Lists = {}
    """With what the office changed."""
    misfits: tuple[Mistake, ...] = ()
    """What the office's folder says about checks, limits and lists that there are not; it is set aside."""

    def touched(self, paths: Iterable[str]) -> frozenset[str]:
        """Ids of the checks whose answers rest on any of these facts (`os.build`) or whole sections (`os`), or that
        another system could leave out."""
        by_path = self._by_path
        return frozenset().union(*(by_path.get(path, frozenset()) for path in paths))

    def sections_of(self, checks: Iterable[str]) -> frozenset[str]:
        """The sections that these checks read, and the one that tells what is asked; unknown ids are passed over."""
        found = (self.checks[check].reads for check in checks if check in self.checks)
        return frozenset({OS_SECTION}).union(*found)

    @cached_property
    def severities(self) -> Mapping[str, Severity]:
        return {check.id: check.severity for check in self.checks.values()}

    @cached_property
    def time_dependent(self) -> frozenset[str]:
        """Ids of the checks whose answer `now` alone can change, staleness aside."""
        return frozenset(check.id for check in self.checks.values() if check.time_dependent)

    @cached_property
    def factless(self) -> frozenset[str]:
        """Ids of the checks that read no section, but only what is said of a machine."""
        return frozenset(check.id for check in self.checks.values() if not check.reads)

    def profile_of(self, attributes: Mapping[str, str], os_facts: Mapping[str, object] | None) -> Profile | None:
        """The profile of a machine of which the office says this and whose section `os` is that."""
        facts = os_facts or {}
        system = {name: facts.get(fact) for name, fact in _TELLING.items()}
        known = {name: value for name, value in system.items() if isinstance(value, str)}
        return best_fit(self.profiles, {**attributes, **known})

    def tailored(self, machine: Machine) -> Tailored:
        """The checks as they are asked of this machine."""
        state = machine.sections.get(OS_SECTION)
        profile = self.profile_of(machine.attributes, state.facts if state is not None else None)
        key = (profile.id if profile is not None else None, machine.zone if self._zoned else None)
        found = self._tailored.get(key)
        if found is None:
            found = self._tailored[key] = self._tailor(profile, machine.zone)
        return found

    def is_asked_nowhere(self, check: str) -> bool:
        """The office switched it off for all machines."""
        override = self.overrides.get(check)
        return override is not None and override.disabled is not None and override.disabled.is_everywhere

    def with_checks(self, version: str, checks: Mapping[str, Check]) -> RuleSet:
        """The same office's rules with these checks in the place of those with the same ids, or beside the others."""
        written = dict(sorted({**self.written, **checks}.items()))
        return msgspec.structs.replace(
            self,
            version=version,
            written=written,
            checks={id_: adapted(check, self.lists, self.overrides.get(id_)) for id_, check in written.items()},
        )

    def _tailor(self, profile: Profile | None, zone: str | None) -> Tailored:
        left_out: dict[str, str] = {}
        for id_, check in self.checks.items():
            override = self.overrides.get(id_)
            off = override.disabled if override is not None else None
            if off is not None and off.holds_for(zone, profile.id if profile is not None else None):
                left_out[id_] = f"switched off by the office: {off.reason}"
            elif profile is not None and not profile.asks(check):
                left_out[id_] = f"not asked by the profile {profile.id}"
        if profile is None:
            return Tailored(profile=None, checks=self.checks, left_out=left_out)
        written = self.written
        changed = {
            id_: adapted(written[id_], self.lists, self.overrides.get(id_), profile)
            for id_ in profile.limits
            if id_ in written
        }
        return Tailored(profile=profile, checks={**self.checks, **changed}, left_out=left_out)

    @cached_property
    def _tailored(self) -> dict[tuple[str | None, str | None], Tailored]:
        """Made once for each profile, and for each zone where zones matter."""
        return {}

    @cached_property
    def _zoned(self) -> bool:
        return any(each.disabled is not None and each.disabled.zones for each in self.overrides.values())

    @cached_property
    def _by_path(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for check in self.checks.values():
            for path in check.rests_on:
                found.setdefault(path, set()).add(check.id)
        for path in (OS_SECTION, *(f"{OS_SECTION}.{name}" for name in _TELLING.values())):
            found.setdefault(path, set()).update(self._told_apart)
        return {path: frozenset(checks) for path, checks in found.items()}

    @cached_property
    def _told_apart(self) -> frozenset[str]:
        """Checks that are not asked of every machine in the same way: another profile is another answer."""
        by_profile = {id_ for profile in self.profiles for id_ in profile.limits}
        by_profile |= {
            id_ for profile in self.profiles for id_, check in self.checks.items() if not profile.asks(check)
        }
        disabled = {id_ for id_, each in self.overrides.items() if each.disabled is not None and each.disabled.profiles}
        return frozenset(by_profile | disabled) & self.checks.keys()


def load_rules(folder: Path, site: Path | None = None) -> RuleSet:
    """The rules in `folder` with the office's own in `site`; raises RulesError with every mistake."""
    return _assembled(gather(Folders(folder, site)))


def load_examples(folder: Path, site: Path | None = None) -> tuple[RuleSet, Mapping[str, tuple[Example, ...]]]:
    """The rules with the examples of each check, which judging itself has no use for."""
    gathered = gather(Folders(folder, site))
    return _assembled(gathered), gathered.examples


def _assembled(gathered: Gathered) -> RuleSet:
    return RuleSet(
        version=gathered.version,
        shipped=gathered.shipped,
        checks={
            id_: adapted(check, gathered.lists, gathered.overrides.get(id_)) for id_, check in gathered.written.items()
        },
        written=gathered.written,
        own=gathered.own,
        lifecycle=Lifecycle(products=gathered.products),
        overrides=gathered.overrides,
        profiles=gathered.profiles,
        lists=gathered.lists,
        misfits=gathered.misfits,
    )
