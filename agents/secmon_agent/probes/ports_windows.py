"""Sockets that wait for others."""

from __future__ import annotations

import re
from typing import Final

from msgspec import UNSET

from secmon_agent.facts import ListeningPort, Ports
from secmon_agent.host import Host
from secmon_agent.probes.ports_linux import reach
from secmon_agent.system import Socket

_FIRST_EPHEMERAL: Final = 49152
"""Windows' default dynamic range; its RPC services listen there on TCP, so only UDP is left out."""


_LAST_EPHEMERAL: Final = 65535
_RPC_PROGRAMS: Final = frozenset({"certsrv.exe", "dfsrs.exe", "dns.exe", "lsass.exe", "services.exe", "spoolsv.exe",
                                  "svchost.exe", "wininit.exe"})  # fmt: skip
"""Windows' own programs that serve RPC on whatever port of the range is free; anybody else's port is told as it is."""


def ports_windows(host: Host) -> Ports:
    """Sources: GetExtendedTcpTable and GetExtendedUdpTable, by psutil; service manager.

    Rights: Administrator for `process` and `services` of other users; others leave them out.
    """
    waiting = [it for it in host.system.sockets() if it.protocol == "tcp" or it.port < _FIRST_EPHEMERAL]
    hosted = _hosted(host)
    return Ports(listening=tuple({_port(it, hosted): None for it in waiting}))


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


def _hosted(host: Host) -> dict[int, list[str]]:
    """Names of the services of each process; none without the right to ask."""
    try:
        found = host.system.service_processes()
    except OSError:
        return {}
    hosted: dict[int, list[str]] = {}
    for name, pid in found.items():
        # A copy of a service for one logon has a random ending.
        hosted.setdefault(pid, []).append(re.sub(r"_[0-9a-f]{4,}$", "", name))
    return hosted
