"""Sockets that wait for others."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import Final

from msgspec import UNSET, Struct

from secmon_agent.facts import ListeningPort, Ports, Reach
from secmon_agent.host import Host
from secmon_agent.probes.port_verdicts_linux import judged
from secmon_agent.probes.processes_linux import Owner, socket_owners
from secmon_agent.probes.services_systemd import unit_of

_TABLES: Final = (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07"))
"""Tables of /proc/net, and the state of a socket that waits: LISTEN, or unconnected."""
_MAX_TABLE_BYTES: Final = 32 << 20
_DEFAULT_EPHEMERAL: Final = (32768, 60999)


class Waiting(Struct, frozen=True, kw_only=True):
    address: str
    port: int
    inode: int


def ports_linux(host: Host) -> Ports:
    """Sources: /proc/net/{tcp,tcp6,udp,udp6}, /proc/<pid>/fd, /proc/<pid>/cgroup; for `firewall` `nft -j list ruleset`
    and `iptables-save`. UDP sockets in the ephemeral range are answers awaited, not services.

    Rights: root, or CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE, for `process` and `services` of other users, and
    CAP_NET_ADMIN for `firewall`; others leave them out.
    """
    low, high = _ephemeral(host)
    found = [
        (table[:3], row)
        for table, state in _TABLES
        for row in parse_table(host.text_if_any(f"/proc/net/{table}", _MAX_TABLE_BYTES) or "", state)
        if table[:3] == "tcp" or not low <= row.port <= high
    ]
    owners = socket_owners(host, {row.inode for _, row in found} - {0})
    units = {pid: unit_of(host, pid) for pid in {owner.pid for owner in owners.values()}}
    listening = {_port(protocol, row, owners.get(row.inode), units): None for protocol, row in found}
    return Ports(listening=judged(host, tuple(listening)))


def _port(protocol: str, row: Waiting, owner: Owner | None, units: Mapping[int, str | None]) -> ListeningPort:
    unit = units[owner.pid] if owner else None
    return ListeningPort(
        protocol="tcp" if protocol == "tcp" else "udp",
        address=row.address,
        port=row.port,
        reach=reach(row.address),
        process=owner.program if owner else UNSET,
        services=(unit,) if unit else UNSET,
    )


def parse_table(text: str, state: str) -> list[Waiting]:
    """Rows of one of the kernel's tables in this state. ValueError for a table of another shape."""
    nobody_yet = f":0000 {state} "  # the other side's port, then the state: a busy server has thousands of other rows
    rows = [line.split() for line in text.splitlines()[1:] if nobody_yet in line]
    waiting = [row for row in rows if len(row) >= 10 and row[3] == state]
    return [_waiting(row) for row in waiting if row[2].endswith(":0000")]


def reach(address: str) -> Reach:
    return "loopback" if address == "::1" or re.match(r"(::ffff:)?127\.", address) else "network"


def _waiting(row: list[str]) -> Waiting:
    address, _, port = row[1].partition(":")
    return Waiting(address=_address(address), port=int(port, 16), inode=int(row[9]))


def _address(text: str) -> str:
    """The kernel writes each 32-bit word in the machine's byte order."""
    raw = bytes.fromhex(text)
    if len(raw) not in (4, 16):
        raise ValueError("address of unknown length in /proc/net")
    ordered = b"".join(_word(raw[start : start + 4]) for start in range(0, len(raw), 4))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, ordered)


def _word(word: bytes) -> bytes:
    """Every machine this runs on is little-endian."""
    return word[::-1]


def _ephemeral(host: Host) -> tuple[int, int]:
    words = (host.text_if_any("/proc/sys/net/ipv4/ip_local_port_range") or "").split()
    return (int(words[0]), int(words[1])) if len(words) == 2 else _DEFAULT_EPHEMERAL
