"""Which programs run, by name, and which sockets they hold. No command lines."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from secmon_agent.host import Host

_PLACES: Final = "ports.places"
_INIT: Final = "systemd"
_MANY: Final = 32
"""Processes that are looked through again in each cycle rather than write to the disk."""


class Owner(NamedTuple):
    """The process that holds a socket."""

    program: str
    pid: int


class _Found(Struct, frozen=True, kw_only=True):
    """What is remembered of a cycle."""

    places: dict[int, str]
    """`/proc/<pid>/fd/<number>` by socket."""
    unsettled: frozenset[int]
    """Sockets that were looked for everywhere, and found with pid 1 alone or not at all."""
    pids: frozenset[int]
    """Processes that were looked through."""
    day: int


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
    the other. To look everywhere costs the most of all probes, so that is done for sockets not met before, and once a
    day: where one was held in an earlier cycle is looked at first, and for one of which nothing or only pid 1 was found
    then, only processes that have come since are looked through."""
    before = _remembered(host)
    places = {inode: place for inode, place in before.places.items() if inode in inodes and _holds(host, place, inode)}
    pids = frozenset(_pids(host))
    open_before = _unsettled(host, places, inodes) & before.unsettled
    come = pids - before.pids
    places |= _search(host, _unsettled(host, places, inodes) - open_before, pids)
    places |= _search(host, open_before, come)
    now = _Found(places=places, unsettled=_unsettled(host, places, inodes), pids=pids, day=before.day)
    if (now.places, now.unsettled) != (before.places, before.unsettled) or (now.unsettled and len(come) > _MANY):
        host.memory.put(_PLACES, msgspec.msgpack.encode(now))
    owners = {inode: Owner(_name(host, _pid(place)), _pid(place)) for inode, place in places.items()}
    return {inode: owner for inode, owner in owners.items() if owner.program}


def _unsettled(host: Host, places: Mapping[int, str], inodes: AbstractSet[int]) -> frozenset[int]:
    """Sockets that a process may come to hold which nobody, or pid 1 for it, holds yet."""
    return frozenset(it for it in inodes if it not in places or _name(host, _pid(places[it])) == _INIT)


def _search(host: Host, inodes: AbstractSet[int], pids: AbstractSet[int]) -> dict[int, str]:
    """Where each socket is held: `/proc/<pid>/fd/<number>` of the first process, pid 1 last."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    places: dict[int, str] = {}
    for pid in sorted(pids) if wanted else ():
        for place, link in _links(host, pid):
            inode = wanted.get(link)
            if inode is not None and (inode not in places or _name(host, _pid(places[inode])) == _INIT):
                places[inode] = place
    return places


def _remembered(host: Host) -> _Found:
    """Of today; nothing on the first cycle of a day."""
    today = host.now().toordinal()
    with contextlib.suppress(msgspec.DecodeError):
        found = msgspec.msgpack.decode(host.memory.get(_PLACES) or b"", type=_Found)
        if found.day == today:
            return found
    return _Found(places={}, unsettled=frozenset(), pids=frozenset(), day=today)


def _holds(host: Host, place: str, inode: int) -> bool:
    return _link(host, place) == f"socket:[{inode}]" and _name(host, _pid(place)) != ""


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
    return host.once(f"comm {pid}", lambda: _name_now(host, pid))


def _name_now(host: Host, pid: int) -> str:
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
