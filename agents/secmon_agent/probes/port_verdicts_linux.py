"""What the packet filter does with those who knock at the ports of this machine."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec
from msgspec import UNSET

from secmon_agent.facts import ListeningPort
from secmon_agent.host import Host
from secmon_agent.probes.filter_linux import filter_rules, speaks_ipv6
from secmon_agent.probes.filter_model import Ruleset
from secmon_agent.probes.filter_verdict import Door, Verdict, verdict, ways_in

_INTERFACES: Final = "/sys/class/net"


def judged(host: Host, ports: tuple[ListeningPort, ...]) -> tuple[ListeningPort, ...]:
    """The same ports, with a verdict where one can be told. Whatever goes wrong with the rules, the ports remain."""
    if not host.privileged or all(port.reach == "loopback" for port in ports):
        return ports
    try:
        rules = filter_rules(host)
        return ports if rules is None else _with_verdicts(host, rules, ports)
    except Exception:  # noqa: BLE001 - a verdict that cannot be told is left out
        return ports


def _with_verdicts(host: Host, rules: Ruleset, ports: tuple[ListeningPort, ...]) -> tuple[ListeningPort, ...]:
    interfaces = ways_in(rules, host.listdir(_INTERFACES))
    ip6 = speaks_ipv6(host)
    return tuple(
        msgspec.structs.replace(port, firewall=_of(rules, port, ports, interfaces, ip6) or UNSET)
        if port.reach == "network"
        else port
        for port in ports
    )


def _of(
    rules: Ruleset,
    port: ListeningPort,
    ports: Collection[ListeningPort],
    interfaces: Collection[str],
    ip6: bool,
) -> Verdict | None:
    alone = port.address == "::" and not any(
        it.address == "0.0.0.0" and (it.protocol, it.port) == (port.protocol, port.port)  # noqa: S104 - compared
        for it in ports
    )
    address = "0.0.0.0" if alone and not ip6 else port.address  # noqa: S104 - compared
    door = Door(protocol=port.protocol, address=address, port=port.port, dual=alone and ip6)
    return verdict(rules, door, interfaces)
