"""Linux: what the packet filter does with those who knock at a port, by the rules that ufw and firewalld make, and
where it must not be told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from msgspec import UNSET

from secmon_agent.host import Host
from secmon_agent.probes.firewall_linux import firewall
from secmon_agent.probes.ports_linux import ports_linux

RULES: Final = Path(__file__).parent / "rulesets"
NFT: Final = ("/usr/sbin/nft", "-j", "list", "ruleset")
SAVE: Final = {"ip4": "/usr/sbin/iptables-nft-save", "ip6": "/usr/sbin/ip6tables-nft-save"}
IP6: Final = {"/proc/net/if_inet6": "fd000000000000000000000000000001 02 40 00 80 eth0\n"}
EVERYWHERE4, EVERYWHERE6 = "00000000", "0" * 32

MakeHost = Callable[..., Host]


def waiting(*ports: tuple[str, str, int]) -> dict[str, str]:
    """Tables of /proc/net with sockets by (table, address as the kernel writes it, port)."""
    tables: dict[str, str] = {}
    for table, address, port in ports:
        state = "0A" if table.startswith("tcp") else "07"
        row = f"   0: {address}:{port:04X} {'0' * len(address)}:0000 {state} 0:0 00:0 0 0 0 1 1 0 0\n"
        tables[f"/proc/net/{table}"] = tables.get(f"/proc/net/{table}", "head\n") + row
    return tables


def verdicts(host: Host) -> list[object]:
    found = ports_linux(host).listening
    return [it.firewall if it.firewall is not UNSET else None for it in found or ()]


@pytest.fixture
def of(make_host: MakeHost) -> Callable[..., list[object]]:
    """Verdicts on these sockets under the rules that a manager made."""

    def of_(manager: str, *ports: tuple[str, str, int], interfaces: tuple[str, ...] = ("eth0", "lo")) -> list[object]:
        outputs: dict[tuple[str, ...], str] = {NFT: (RULES / f"{manager}.json").read_text()}
        for suffix, program in SAVE.items():
            if (RULES / f"{manager}.{suffix}").exists():
                outputs[(program,)] = (RULES / f"{manager}.{suffix}").read_text()
        files = dict.fromkeys(("/usr/sbin/nft", "/usr/sbin/iptables-save", *SAVE.values()), "")
        folders = [f"/sys/class/net/{name}" for name in interfaces]
        return verdicts(make_host(files | IP6 | waiting(*ports), outputs=outputs, folders=folders))

    return of_


@pytest.mark.parametrize(
    ("table", "port", "expected"),
    [
        ("tcp", 22, "allowed"),
        ("tcp", 80, "allowed"),
        ("tcp", 6007, "allowed"),
        ("tcp", 6008, "blocked"),
        ("tcp", 23, "blocked"),
        ("tcp", 3306, "blocked"),
        ("tcp", 5432, "restricted"),
        ("tcp", 3000, "allowed"),
        ("tcp", 2222, None),
        ("udp", 161, "blocked"),
        ("udp", 3000, "allowed"),
        ("udp", 68, None),
        ("udp", 5353, None),
    ],
)
def test_it_tells_what_ufw_does(of: Callable[..., list[object]], table: str, port: int, expected: object) -> None:
    assert of("ufw", (table, EVERYWHERE4, port)) == [expected]


@pytest.mark.parametrize(
    ("port", "expected"),
    [(22, "allowed"), (80, "allowed"), (6007, "allowed"), (3306, "restricted"), (5432, "restricted")],
)
def test_it_tells_what_firewalld_does(of: Callable[..., list[object]], port: int, expected: object) -> None:
    assert of("firewalld", ("tcp", EVERYWHERE4, port)) == [expected]


def test_a_trusted_network_is_one_of_ipv4(of: Callable[..., list[object]]) -> None:
    both = (("tcp", EVERYWHERE4, 3306), ("tcp6", EVERYWHERE6, 3306))
    assert sorted(map(str, of("firewalld", *both))) == ["blocked", "restricted"]


def test_a_socket_for_both_families_is_judged_where_they_agree(of: Callable[..., list[object]]) -> None:
    assert of("firewalld", ("tcp6", EVERYWHERE6, 22)) == ["allowed"]
    assert of("firewalld", ("tcp6", EVERYWHERE6, 3306)) == [None]
    assert of("ufw", ("tcp6", EVERYWHERE6, 3306)) == ["blocked"]


def test_a_port_that_is_reached_by_another_is_left_open(of: Callable[..., list[object]]) -> None:
    assert of("firewalld-forward", ("tcp", EVERYWHERE4, 8080)) == [None]
    assert of("firewalld-forward", ("tcp", EVERYWHERE4, 81)) == [None]
    assert of("firewalld-forward", ("tcp", EVERYWHERE4, 3306)) == ["restricted"]


def test_where_an_interface_has_rules_of_its_own_the_others_count_too(of: Callable[..., list[object]]) -> None:
    assert of("ufw", ("tcp", EVERYWHERE4, 3000), interfaces=("eth0", "eth1")) == ["restricted"]


def test_what_only_this_machine_reaches_has_no_verdict(of: Callable[..., list[object]]) -> None:
    assert of("ufw", ("tcp", "0100007F", 3306)) == [None]


@pytest.mark.parametrize("manager", ["ufw", "firewalld", "firewalld-forward"])
def test_what_a_manager_made_filters(make_host: MakeHost, manager: str) -> None:
    found = firewall(make_host({"/usr/sbin/nft": ""} | IP6, outputs={NFT: (RULES / f"{manager}.json").read_text()}))
    assert (found.backend, found.filtering) == ("nftables", True)


def nft(*items: dict[str, object]) -> str:
    table: dict[str, object] = {"table": {"family": "inet", "name": "t"}}
    return json.dumps({"nftables": [table, *items]})


def base(**changes: object) -> dict[str, object]:
    own = {"family": "inet", "table": "t", "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}
    return {"chain": own | changes}


def rule(*expr: object, **changes: object) -> dict[str, object]:
    own: dict[str, object] = {"family": "inet", "table": "t", "chain": "in", "expr": list(expr)}
    return {"rule": own | changes}


def dport(port: object, op: str = "==") -> dict[str, object]:
    return {"match": {"op": op, "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": port}}


ACCEPT, DROP = {"accept": None}, {"drop": None}
LEARNT: Final[dict[str, dict[str, object]]] = {
    "set": {"family": "inet", "table": "t", "name": "s", "type": "ipv4_addr", "flags": ["timeout"], "elem": []}
}
FROM_LEARNT = {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@s"}}
FIXED = {"set": {"family": "inet", "table": "t", "name": "s", "type": "ipv4_addr", "elem": ["192.0.2.7"]}}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([base()], "blocked"),
        ([base(policy="accept")], "allowed"),
        ([base(), rule(dport(22), ACCEPT)], "allowed"),
        ([base(), rule(dport({"set": [80, {"range": [20, 30]}]}), ACCEPT)], "allowed"),
        ([base(), rule({"limit": {"rate": 1}}, ACCEPT)], None),
        ([base(), rule(dport(80), {"limit": {"rate": 1}}, ACCEPT)], "blocked"),
        ([base(), rule({"something": "new"}, ACCEPT)], None),
        ([base(), rule({"match": {"op": "==", "left": {"new": 1}, "right": 2}}, ACCEPT)], None),
        ([base(), LEARNT, rule(FROM_LEARNT, ACCEPT)], None),
        ([base(), {"set": {**LEARNT["set"], "flags": "dynamic"}}, rule(FROM_LEARNT, ACCEPT)], None),
        ([base(), FIXED, rule(FROM_LEARNT, ACCEPT)], "restricted"),
        ([base(policy="accept"), FIXED, rule(FROM_LEARNT, DROP)], "allowed"),
        ([base(policy="accept"), rule({"jump": {"target": "gone"}})], None),
        ([base(), rule({"queue": {"num": 1}})], None),
        ([base(), rule(dport(22), {"xt": {"type": "target", "name": "NFLOG"}})], None),
        ([base(), base(name="pre", type="nat", hook="prerouting", policy="accept"),
          rule(dport(22), {"dnat": {"addr": "192.0.2.9"}}, chain="pre")], None),
        ([base(), base(family="netdev", name="x", hook="ingress", policy="accept"),
          rule({"fwd": {"dev": "eth1"}}, family="netdev", chain="x")], None),
        ([base(), base(family="bridge", name="x", policy="accept")], "blocked"),
        ([base(policy="accept"), base(name="late", prio=10)], "blocked"),
        ([base(policy="accept"), base(name="out", hook="output"), base(name="fwd", hook="forward")], "allowed"),
        ([], "allowed"),
    ],
)  # fmt: skip
def test_it_tells_what_is_sure_and_leaves_out_the_rest(
    make_host: MakeHost, rules: list[dict[str, object]], expected: object
) -> None:
    files = {"/usr/sbin/nft": ""} | waiting(("tcp", EVERYWHERE4, 22))
    assert verdicts(make_host(files, outputs={NFT: nft(*rules)})) == [expected]


def test_without_the_right_to_see_the_rules_there_is_no_verdict(make_host: MakeHost) -> None:
    files = {"/usr/sbin/nft": ""} | waiting(("tcp", EVERYWHERE4, 22))
    assert verdicts(make_host(files, outputs={NFT: nft(base())}, privileged=False)) == [None]
    assert verdicts(make_host(files)) == [None]
    assert verdicts(make_host(files, outputs={NFT: "nonsense"})) == [None]


def test_ports_are_told_though_the_interfaces_are_hidden(make_host: MakeHost) -> None:
    files = {"/usr/sbin/nft": ""} | waiting(("tcp", EVERYWHERE4, 22))
    hidden = make_host(files, outputs={NFT: nft(base())}, denied=["/sys/class/net"], folders=["/sys/class/net/eth0"])
    assert verdicts(hidden) == [None]


OLD: Final = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n"
LEGACY: Final = {"/proc/net/ip_tables_names": "filter\n"}


def test_rules_without_nftables_count_as_well(make_host: MakeHost) -> None:
    ports = waiting(("tcp", EVERYWHERE4, 22), ("tcp", EVERYWHERE4, 23))
    files = {"/usr/sbin/nft": "", "/usr/sbin/iptables-legacy-save": ""} | LEGACY | ports
    outputs = {NFT: nft(base(policy="accept")), ("/usr/sbin/iptables-legacy-save",): OLD}
    assert verdicts(make_host(files, outputs=outputs)) == ["allowed", "blocked"]


def test_rules_that_no_program_shows_leave_everything_open(make_host: MakeHost) -> None:
    ports = waiting(("tcp", EVERYWHERE4, 23))
    other = {"/usr/sbin/nft": "", "/usr/sbin/iptables-save": "", "/usr/sbin/xtables-nft-multi": ""} | LEGACY | ports
    assert verdicts(make_host(other, outputs={NFT: nft(base()), ("/usr/sbin/iptables-save",): OLD})) == [None]
    unseen = {"/usr/sbin/iptables-save": "", "/proc/modules": "nf_tables 1 0 - Live 0x0\n"} | ports
    assert verdicts(make_host(unseen, outputs={("/usr/sbin/iptables-save",): OLD})) == [None]
    alone = unseen | {"/proc/modules": "ip_tables 1 0 - Live 0x0\n"}
    assert verdicts(make_host(alone, outputs={("/usr/sbin/iptables-save",): OLD})) == ["blocked"]
