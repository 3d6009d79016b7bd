"""Which programs run, by name, and which sockets they hold. No command lines."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

import msgspec

from secmon_agent.host import Host

_PLACES: Final = "ports.places"


class Owner(NamedTuple):
    """The process that holds a socket."""

    program: str
    pid: int


def runs(host: Host, program: str) -> bool | None:
    """Whether a program of this name (`comm`, 15 characters at most) runs; None where others' processes are hidden."""
    if program in _names(host):
        return True
    return False if 1 in _pids(host) else None


def programs(host: Host) -> tuple[frozenset[str], bool]:
    """Names of the programs that run, as `runs` takes them, and whether those of others are among them."""
    return _names(host), 1 in _pids(host)


def _names(host: Host) -> frozenset[str]:
    return host.once("processes", lambda: frozenset(_name(host, pid) for pid in _pids(host)))


def socket_owners(host: Host, inodes: AbstractSet[int]) -> dict[int, Owner]:
    """Process that holds each socket, as far as this agent may see. A socket that pid 1 opened for another goes to
    the other. Where a socket was held in an earlier cycle is looked at first: to look everywhere costs the most of all
    probes."""
    remembered = _remembered(host)
    places = {inode: place for inode, place in remembered.items() if inode in inodes and _holds(host, place, inode)}
    if inodes - places.keys():
        places |= _search(host, inodes - places.keys())
    if places != remembered:
        host.memory.put(_PLACES, msgspec.msgpack.encode(places))
    owners = {inode: Owner(_name(host, _pid(place)), _pid(place)) for inode, place in places.items()}
    return {inode: owner for inode, owner in owners.items() if owner.program}


def _search(host: Host, inodes: AbstractSet[int]) -> dict[int, str]:
    """Where each socket is held: `/proc/<pid>/fd/<number>` of the first process, pid 1 last."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    places: dict[int, str] = {}
    for pid in _pids(host):
        for place, link in _links(host, pid):
            inode = wanted.get(link)
            if inode is not None and (inode not in places or _name(host, _pid(places[inode])) == "systemd"):
                places[inode] = place
    return places


def _remembered(host: Host) -> dict[int, str]:
    try:
        return msgspec.msgpack.decode(host.memory.get(_PLACES) or b"", type=dict[int, str])
    except msgspec.DecodeError:
        return {}


def _holds(host: Host, place: str, inode: int) -> bool:
    return _link(host, place) == f"socket:[{inode}]" and _name(host, _pid(place)) not in ("", "systemd")


def _link(host: Host, place: str) -> str:
    """Empty where it is gone, or hidden."""
    try:
        return host.files.readlink(place)
    except OSError:
        return ""


def _pid(place: str) -> int:
    return int(place.split("/")[2])


def _pids(host: Host) -> list[int]:
    return host.once("pids", lambda: sorted(int(name) for name in host.listdir("/proc") if name.isdecimal()))


def _name(host: Host, pid: int) -> str:
    """Empty for a process that has ended, or is hidden."""
    try:
        return host.text(f"/proc/{pid}/comm").strip()
    except OSError:
        return ""


def _links(host: Host, pid: int) -> list[tuple[str, str]]:
    folder = f"/proc/{pid}/fd"
    links: list[tuple[str, str]] = []
    try:
        for name in host.files.listdir(folder):
            try:
                links.append((f"{folder}/{name}", host.files.readlink(f"{folder}/{name}")))
            except OSError:
                continue
    except OSError:
        return links
    return links
