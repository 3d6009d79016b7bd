"""Sockets that wait for others."""

from __future__ import annotations

from typing import Final

from secmon_agent.facts import ListeningPort, Ports
from secmon_agent.host import Host
from secmon_agent.probes.ports_linux import reach

_FIRST_EPHEMERAL: Final = 49152
"""Windows' default dynamic range; its RPC services listen there on TCP, so only UDP is left out."""


def ports_windows(host: Host) -> Ports:
    """Source: GetExtendedTcpTable and GetExtendedUdpTable, by psutil."""
    waiting = [it for it in host.system.sockets() if it.protocol == "tcp" or it.port < _FIRST_EPHEMERAL]
    found = {
        ListeningPort(
            protocol=it.protocol, address=it.address, port=it.port, reach=reach(it.address), process=it.process
        ): None
        for it in waiting
    }
    return Ports(listening=tuple(found))
