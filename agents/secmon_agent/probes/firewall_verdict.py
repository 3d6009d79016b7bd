"""What the Windows firewall does with somebody who knocks at a port, in one kind of network. Pure, and sure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from secmon_agent.probes.filter_sources import ANYBODY, NOBODY, Family, Sources, both, count, union
from secmon_agent.probes.filter_verdict import Verdict
from secmon_agent.probes.firewall_match import WindowsDoor, speaks_of
from secmon_agent.probes.firewall_rule import Profile, WindowsRule


class ProfileRules(Struct, frozen=True, kw_only=True):
    """What holds in one kind of network; None where it cannot be told."""

    name: Profile
    enabled: bool | None
    inbound: Literal["block", "allow"] | None
    """What becomes of those whom no rule mentions."""
    shielded: bool | None
    """Nobody comes in, whatever the rules say."""
    rules: tuple[WindowsRule, ...]
    """Of all places that count here."""


class _Found(Struct, frozen=True, kw_only=True):
    """A rule that speaks of the port, surely or perhaps."""

    action: Literal["allow", "block", "bypass"]
    sure: bool
    ranges: Sources
    few: bool
    known: bool

    def wide(self, family: Family) -> bool:
        """It may be about most addresses."""
        return not self.known or count(self.ranges) * 2 > count(ANYBODY[family])


def verdict(profile: ProfileRules, door: WindowsDoor, family: Family) -> Verdict | None:
    if profile.enabled is None:
        return None
    if not profile.enabled:
        return "allowed"
    if profile.shielded is not False or profile.inbound is None:
        return "blocked" if profile.shielded else None
    found = list(_speaking(profile, door, family))
    blocks = [it for it in found if it.action == "block"]
    if any(it.action == "bypass" for it in found):
        return None
    if any(it.sure and it.ranges == ANYBODY[family] for it in blocks):
        return "blocked"
    if profile.inbound == "allow":
        return None if any(it.wide(family) for it in blocks) else "allowed"
    return _by_allows([it for it in found if it.action == "allow"], blocks, family)


def _by_allows(allows: Sequence[_Found], blocks: Sequence[_Found], family: Family) -> Verdict | None:
    if not allows:
        return "blocked"
    if any(it.wide(family) for it in blocks):
        return None
    if any(it.sure and it.known and it.wide(family) for it in allows):
        return "allowed"
    together = NOBODY
    for it in allows:
        together = union(together, it.ranges)
    few = all(it.known for it in allows) and count(together) * 2 <= count(ANYBODY[family])
    return "restricted" if few and not blocks and any(it.sure for it in allows) else None


def _speaking(profile: ProfileRules, door: WindowsDoor, family: Family) -> Iterable[_Found]:
    for rule in profile.rules:
        answer = speaks_of(rule, door)
        remote = None if rule.remote is None else rule.remote.get(family)
        if answer is False or (rule.remote is not None and remote is None):
            continue
        ranges = ANYBODY[family] if remote is None else both(remote.ranges, ANYBODY[family])
        few, known = (False, True) if remote is None else (remote.few, remote.known)
        if ranges or few or not known:
            yield _Found(action=rule.action, sure=answer is True, ranges=ranges, few=few, known=known)
