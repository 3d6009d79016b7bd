"""What nftables is told, from `nft -j list ruleset`. What is not understood becomes a condition that nobody can
decide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from secmon_agent.probes import filter_match as match
from secmon_agent.probes.filter_model import ANY_PORT, Action, Chain, Condition, Rule, Table
from secmon_agent.probes.filter_prune import pruned
from secmon_agent.probes.filter_sources import Family, address_range, network
from secmon_agent.probes.nft_listing import Item, NftChain, NftSet

_FAMILIES: Final[dict[str, tuple[Family, ...]]] = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}
_BEFORE: Final = {"netdev": {"ingress"}, "bridge": {"prerouting", "input"}, "inet": {"ingress"}}
"""Hooks by family that see a packet before, and otherwise than, the tables that are followed here."""
_IN: Final = ("prerouting", "input")
_CONNTRACK: Final = -200
"""Chains up to this priority see a packet before connection tracking has."""
_MAX_ELEMENTS: Final = 4096
_SILENT: Final = {"counter", "log", "comment", "last", "notrack", "ct helper", "ct timeout", "secmark", "snat",
                  "masquerade"}  # fmt: skip
_REMARK: Final = {"type": "match", "name": "comment"}
"""As iptables writes a comment into nftables."""
_ADDRESSES: Final = {"saddr", "daddr", "sport", "dport"}
_VERDICTS: Final[Mapping[str, Action]] = {"accept": "accept", "drop": "drop", "return": "return", "reject": "drop"}
_KINDS: Final[dict[str, Family]] = {"ip": 4, "ip6": 6}
_TRANSPORT: Final = ("tcp", "udp")
_NFPROTO: Final[dict[str, Family]] = {"ipv4": 4, "ipv6": 6, "ip": 4, "ip6": 6}

Statement = Mapping[str, Any]


class _Tables(Struct, kw_only=True):
    """What one family's table holds."""

    chains: list[NftChain] = msgspec.field(default_factory=list)
    rules: dict[str, list[list[dict[str, Any]]]] = msgspec.field(default_factory=dict)
    sets: dict[str, NftSet] = msgspec.field(default_factory=dict)


class NftRules(Struct, frozen=True, kw_only=True):
    tables: Mapping[tuple[str, str], Table]
    """By family and name, those through which IP packets come in."""
    foreign: Mapping[tuple[str, str], frozenset[str]]
    """Tables in which iptables wrote what nft does not spell out, with the names of the chains that packets come in
    by."""
    opaque: bool


def parse(items: Iterable[Item]) -> NftRules:
    raw: dict[tuple[str, str], _Tables] = {}
    for item in items:
        if item.chain:
            raw.setdefault((item.chain.family, item.chain.table), _Tables()).chains.append(item.chain)
        elif item.rule:
            own = raw.setdefault((item.rule.family, item.rule.table), _Tables()).rules
            own.setdefault(item.rule.chain, []).append(item.rule.expr)
        elif found := item.set or item.map:
            raw.setdefault((found.family, found.table), _Tables()).sets[found.name] = found
    tracked = not any("notrack" in it for table in raw.values() for it in _statements(table))
    return NftRules(
        tables={key: _parsed(key[0], it, tracked) for key, it in raw.items() if key[0] in _FAMILIES},
        foreign={
            key: frozenset(chain.name for chain in table.chains if chain.hook in _IN)
            for key, table in raw.items()
            if key[0] in _KINDS and any("xt" in it for it in _statements(table))
        },
        opaque=any(_is_before(family, table) for (family, _), table in raw.items()),
    )


def _parsed(family: str, table: _Tables, tracked: bool) -> Table:
    parser = _Parser(table, tracked)
    sent_on = (_sent_on(*pair) for statement in _statements(table) for pair in statement.items())
    return pruned(
        Table(
            families=_FAMILIES[family],
            chains=parser.chains(),
            interfaces=frozenset(parser.interfaces),
            redirected_to=tuple(ports for ports in sent_on if ports),
        )
    )


def _sent_on(name: str, value: Any) -> tuple[int, int] | None:
    """The port to which a statement sends packets for other ports; one that names none leaves it as it is."""
    if name == "xt" and value.get("type") == "target" and value.get("name") != "LOG":
        return ANY_PORT
    if name not in ("redirect", "dnat", "tproxy") or not isinstance(value, dict) or "port" not in value:
        return ANY_PORT if name == "dnat" and "map" in str(value) else None
    return (value["port"], value["port"]) if isinstance(value["port"], int) else ANY_PORT


def _statements(table: _Tables) -> list[dict[str, Any]]:
    return [statement for rules in table.rules.values() for rule in rules for statement in rule]


def _is_before(family: str, table: _Tables) -> bool:
    hooks = _BEFORE.get(family, set())
    return any(
        chain.hook in hooks and (chain.policy == "drop" or bool(table.rules.get(chain.name))) for chain in table.chains
    )


class _Parser:
    """Of one table."""

    def __init__(self, table: _Tables, tracked: bool) -> None:
        self._table = table
        self._tracked = tracked
        self._early = self._any_early = any(it.hook in _IN and it.prio <= _CONNTRACK for it in table.chains)
        self._filled = {str(it["set"].get("set", ""))[1:] for it in _statements(table) if "set" in it}
        self.interfaces: set[str] = set()

    def chains(self) -> dict[str, Chain]:
        return {chain.name: self._chain(chain) for chain in self._table.chains}

    def _chain(self, chain: NftChain) -> Chain:
        self._early = chain.prio <= _CONNTRACK if chain.hook else self._any_early
        rules = [self._rules(expr) for expr in self._table.rules.get(chain.name, ())]
        return Chain(
            rules=tuple(rule for some in rules for rule in some),
            drops=chain.policy == "drop",
            order=(_IN.index(chain.hook), chain.prio) if chain.hook in _IN else None,
        )

    def _rules(self, statements: Sequence[Statement]) -> list[Rule]:
        """One, or one for each element of a verdict map."""
        conditions: list[Condition] = []
        found: list[Rule] = []
        for statement in statements:
            for name, value in statement.items():
                if name in _VERDICTS:
                    found.append(Rule(conditions=tuple(conditions), action=_VERDICTS[name]))
                elif name in ("jump", "goto"):
                    found.append(_going(name, value, conditions))
                elif name == "vmap":
                    found += self._mapped(value, conditions)
                elif name == "match":
                    conditions.append(self._condition(value))
                elif _rewrites(name, value):
                    found.append(Rule(conditions=tuple(conditions), action="unknown"))
                elif name not in _SILENT and name != "mangle" and value != _REMARK:
                    conditions.append(match.maybe)
        return found

    def _mapped(self, value: Mapping[str, Any], conditions: list[Condition]) -> list[Rule]:
        pairs = self._elements(value.get("data"))
        if pairs is None:
            return [Rule(conditions=tuple(conditions), action="unknown")]
        rules = []
        for key, then in pairs:
            own = self._condition({"op": "==", "left": value.get("key"), "right": key})
            name, target = next(iter(then.items()))
            if name in ("jump", "goto"):
                rules.append(_going(name, target, [*conditions, own]))
            elif name != "continue":
                rules.append(Rule(conditions=(*conditions, own), action=_VERDICTS.get(name, "unknown")))
        return rules

    def _condition(self, value: Mapping[str, Any]) -> Condition:
        op, left, right = value.get("op", "=="), value.get("left"), value.get("right")
        try:
            condition = self._of(left, right, op)
        except (KeyError, TypeError, ValueError, AttributeError):
            return match.maybe
        return condition

    def _of(self, left: Any, right: Any, op: str) -> Condition:
        """ValueError and the like for what is not understood."""
        if "payload" in left:
            return self._of_payload(left["payload"]["protocol"], left["payload"]["field"], right, op)
        if "meta" in left:
            return self._of_meta(left["meta"]["key"], right, op)
        if "ct" in left:
            return self._of_tracking(left["ct"]["key"], right, op)
        if "fib" in left:
            return self._of_route(left["fib"], right, op)
        if "&" in left and left["&"][0].get("payload") == {"protocol": "tcp", "field": "flags"} and op in ("==", "!="):
            flags = match.tcp_flags(_flags(left["&"][1]), _flags(right))
            return flags if op == "==" else _also(match.opposite(flags), match.protocol(["tcp"]))
        raise ValueError

    def _of_payload(self, protocol: str, field: str, right: Any, op: str) -> Condition:
        if protocol in (*_TRANSPORT, "th") and field == "dport":
            ports = _signed(op, match.port(self._ports(right, op)))
            return ports if protocol == "th" else _also(ports, match.protocol([protocol]))
        if protocol == "tcp" and field == "flags" and op in ("in", "!"):
            some = match.tcp_flags((), _flags(right), "any")
            return some if op == "in" else _also(match.opposite(some), match.protocol(["tcp"]))
        if protocol in _TRANSPORT:
            return _also(match.maybe, match.protocol([protocol]))
        if protocol in _KINDS:
            of: Family = _KINDS[protocol]
            return _also(self._of_header(of, field, right, op), match.family([of]))
        return match.never if protocol in ("icmp", "icmpv6", "igmp", "sctp", "dccp", "udplite") else match.maybe

    def _of_header(self, of: Family, field: str, right: Any, op: str) -> Condition:
        if field in ("saddr", "daddr"):
            ranges = self._addresses(right)
            known = match.source(of, ranges) if field == "saddr" else match.destination(of, ranges)
            return _signed(op, known)
        if field == "protocol":
            return _signed(op, match.protocol(self._names(right)))
        return match.maybe

    def _of_meta(self, key: str, right: Any, op: str) -> Condition:
        if key in ("iif", "iifname"):
            names = self._names(right)
            self.interfaces |= set(names)
            return _signed(op, match.interface(names))
        if key == "l4proto":
            return _signed(op, match.protocol(self._names(right)))
        if key in ("nfproto", "protocol"):
            names = self._names(right)
            return _signed(op, match.family([_NFPROTO[name] for name in names if name in _NFPROTO]))
        if key == "pkttype":
            return _signed(op, match.packet_type(self._names(right)))
        raise ValueError

    def _of_tracking(self, key: str, right: Any, op: str) -> Condition:
        if (key, right, op) == ("status", "dnat", "in"):
            return match.redirected
        if key != "state" or not self._tracked or self._early:
            raise ValueError
        return _signed({"in": "==", "!": "!="}.get(op, op), match.state(self._names(right)))

    def _of_route(self, fib: Mapping[str, Any], right: Any, op: str) -> Condition:
        flags = fib["flags"] if isinstance(fib["flags"], list) else [fib["flags"]]
        if fib["result"] == "type" and flags == ["daddr"]:
            return _signed(op, match.destination_type(self._names(right)))
        if fib["result"] == "oif" and {"saddr", "iif"} <= set(flags) and (op, right) == ("==", False):
            return match.never  # a sender whose address is not his own
        raise ValueError

    def _elements(self, right: Any) -> list[Any] | None:
        """Of a set or map; None for one that fills by itself, or is too large."""
        if isinstance(right, str) and right.startswith("@"):
            known = self._table.sets.get(right[1:])
            moving = known is None or right[1:] in self._filled or _fills_itself(known)
            found = None if moving or known is None else known.elem
        elif isinstance(right, dict) and ("set" in right or "|" in right):
            found = right["set"] if "set" in right else _flags(right)
        else:
            found = right if isinstance(right, list) else [right]
        return list(found) if isinstance(found, (list, tuple)) and len(found) <= _MAX_ELEMENTS else None

    def _values(self, right: Any) -> list[Any]:
        found = self._elements(right)
        if found is None:
            raise ValueError
        return [it["elem"]["val"] if isinstance(it, dict) and "elem" in it else it for it in found]

    def _names(self, right: Any) -> list[str]:
        found = self._values(right)
        if not all(isinstance(it, str) for it in found):
            raise ValueError
        return found

    def _ports(self, right: Any, op: str) -> list[tuple[int, int]]:
        return [_COMPARED[op](*_ends(it)) for it in self._values(right)]

    def _addresses(self, right: Any) -> list[tuple[int, int]]:
        found = []
        for it in self._values(right):
            if isinstance(it, dict) and "prefix" in it:
                found.append(network(f"{it['prefix']['addr']}/{it['prefix']['len']}")[1])
            elif isinstance(it, dict):
                found.append(address_range(*it["range"])[1])
            else:
                found.append(network(it)[1])
        return found


def _fills_itself(it: NftSet) -> bool:
    return bool({"dynamic", "timeout"} & set([it.flags] if isinstance(it.flags, str) else it.flags))


def _ends(value: Any) -> tuple[int, int]:
    first, last = value["range"] if isinstance(value, dict) else (value, value)
    return int(first), int(last)


_COMPARED: Final[Mapping[str, Callable[[int, int], tuple[int, int]]]] = {
    "==": lambda a, b: (a, b),
    "!=": lambda a, b: (a, b),
    "<": lambda a, _: (0, a - 1),
    "<=": lambda a, _: (0, a),
    ">": lambda a, _: (a + 1, 65535),
    ">=": lambda a, _: (a, 65535),
}


def _signed(op: str, condition: Condition) -> Condition:
    """ValueError for a comparison that is not understood."""
    if op == "!=":
        return match.opposite(condition)
    if op not in _COMPARED:
        raise ValueError
    return condition


def _also(condition: Condition, needed: Condition) -> Condition:
    """nft leaves out of its answer what goes without saying: a TCP port is that of a TCP packet."""
    return lambda knock: condition(knock) if needed(knock) else False


def _flags(value: Any) -> list[str]:
    """By name; a 0 is none of them. TypeError or AttributeError for anything else."""
    if value == 0:
        return []
    if isinstance(value, dict):
        return [flag for part in value["|"] for flag in _flags(part)]
    return [value.lower()] if isinstance(value, str) else [flag.lower() for flag in value]


def _going(name: str, value: Any, conditions: Sequence[Condition]) -> Rule:
    target = value.get("target", "") if isinstance(value, dict) else ""
    return Rule(conditions=tuple(conditions), action="jump" if name == "jump" else "goto", chain=str(target))


def _rewrites(name: str, value: Any) -> bool:
    """Sends the packet elsewhere, or hands it to somebody who decides."""
    if name == "xt":
        return bool(value.get("type") == "target" and value.get("name") != "LOG")
    if name == "mangle":
        return value.get("key", {}).get("payload", {}).get("field") in _ADDRESSES
    return name in ("queue", "dnat", "redirect", "tproxy", "synproxy", "fwd", "dup")
