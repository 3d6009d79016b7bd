"""Which programs run, by name, and which sockets they hold. No command lines."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from secmon_agent.host import Host


def runs(host: Host, program: str) -> bool | None:
    """Whether a program of this name (`comm`, 15 characters at most) runs; None where others' processes are hidden."""
    if program in _names(host):
        return True
    return False if 1 in _pids(host) else None


def _names(host: Host) -> frozenset[str]:
    return host.once("processes", lambda: frozenset(_name(host, pid) for pid in _pids(host)))


def socket_owners(host: Host, inodes: AbstractSet[int]) -> dict[int, str]:
    """Program that holds each socket, as far as this agent may see. A socket that pid 1 opened for another goes to
    the other."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    owners: dict[int, str] = {}
    for pid in _pids(host):
        if owners.keys() == inodes and "systemd" not in owners.values():
            break
        held = {wanted[link] for link in _links(host, pid) if link in wanted}
        if held:
            name = _name(host, pid)
            for inode in held:
                if name and (inode not in owners or owners[inode] == "systemd"):
                    owners[inode] = name
    return owners


def _pids(host: Host) -> list[int]:
    return host.once("pids", lambda: sorted(int(name) for name in host.listdir("/proc") if name.isdecimal()))


def _name(host: Host, pid: int) -> str:
    """Empty for a process that has ended, or is hidden."""
    try:
        return host.text(f"/proc/{pid}/comm").strip()
    except OSError:
        return ""


def _links(host: Host, pid: int) -> list[str]:
    folder = f"/proc/{pid}/fd"
    links = []
    try:
        for name in host.files.listdir(folder):
            try:
                links.append(host.files.readlink(f"{folder}/{name}"))
            except OSError:
                continue
    except OSError:
        return links
    return links
