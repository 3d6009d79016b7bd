"""What iptables and ip6tables are told, from `iptables-save`. What is not understood becomes a condition that nobody
can decide."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from secmon_agent.probes import filter_match as match
from secmon_agent.probes.filter_model import ANY_PORT, NO_PORT, Action, Chain, Condition, Rule, Table
from secmon_agent.probes.filter_prune import pruned
from secmon_agent.probes.filter_sources import Family, address_range, network

_HOOKS: Final = {
    ("raw", "PREROUTING"): (0, -300),
    ("mangle", "PREROUTING"): (0, -150),
    ("nat", "PREROUTING"): (0, -100),
    ("mangle", "INPUT"): (1, -150),
    ("filter", "INPUT"): (1, 0),
    ("security", "INPUT"): (1, 50),
    ("nat", "INPUT"): (1, 100),
}
"""Chains through which packets come in, in their order."""
_VERDICTS: Final[Mapping[str, Action]] = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"}
_NOTES: Final = frozenset({"AUDIT", "CONNMARK", "CONNSECMARK", "CT", "DSCP", "ECN", "HL", "LOG", "MARK", "NFLOG",
                           "NOTRACK", "SECMARK", "SET", "TCPMSS", "TOS", "TRACE", "TTL", "ULOG"})  # fmt: skip
"""Targets that change nothing of where the packet goes."""
_ELSEWHERE: Final = frozenset({"DNAT", "REDIRECT", "TPROXY", "NETMAP", "QUEUE", "NFQUEUE", "SYNPROXY", "DNPT", "TEE",
                              "SNAT", "MASQUERADE"})  # fmt: skip
_REDIRECTS: Final = r"-j (?:REDIRECT|DNAT|TPROXY|NETMAP|DNPT) ?(.*)$"
_SILENT: Final = {"-m": 1, "--comment": 1, "-c": 2}
"""Options that decide nothing, with how many words follow."""
_PROTOCOLS: Final = {"6": "tcp", "17": "udp"}
_ALL_FLAGS: Final = ("fin", "syn", "rst", "psh", "ack", "urg")


def parse(text: str, family: Family) -> dict[str, Table]:
    """Tables by name."""
    tracked = not re.search(r"-j NOTRACK|-j CT .*--notrack", text)
    return {
        name: _table(name, body, _Parser(family, tracked and name != "raw"))
        for name, body in re.findall(r"^\*(\w+)$(.*?)^COMMIT$", text, re.MULTILINE | re.DOTALL)
    }


def _table(name: str, body: str, parser: _Parser) -> Table:
    rules: dict[str, list[Rule]] = {}
    for chain, rest in re.findall(r"^(?:\[\d+:\d+\] )?-A (\S+) ?(.*)$", body, re.MULTILINE):
        rules.setdefault(chain, []).append(parser.rule(rest))
    policies = dict(re.findall(r"^:(\S+) (\S+)", body, re.MULTILINE))
    chains = {
        chain: Chain(
            rules=tuple(rules.get(chain, ())),
            drops=policy == "DROP",
            order=_HOOKS.get((name, chain)),
        )
        for chain, policy in policies.items()
    }
    return pruned(
        Table(
            families=(parser.family,),
            chains=chains,
            interfaces=frozenset(parser.interfaces),
            redirected_to=tuple(_sent_on(rest) for rest in re.findall(_REDIRECTS, body, re.MULTILINE)),
        )
    )


def _sent_on(options: str) -> tuple[int, int]:
    """Ports by the options of the target; those of a range of addresses may be anything."""
    found = re.search(r"--to-(?:ports |destination [^- ]*[^:]:)(\d+)(?:-(\d+))?(?= |$)", options)
    if found is None:
        return ANY_PORT if "--to-ports" in options or re.search(r":\d+", options) else NO_PORT
    return int(found[1]), int(found[2] or found[1])


class _Parser:
    def __init__(self, family: Family, tracked: bool) -> None:
        self.family = family
        self._tracked = tracked
        self.interfaces: set[str] = set()
        self._options: Mapping[str, Callable[[str], Condition]] = {
            "-p": _protocol,
            "-s": lambda value: match.source(family, [self._network(value)]),
            "-d": lambda value: match.destination(family, [self._network(value)]),
            "--src-range": lambda value: match.source(family, [address_range(*value.split("-"))[1]]),
            "-i": self._interface,
            "--dport": lambda value: match.port([_ports(value)]),
            "--dports": lambda value: match.port([_ports(it) for it in value.split(",")]),
            "--ctstate": self._state,
            "--state": self._state,
            "--dst-type": lambda value: match.destination_type(value.split(",")),
            "--pkt-type": lambda value: match.packet_type([value]),
            "--icmp-type": lambda _: match.never,
            "--icmpv6-type": lambda _: match.never,
        }

    def rule(self, text: str) -> Rule:
        try:
            words = shlex.split(text)
        except ValueError:
            return Rule(conditions=(match.maybe,), action="unknown")
        if {"rpfilter", "--invert"} <= set(words) or text.endswith("-m rt --rt-type 0 -j DROP"):
            return Rule()  # a sender whose address is not his own; a way that he need not prescribe
        conditions: list[Condition] = []
        while words:
            if words[0] in ("-j", "-g"):
                return _ending(words, conditions)
            if words[0] == "-m" and words[1:2] and words[1] not in _EXPLAINED:
                conditions.append(match.maybe)
                words = _after(words[2:])
                continue
            turned = words[0] == "!"
            used, condition = self._condition(words[turned:])
            words = words[turned + used :]
            if condition:
                conditions.append(match.opposite(condition) if turned else condition)
        return Rule(conditions=tuple(conditions))

    def _condition(self, words: Sequence[str]) -> tuple[int, Condition | None]:
        """How many words it has, and what it is; None where it decides nothing."""
        name, value = words[0], words[1] if len(words) > 1 else ""
        if name in _SILENT:
            return 1 + _SILENT[name], None
        if name == "--tcp-flags" and len(words) > 2:
            return 3, match.tcp_flags(_flags(value), _flags(words[2]))
        if name in self._options:
            try:
                return 2, self._options[name](value)
            except ValueError:
                return 2, match.maybe
        return 1, match.maybe  # its own words are taken for options that are not understood either

    def _network(self, text: str) -> tuple[int, int]:
        of, ends = network(text)
        if of != self.family:
            raise ValueError("of another family")
        return ends

    def _interface(self, value: str) -> Condition:
        name = value[:-1] + "*" if value.endswith("+") else value
        self.interfaces.add(name)
        return match.interface([name])

    def _state(self, value: str) -> Condition:
        names = [name.lower() for name in value.split(",")]
        if names == ["dnat"]:
            return match.redirected
        if not self._tracked or {"dnat", "snat"} & set(names):
            raise ValueError("nobody can tell")
        return match.state(names)


_EXPLAINED: Final = frozenset({"tcp", "udp", "multiport", "comment", "conntrack", "state", "addrtype", "pkttype",
                               "iprange", "icmp", "icmp6", "icmpv6"})  # fmt: skip
"""Matches whose options are read here, one by one."""


def _after(words: list[str]) -> list[str]:
    """From the next match, or the end, on."""
    return words[next((i for i, word in enumerate(words) if word in ("-m", "-j", "-g")), len(words)) :]


def _ending(words: Sequence[str], conditions: Sequence[Condition]) -> Rule:
    target = words[1] if len(words) > 1 else ""
    if target in _VERDICTS:
        return Rule(conditions=tuple(conditions), action=_VERDICTS[target])
    if target in _NOTES or target in _ELSEWHERE:
        return Rule(conditions=tuple(conditions), action="none" if target in _NOTES else "unknown")
    return Rule(conditions=tuple(conditions), action="jump" if words[0] == "-j" else "goto", chain=target)


def _protocol(value: str) -> Condition:
    if value in ("all", "0"):
        raise ValueError("never written so by iptables-save")
    return match.protocol([_PROTOCOLS.get(value, value)])


def _ports(value: str) -> tuple[int, int]:
    first, _, last = value.partition(":")
    return int(first), int(last or first)


def _flags(value: str) -> list[str]:
    if value in ("ALL", "NONE"):
        return list(_ALL_FLAGS) if value == "ALL" else []
    return value.lower().split(",")
