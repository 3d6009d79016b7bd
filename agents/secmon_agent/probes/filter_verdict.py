"""What a packet filter does with somebody who knocks at a port.

Pure, and sure: rules are followed with all sources at once. Where nobody can tell whether a condition holds, both ways
are followed, and what the two do not agree about is left open.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Sequence
from typing import Final, Literal

from msgspec import Struct

from secmon_agent.probes.filter_match import named
from secmon_agent.probes.filter_model import Chain, Knock, Rule, Ruleset, Table, Target
from secmon_agent.probes.filter_sources import ANYBODY, NOBODY, Family, Sources, both, count, union, without

Verdict = Literal["allowed", "restricted", "blocked"]

_MAX_DEPTH: Final = 16
_MAX_STEPS: Final = 20_000
"""Rules looked at for one knock; a rule set that needs more is left open."""


class Door(Struct, frozen=True, kw_only=True):
    """A socket that others may knock at."""

    protocol: Literal["tcp", "udp"]
    address: str
    port: int
    dual: bool = False
    """Bound to `::`, it may take IPv4 too."""


class Fate(Struct, frozen=True, kw_only=True):
    """What becomes of a knock, by where it comes from."""

    surely: Sources
    """Comes in."""
    possibly: Sources
    """Comes in, as far as anybody can tell; the others surely do not."""


class TooLongError(Exception):
    pass


def verdict(rules: Ruleset, door: Door, interfaces: Collection[str]) -> Verdict | None:
    """None: cannot be told. `interfaces`: those of `ways_in`."""
    if rules.opaque:
        return None
    bound = ipaddress.ip_address(door.address)
    if isinstance(bound, ipaddress.IPv6Address) and bound.ipv4_mapped:
        bound = bound.ipv4_mapped
    family: Family = 4 if bound.version == 4 else 6
    address = None if bound.is_unspecified else int(bound)
    try:
        found = _of_family(rules, door, family, address, interfaces)
        if door.dual and found != _of_family(rules, door, 4, address, interfaces):
            return None
    except TooLongError:
        return None
    return found


def ways_in(rules: Ruleset, present: Iterable[str]) -> tuple[str, ...]:
    """Interfaces that stand for all: of those that the rules do not tell apart, one."""
    mentioned = sorted({name for table in rules.tables for name in table.interfaces})
    named_ = (name[:-1] + "~" if name.endswith("*") else name for name in mentioned)  # no other rule names that one
    names = [name for name in (*sorted(present), *named_) if name not in ("lo", "")] or ["eth0"]
    alike = {tuple(named(name, it) for it in mentioned): name for name in reversed(names)}
    return tuple(alike.values())


def _of_family(
    rules: Ruleset, door: Door, family: Family, address: int | None, interfaces: Collection[str]
) -> Verdict | None:
    redirected = any(first <= door.port <= last for table in rules.tables for first, last in table.redirected_to)

    def of(target: Target, interface: str) -> Verdict | None:
        knock = Knock(
            protocol=door.protocol,
            port=door.port,
            family=family,
            interface=interface,
            target=target,
            address=address,
            redirected=redirected,
        )
        return _summed(fate(rules.tables, knock), family)

    kinds = _targets(door, family, address)
    return _together([_of_kinds([of(kind, interface) for kind in kinds], address) for interface in interfaces])


def _targets(door: Door, family: Family, address: int | None) -> tuple[Target, ...]:
    if door.protocol == "tcp":
        return ("host",)
    if address is not None and ipaddress.ip_address(door.address).is_multicast:
        return ("multicast",)
    broadcast: tuple[Target, ...] = ("broadcast",) if family == 4 else ()
    return ("host", *broadcast) if address is not None else ("host", "multicast", *broadcast)


def _of_kinds(found: Sequence[Verdict | None], address: int | None) -> Verdict | None:
    """Where packets to the machine's own address come in, those to a group do not matter; of a bound address nobody
    knows here whether it is one of either."""
    return found[0] if found[0] == "allowed" and address is None else _together(found)


def _together(found: Sequence[Verdict | None]) -> Verdict | None:
    if None in found:
        return None
    return found[0] if len(set(found)) == 1 else "restricted"


def _summed(found: Fate, family: Family) -> Verdict | None:
    anybody = count(ANYBODY[family])
    if not found.possibly:
        return "blocked"
    if count(found.surely) * 2 > anybody:
        return "allowed"
    return "restricted" if found.surely and count(found.possibly) * 2 <= anybody else None


def fate(tables: Sequence[Table], knock: Knock) -> Fate:
    """Through all tables; those of another family than the packet's say nothing. Raises TooLongError."""
    hooked = [
        (chain.order, table, chain)
        for table in tables
        if knock.family in table.families
        for chain in table.chains.values()
        if chain.order is not None
    ]
    live, dropped, unknown = ANYBODY[knock.family], NOBODY, NOBODY
    for _, table, chain in sorted(hooked, key=lambda it: it[0]):
        walk = _Walk(table, knock)
        end = walk.follow(chain, live, 0)
        live = walk.accepted if chain.drops else union(walk.accepted, end)
        dropped = union(union(dropped, walk.dropped), end if chain.drops else NOBODY)
        unknown = union(unknown, walk.unknown)
    return Fate(surely=without(without(live, dropped), unknown), possibly=union(live, unknown))


class _Walk:
    """Through the chains of one table. The three sets hold the sources of which each *may* be true."""

    def __init__(self, table: Table, knock: Knock) -> None:
        self._chains = table.chains
        self._knock = knock
        self._steps = 0
        self.accepted = self.dropped = self.unknown = NOBODY

    def follow(self, chain: Chain, live: Sources, depth: int) -> Sources:
        """The sources that may come to the end of the chain, or return from it."""
        back = NOBODY
        for rule in chain.rules:
            self._steps += 1
            if self._steps > _MAX_STEPS or depth > _MAX_DEPTH:
                raise TooLongError
            if rule.action == "none":
                continue
            caught, sure = _caught(rule, self._knock, live)
            if not caught:
                continue
            on = self._act(rule, caught, depth)
            if rule.action in ("return", "goto"):
                back, on = union(back, on), NOBODY
            live = union(without(live, caught), on) if sure else live
            if not live:
                break
        return union(back, live)

    def _act(self, rule: Rule, caught: Sources, depth: int) -> Sources:
        """The sources that the rule may leave undecided."""
        if rule.action == "accept":
            self.accepted = union(self.accepted, caught)
        elif rule.action == "drop":
            self.dropped = union(self.dropped, caught)
        elif rule.action == "return":
            return caught
        elif rule.action in ("jump", "goto") and rule.chain in self._chains:
            return self.follow(self._chains[rule.chain], caught, depth + 1)
        else:
            self.unknown = union(self.unknown, caught)
            return caught
        return NOBODY


def _caught(rule: Rule, knock: Knock, live: Sources) -> tuple[Sources, bool]:
    """The sources for which all conditions may hold, and whether they surely do."""
    sure = True
    for condition in rule.conditions:
        answer = condition(knock)
        if answer is False:
            return NOBODY, True
        if answer is None:
            sure = False
        elif isinstance(answer, tuple):
            live = both(live, answer)
            if not live:
                return NOBODY, True
    return live, sure
