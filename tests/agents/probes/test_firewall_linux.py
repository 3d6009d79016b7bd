"""Whether unsolicited traffic is dropped: yes, no, or cannot tell."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from msgspec import UNSET

from secmon_agent import collect
from secmon_agent.host import Host
from secmon_agent.probes import packet_filter
from secmon_agent.probes.firewall_linux import firewall
from secmon_agent.probes.nft_listing import listing

NFT = ("/usr/sbin/nft", "-j", "list", "ruleset")
DROP, ACCEPT = {"drop": None}, {"accept": None}
COUNTER = {"counter": {"packets": 1, "bytes": 2}}
SSH = {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 22}}


def ruleset(*rules: list[object], policy: str = "accept", family: str = "inet", **chains: list[list[object]]) -> str:
    items: list[object] = [{"metainfo": {"version": "1"}}, {"table": {"family": family, "name": "t", "handle": 1}}]
    base = {
        "family": family,
        "table": "t",
        "name": "in",
        "type": "filter",
        "hook": "input",
        "prio": 0,
        "policy": policy,
    }
    items.append({"chain": base})
    for name, own in {"in": list(rules), **chains}.items():
        if name != "in":
            items.append({"chain": {"family": family, "table": "t", "name": name}})
        items += [{"rule": {"family": family, "table": "t", "chain": name, "expr": expr}} for expr in own]
    return json.dumps({"nftables": items})


def verdict(text: str) -> bool | None:
    return packet_filter.filters(list(packet_filter.parse_nft(listing(text.encode())).values()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ruleset(policy="drop"), True),
        (ruleset([SSH, ACCEPT], policy="drop"), True),
        (ruleset([SSH, ACCEPT], [COUNTER, DROP]), True),
        (ruleset([SSH, ACCEPT], [{"reject": {"type": "icmpx", "expr": "admin-prohibited"}}]), True),
        (ruleset([{"log": {"prefix": "x"}}], [COUNTER, {"jump": {"target": "end"}}], end=[[DROP]]), True),
        (ruleset(policy="accept"), False),
        (ruleset([SSH, ACCEPT]), False),
        (ruleset([COUNTER, ACCEPT], policy="drop"), False),
        (ruleset([{"meter": {"key": 1, "stmt": {"limit": {"rate": 1}}}}, ACCEPT], policy="drop"), True),
        (ruleset([SSH, ACCEPT], [{"xt": {"type": "match", "name": "comment"}}, COUNTER, DROP]), True),
        (ruleset([{"jump": {"target": "log"}}], log=[[{"log": {}}]]), False),
        (ruleset([SSH, DROP]), None),
        (ruleset([SSH, {"jump": {"target": "end"}}], end=[[DROP]]), None),
        (ruleset([{"vmap": {"key": 1, "data": {}}}]), None),
        (ruleset([{"jump": {"target": "loop"}}], loop=[[{"jump": {"target": "loop"}}]]), None),
        (json.dumps({"nftables": []}), False),
    ],
)
def test_it_decides_from_nftables_rules(text: str, expected: bool | None) -> None:
    assert verdict(text) is expected


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (":INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n", True),
        (
            ":INPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -j REJECT --reject-with icmp-host-prohibited\n",
            True,
        ),
        (':INPUT ACCEPT [0:0]\n-A INPUT -m comment --comment "the end" -j DROP\n', True),
        (":INPUT ACCEPT [0:0]\n:end - [0:0]\n-A INPUT -j end\n-A end -j DROP\n", True),
        (":INPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\n", False),
        (":INPUT DROP [0:0]\n-A INPUT -j ACCEPT\n", False),
        (":INPUT ACCEPT [0:0]\n-A INPUT -s 192.0.2.0/24 -j DROP\n", None),
    ],
)
def test_it_decides_from_iptables_rules(rules: str, expected: bool | None) -> None:
    assert packet_filter.filters([packet_filter.parse_iptables(f"*filter\n{rules}COMMIT\n")]) is expected


def test_a_filter_that_leaves_ipv6_open_is_none(make_host: Callable[..., Host]) -> None:
    files = {"/usr/sbin/nft": "", "/proc/net/if_inet6": f"{'fd' + '0' * 30} 02 40 00 80 eth0\n"}
    ip4 = make_host(files, outputs={NFT: ruleset(policy="drop", family="ip")})
    assert firewall(ip4).filtering is False
    both = make_host(files, outputs={NFT: ruleset(policy="drop", family="inet")})
    assert firewall(both).filtering is True


def test_a_machine_without_ipv6_needs_no_ipv6_filter(make_host: Callable[..., Host]) -> None:
    found = firewall(make_host({"/usr/sbin/nft": ""}, outputs={NFT: ruleset(policy="drop", family="ip")}))
    assert (found.backend, found.filtering, found.persistent) == ("nftables", True, UNSET)


def test_a_switched_off_ufw_keeps_no_rules(make_host: Callable[..., Host]) -> None:
    links = {"/etc/systemd/system/multi-user.target.wants/ufw.service": "/lib/systemd/system/ufw.service"}
    files = {"/usr/sbin/nft": "", "/etc/ufw/ufw.conf": "ENABLED=no\n"}
    found = firewall(make_host(files, outputs={NFT: ruleset(policy="drop")}, links=links))
    assert (found.manager, found.persistent) == (UNSET, UNSET)


@pytest.mark.parametrize(
    ("files", "output", "status"),
    [
        ({}, "", "unsupported"),
        ({"/usr/sbin/nft": ""}, "usage: nft", "failed"),
        ({"/usr/sbin/nft": ""}, '{"nftables": []}', "ok"),
    ],
)
def test_what_cannot_be_asked_is_no_answer(
    files: dict[str, str], output: str, status: str, make_host: Callable[..., Host]
) -> None:
    host = make_host(files, outputs={NFT: output})
    assert collect.collect(host, ["firewall"])["firewall"].status == status


CLOSED = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"
EMPTY = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"


def test_without_nft_the_rules_that_iptables_keeps_in_nftables_are_seen(make_host: Callable[..., Host]) -> None:
    programs = dict.fromkeys(
        ("/usr/sbin/iptables-save", "/usr/sbin/iptables-nft-save", "/usr/sbin/iptables-legacy-save"), ""
    )
    outputs = {("/usr/sbin/iptables-nft-save",): CLOSED, ("/usr/sbin/iptables-legacy-save",): EMPTY}
    found = firewall(make_host(programs, outputs=outputs))
    assert (found.backend, found.filtering) == ("iptables", True)
    in_use = programs | {"/proc/net/ip_tables_names": "filter\n"}
    turned = {("/usr/sbin/iptables-nft-save",): EMPTY, ("/usr/sbin/iptables-legacy-save",): CLOSED}
    assert firewall(make_host(in_use, outputs=turned)).filtering is True
    without = {"/proc/modules": "ip_tables 1 0 - Live 0x0\n"}
    assert firewall(make_host(programs | without)).backend == "none"


def test_rules_that_no_program_shows_are_not_taken_for_none(make_host: Callable[..., Host]) -> None:
    programs = dict.fromkeys(("/usr/sbin/nft", "/usr/sbin/iptables-save", "/usr/sbin/xtables-nft-multi"), "")
    host = make_host(
        programs | {"/proc/net/ip_tables_names": "filter\n"},
        outputs={NFT: '{"nftables": []}', ("/usr/sbin/iptables-save",): EMPTY},
    )
    assert collect.collect(host, ["firewall"])["firewall"].status == "unsupported"
