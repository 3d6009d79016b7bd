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
    """The same ports, with a verdict where one can be told."""
    rules = _rules(host) if any(port.reach == "network" for port in ports) else None
    if rules is None:
        return ports
    interfaces = ways_in(rules, host.listdir(_INTERFACES))
    ip6 = speaks_ipv6(host)
    return tuple(
        msgspec.structs.replace(port, firewall=_of(rules, port, ports, interfaces, ip6) or UNSET)
        if port.reach == "network"
        else port
        for port in ports
    )


def _rules(host: Host) -> Ruleset | None:
    """None without the right to see them, or where they cannot be read."""
    if not host.privileged:
        return None
    try:
        return filter_rules(host)
    except Exception:  # noqa: BLE001 - whatever goes wrong with the rules, the ports are told without a verdict
        return None


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
