"""Sockets that wait for others."""

from __future__ import annotations

import re
from typing import Final

from msgspec import UNSET, structs

from secmon_agent.facts import ListeningPort, Ports
from secmon_agent.host import Host
from secmon_agent.probes.port_verdicts_windows import WindowsVerdicts
from secmon_agent.probes.ports_linux import reach
from secmon_agent.system import Socket

_FIRST_EPHEMERAL: Final = 49152
"""Windows' default dynamic range; its RPC services listen there on TCP, so only UDP is left out."""


_SERVICE_HOST: Final = "svchost.exe"
_LAST_EPHEMERAL: Final = 65535
_RPC_PROGRAMS: Final = frozenset({"certsrv.exe", "dfsrs.exe", "dns.exe", "lsass.exe", "services.exe", "spoolsv.exe",
                                  "svchost.exe", "wininit.exe"})  # fmt: skip
"""Windows' own programs that serve RPC on whatever port of the range is free; anybody else's port is told as it is."""


def ports_windows(host: Host) -> Ports:
    """Sources: GetExtendedTcpTable and GetExtendedUdpTable, by psutil; service manager; for `firewall` what the section
    `firewall` reads, the FirewallRules of the machine and of Group Policy, GetTokenInformation.

    Rights: Administrator for `process`, `services` and `firewall` of other users; others leave them out.
    """
    waiting = [it for it in host.system.sockets() if it.protocol == "tcp" or it.port < _FIRST_EPHEMERAL]
    hosted, verdicts = _hosted(host), _verdicts(host)
    ip4 = {(it.protocol, it.port) for it in waiting if it.address == "0.0.0.0"}  # noqa: S104 - compared
    found: dict[ListeningPort, None] = {}
    for it in waiting:
        port = _port(it, hosted or {})
        if port.reach == "network" and verdicts is not None:
            alone = it.address == "::" and (it.protocol, it.port) not in ip4
            port = structs.replace(port, firewall=verdicts.of(it, _services(it, hosted), alone) or UNSET)
        found[port] = None
    return Ports(listening=tuple(found))


def _verdicts(host: Host) -> WindowsVerdicts | None:
    try:
        return WindowsVerdicts(host)
    except Exception:  # noqa: BLE001 - whatever goes wrong with the rules, the ports are told without a verdict
        return None


def _services(it: Socket, hosted: dict[int, list[str]] | None) -> tuple[str, ...] | None:
    """Of the process; None where they are not known."""
    if it.process == "System":
        return ()
    if hosted is None or it.pid is UNSET:
        return None
    found = tuple(hosted.get(it.pid, ()))
    return found if found or it.process != _SERVICE_HOST else None


def _port(it: Socket, hosted: dict[int, list[str]]) -> ListeningPort:
    dynamic = it.port >= _FIRST_EPHEMERAL and (it.process or "").lower() in _RPC_PROGRAMS
    services = UNSET if it.pid is UNSET else tuple(sorted(hosted.get(it.pid, ()))) or UNSET
    return ListeningPort(
        protocol=it.protocol,
        address=it.address,
        port=_FIRST_EPHEMERAL if dynamic else it.port,
        reach=reach(it.address),
        process=it.process,
        services=services,
        last_port=_LAST_EPHEMERAL if dynamic else UNSET,
    )


def _hosted(host: Host) -> dict[int, list[str]] | None:
    """Names of the services of each process; None without the right to ask."""
    try:
        found = host.system.service_processes()
    except OSError:
        return None
    hosted: dict[int, list[str]] = {}
    for name, pid in found.items():
        # A copy of a service for one logon has a random ending.
        hosted.setdefault(pid, []).append(re.sub(r"_[0-9a-f]{4,}$", "", name))
    return hosted
