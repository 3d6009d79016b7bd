"""Conditions of rules, as nftables and iptables both know them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final, Literal

from secmon_agent.probes.filter_model import Answer, Condition, Knock
from secmon_agent.probes.filter_sources import ANYBODY, EVERY_BIT, MULTICAST, Family, Sources, both, sources, without

_SYN: Final = {"syn": True, "fin": False, "rst": False, "ack": False, "urg": False, "psh": False}
"""Flags of the first packet of a connection; those of congestion control may be either."""
_PKTTYPES: Final = {"host": "host", "unicast": "host", "multicast": "multicast", "broadcast": "broadcast"}
_DESTINATIONS: Final = {"local": "host", "multicast": "multicast", "broadcast": "broadcast"}
_BROADCAST: Final[Sources] = (*ANYBODY[4], (0xFFFFFFFF, 0xFFFFFFFF))


def never(_: Knock) -> Answer:
    return False


def maybe(_: Knock) -> Answer:
    return None


def opposite(condition: Condition) -> Condition:
    def turned(knock: Knock) -> Answer:
        answer = condition(knock)
        if isinstance(answer, tuple):
            return without(EVERY_BIT[knock.family], answer)
        return None if answer is None else not answer

    return turned


def protocol(names: Collection[str]) -> Condition:
    return lambda knock: knock.protocol in names


def family(of: Collection[Family]) -> Condition:
    return lambda knock: knock.family in of


def port(ranges: Iterable[tuple[int, int]]) -> Condition:
    known = sources(ranges)
    return lambda knock: any(first <= knock.port <= last for first, last in known)


def interface(names: Collection[str]) -> Condition:
    return lambda knock: any(named(knock.interface, name) for name in names)


def named(interface: str, pattern: str) -> bool:
    return interface.startswith(pattern[:-1]) if pattern.endswith("*") else interface == pattern


def source(of: Family, ranges: Iterable[tuple[int, int]]) -> Condition:
    known = sources(ranges)
    return lambda knock: known if knock.family == of else False


def destination(of: Family, ranges: Iterable[tuple[int, int]]) -> Condition:
    known = sources(ranges)

    def answer(knock: Knock) -> Answer:
        if knock.family != of:
            return False
        if knock.address is not None:
            return any(first <= knock.address <= last for first, last in known)
        here = _here(knock)
        inside = both(here, known)
        return True if inside == here else None if inside else False

    return answer


def _here(knock: Knock) -> Sources:
    """Where a packet of this kind may be sent to."""
    if knock.target == "multicast":
        return MULTICAST[knock.family]
    return _BROADCAST if knock.target == "broadcast" else ANYBODY[knock.family]


def state(names: Collection[str]) -> Condition:
    """Of connection tracking: a first packet is `new`."""
    return lambda _: "new" in names


def redirected(knock: Knock) -> Answer:
    """Connection tracking remembers that the packet was sent to another address or port."""
    return None if knock.redirected else False


def packet_type(names: Collection[str]) -> Condition:
    return _kinds(names, _PKTTYPES)


def destination_type(names: Collection[str]) -> Condition:
    return _kinds(names, _DESTINATIONS)


def _kinds(names: Collection[str], known: Mapping[str, str]) -> Condition:
    kinds = {known.get(name.lower()) for name in names}
    return lambda knock: True if knock.target in kinds else None if None in kinds else False


def tcp_flags(mask: Collection[str], wanted: Collection[str], kind: Literal["equal", "any"] = "equal") -> Condition:
    """Of the flags in `mask` just the `wanted` ones are set; or, for `any`, one of them at least."""

    def answer(knock: Knock) -> Answer:
        if knock.protocol != "tcp":
            return False
        if not _SYN.keys() >= {*mask, *wanted}:
            return None
        if kind == "any":
            return any(_SYN[flag] for flag in wanted)
        return all(_SYN[flag] is (flag in wanted) for flag in mask) and set(wanted) <= set(mask)

    return answer
