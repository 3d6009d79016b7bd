"""A packet filter's rules, whoever wrote them, and the one who knocks: what the conditions of rules are asked about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

from msgspec import Struct

from secmon_agent.probes.filter_sources import Family, Sources

Target = Literal["host", "multicast", "broadcast"]
Action = Literal["accept", "drop", "return", "jump", "goto", "none", "unknown"]
"""`none`: the packet goes on to the next rule; `unknown`: anything may become of it."""


class Knock(Struct, frozen=True, kw_only=True):
    """A first packet that nobody asked for, from another machine."""

    protocol: Literal["tcp", "udp"]
    port: int
    family: Family
    interface: str
    """Where it comes in."""
    target: Target
    """What kind of address it is sent to; those other than `host` reach UDP sockets only."""
    address: int | None = None
    """Where it is sent to; None: to any of this machine's addresses of that kind."""
    redirected: bool = False
    """Packets to another port may be sent on to this one."""


Answer = bool | Sources | None
"""Whether a condition holds: yes, no, for these sources, or nobody can tell."""
Condition = Callable[[Knock], Answer]


class Rule(Struct, frozen=True, kw_only=True):
    conditions: tuple[Condition, ...] = ()
    """All must hold."""
    action: Action = "none"
    chain: str = ""
    """Where to go on, for `jump` and `goto`."""


class Chain(Struct, frozen=True, kw_only=True):
    rules: tuple[Rule, ...]
    drops: bool = False
    """What becomes of a packet at the end, where `hooked`."""
    order: tuple[int, int] | None = None
    """Where packets that come in begin: 0 before the way is chosen and 1 after, and the priority there; lower ones come
    first. None: only where a rule says so."""


class Table(Struct, frozen=True, kw_only=True):
    families: tuple[Family, ...]
    chains: Mapping[str, Chain]
    interfaces: frozenset[str] = frozenset()
    """Names that its rules speak of, some with a `*` at the end."""
    redirected_to: tuple[tuple[int, int], ...] = ()
    """Ports to which its rules may send on packets for other ports."""


ANY_PORT: Final = (0, 65535)
NO_PORT: Final = (0, -1)


class Ruleset(Struct, frozen=True, kw_only=True):
    tables: tuple[Table, ...] = ()
    opaque: bool = False
    """Something before these tables may do what it likes with a packet."""
