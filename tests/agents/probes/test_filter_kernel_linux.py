"""What the agent says of a port, and what the kernel does: rules are loaded, and neighbours knock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.agents.probes.filter_room import NEEDS, Room, entered

pytestmark = NEEDS


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    with entered() as it:
        yield it


def nft(*lines: str) -> str:
    return "nft -f - <<'END'\n" + "\n".join(lines) + "\nEND"


NFT_SURE: Final = [
    "tcp dport 22",
    "tcp dport != 22",
    "tcp dport { 22, 80 }",
    "tcp dport 80-5500",
    "tcp dport @ports",
    "tcp dport >= 80",
    "udp dport 80",
    "udp dport != { 80, 8080 }",
    "meta l4proto tcp",
    "meta l4proto { tcp, udp } th dport 8080",
    "ip protocol udp",
    "ip saddr 10.1.0.0/16",
    "ip saddr != 192.0.2.0/24",
    "ip saddr { 10.2.0.0/16, 198.51.100.2, 10.1.0.1-10.1.9.9 }",
    "ip saddr @people",
    "ip6 saddr fe80::/10",
    "ip daddr 127.0.0.0/8",
    'iifname "in0"',
    'iifname != "in0"',
    'iifname { "in1", "lo" }',
    'iifname "in*"',
    "iif lo",
    "meta nfproto ipv4",
    "meta nfproto ipv6",
    "ct state new",
    "ct state != new",
    "ct state established,related",
    "ct state { established, related, new }",
    "ct state invalid",
    "ct status dnat",
    "fib daddr type local",
    "fib daddr type { broadcast, multicast }",
    "fib saddr . iif oif missing",
    "meta pkttype host",
    "tcp flags syn / fin,syn,rst,ack",
    "tcp flags & (fin|syn|rst|ack) != syn",
    "tcp flags syn,ack",
    "tcp flags ! ack,rst",
    "ct state ! new",
    "icmp type echo-request",
    "counter",
]
"""Conditions that have an answer."""
NFT_MAYBE: Final = [
    "ip daddr 192.0.2.1",
    "limit rate 1/hour burst 2 packets",
    "tcp sport 1-40000",
    "udp sport != 5",
    "meta mark 1",
    "ip ttl 64",
    "ip dscp cs0",
    "tcp flags == syn",
    "ct direction original",
    "ip saddr . tcp dport { 10.1.2.3 . 22 }",
    "quota over 1 bytes",
    "meta mark set 1",
    "ip saddr & 0.255.0.0 == 0.1.0.0",
]
"""Conditions that nobody decides."""
NFT_ENDS: Final = ["accept", "drop", "reject", "return", "jump a", "goto b", "continue"]
NFT_MAPS: Final = [
    "tcp dport vmap { 22 : accept, 80 : drop, 5000-6000 : jump b }",
    'iifname vmap { "in0" : drop, "in1" : goto b }',
    "ct state vmap { established : accept, invalid : drop, new : continue }",
    "ip saddr vmap { 10.1.0.0/16 : accept, 192.0.2.0/24 : drop }",
]
NFT_SETS: Final = """set ports { type inet_service; flags interval; elements = { 22, 8000-9000 }; }
set people { type ipv4_addr; flags interval; elements = { 10.2.0.0/16, 192.0.2.2 }; }"""


def nft_rules(conditions: list[str], ends: list[str], least: int = 0) -> st.SearchStrategy[list[str]]:
    plain = st.tuples(st.lists(st.sampled_from(conditions), max_size=2), st.sampled_from(ends)).map(
        lambda it: " ".join([*it[0], it[1]])
    )
    return st.lists(st.one_of(plain, plain, plain, st.sampled_from(NFT_MAPS)), min_size=least, max_size=4)


def first_packet_alone(rules: str) -> str:
    """The same without refusals where they might meet the second packet of somebody whose first one came in."""
    if any(word in rules for word in ("state", "syn", "flags", "limit", "quota", "recent")):
        return re.sub(r"\breject\b", "drop", rules).replace("-j REJECT", "-j DROP")
    return rules


@st.composite
def nft_rulesets(draw: st.DrawFn, conditions: list[str], priorities: tuple[str, ...]) -> str:
    """A table with chains for input and, sometimes, before; chain `a` may go on to `b`."""
    policy = draw(st.sampled_from(["accept", "drop"]))
    family = draw(st.sampled_from(["inet", "ip"]))
    ends = [*NFT_ENDS, *NFT_ENDS[:2]]
    simple = [it for it in ends if "b" not in it.split()[1:] and "a" not in it.split()[1:]]
    in_b = [it for it in draw(nft_rules(conditions, simple)) if "goto b" not in it and "jump b" not in it]
    in_a = draw(nft_rules(conditions, [*simple, "jump b"]))
    chains = [("chain b", in_b), ("chain a", in_a)]
    if draw(st.booleans()):
        before = draw(st.sampled_from(priorities))
        early = [it for it in draw(nft_rules(conditions, simple)) if "reject" not in it and " b" not in it]
        chains.append((f"chain before {{ type filter hook prerouting priority {before};", early))
    chains.append(
        (f"chain in {{ type filter hook input priority 0; policy {policy};", draw(nft_rules(conditions, ends, 1)))
    )
    body = "\n".join("\n".join([head if "{" in head else head + " {", *rules, "}"]) for head, rules in chains)
    return nft(f"table {family} t {{", NFT_SETS, first_packet_alone(body), "}")


IPTABLES: Final = [
    "-p tcp --dport 22",
    "-p tcp ! --dport 22",
    "-p udp --dport 80:8080",
    "! -p udp",
    "-p tcp -m multiport --dports 22,5000:6000",
    "-p udp -m multiport ! --dports 22,5000:6000",
    "-p tcp --syn",
    "-p tcp ! --syn",
    "-p tcp --tcp-flags ALL NONE",
    "-p icmp --icmp-type 8",
    "-s 10.1.0.0/16",
    "! -s 192.0.2.0/24",
    "-m iprange --src-range 10.1.0.1-10.2.255.255",
    "-d 127.0.0.0/8",
    "-i in0",
    "! -i in0",
    "-i in+",
    "-i lo",
    "-m conntrack --ctstate NEW",
    "-m conntrack --ctstate RELATED,ESTABLISHED",
    "-m conntrack ! --ctstate NEW,INVALID",
    "-m state --state NEW",
    "-m conntrack --ctstate DNAT",
    "-m addrtype --dst-type LOCAL",
    "-m addrtype --dst-type MULTICAST",
    "-m pkttype --pkt-type unicast",
    "-m rpfilter --invert",
    '-m comment --comment "to -j DROP or not -p tcp"',
    "",
]
IPTABLES_MAYBE: Final = [
    "-d 192.0.2.1",
    "-m limit --limit 1/hour --limit-burst 2",
    "-m mark --mark 1",
    "-p tcp --sport 1:40000",
    "-p udp -m multiport --ports 22",
    "-m ttl --ttl-eq 64",
    "-m string --string -p --algo bm",
    "-m recent --name x --rcheck --seconds 5",
    "-f",
    "-m u32 --u32 0>>28=4",
]
IPTABLES_ENDS: Final = ["-j ACCEPT", "-j DROP", "-j REJECT", "-j RETURN", "-j a", "-g b", "-j MARK --set-mark 1", ""]


@st.composite
def iptables_rulesets(draw: st.DrawFn, conditions: list[str]) -> str:
    """Chains for input and before; chain `a` may go on to `b`."""

    def rules(chain: str, ends: list[str], table: str = "filter") -> list[str]:
        pairs = st.tuples(st.sampled_from(conditions), st.sampled_from([*ends, *ends[:2]]))
        return [f"-A {chain} {it[0]} {it[1]}" for it in draw(st.lists(pairs, max_size=4))]

    plain = [it for it in IPTABLES_ENDS if it not in ("-j a", "-g b", "-j MARK --set-mark 1")]
    policy = draw(st.sampled_from(["ACCEPT", "DROP"]))
    of_filter = [*rules("b", plain), *rules("a", [*plain, "-j b"]), *rules("INPUT", IPTABLES_ENDS[:-2])]
    before = rules("PREROUTING", [it for it in plain if "REJECT" not in it])
    program = draw(st.sampled_from(["iptables-nft-restore", "iptables-legacy-restore"]))
    lines = ["*filter", f":INPUT {policy} [0:0]", ":a - [0:0]", ":b - [0:0]", *of_filter, "COMMIT"]
    rules_ = first_packet_alone("\n".join([*lines, "*mangle", *before, "COMMIT"]))
    return f"{program} <<'END'\n{rules_}\nEND"


ROOMY: Final = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@ROOMY
@given(text=nft_rulesets(NFT_SURE, ("mangle", "filter")))
def test_it_says_of_each_knock_what_nftables_does(room: Room, text: str) -> None:
    agrees(room.tried(text), text)


@ROOMY
@given(text=nft_rulesets([*NFT_SURE, *NFT_MAYBE, *NFT_MAYBE], ("raw", "mangle")))
def test_it_never_says_otherwise_than_nftables_does(room: Room, text: str) -> None:
    agrees(room.tried(text), text, sure=False)


@ROOMY
@given(text=iptables_rulesets(IPTABLES))
def test_it_says_of_each_knock_what_iptables_does(room: Room, text: str) -> None:
    agrees(room.tried(text), text)


@ROOMY
@given(text=iptables_rulesets([*IPTABLES, *IPTABLES_MAYBE, *IPTABLES_MAYBE]))
def test_it_never_says_otherwise_than_iptables_does(room: Room, text: str) -> None:
    agrees(room.tried(text), text, sure=False)


def agrees(said: dict[str, list[list[object]]], text: str, *, sure: bool = True) -> None:
    assume("refused" not in said)  # conditions that cannot hold together, or say nothing in such a table
    for *knock, came_in, says in said["knocks"]:
        assert says is came_in or (says is None and not sure), (knock, came_in, says, text)
    for protocol, port, verdict in said["verdicts"]:
        came = {in_ for *knock, in_, _ in said["knocks"] if knock[:2] == [protocol, port]}
        assert not (verdict == "blocked" and True in came), (protocol, port, text)
        if verdict == "allowed":
            assert True in came, (protocol, port, text)
