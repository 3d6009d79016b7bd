"""Services of a machine with systemd, from unit files and control groups. systemctl is not run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import UNSET, UnsetType

from secmon_agent.facts import Service, Services
from secmon_agent.host import AbsentError, Host
from secmon_agent.probes import systemd
from secmon_agent.probes.accounts_linux import person_ids

_HIERARCHIES: Final = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
_SLICE: Final = "/system.slice"
_GROUP: Final = re.compile(
    r"^\d+:(?:name=systemd)?:/system\.slice/(?:[^/\n]+\.slice/)*([^/\n]+\.service)(?:/|$)", re.MULTILINE
)
"""A line of cgroups(7): what systemd runs for the system, not for a person."""


def services(host: Host) -> Services:
    """Sources: systemd's unit folders, /sys/fs/cgroup, /etc/passwd. Where systemd is installed but did not start this
    machine (a container), `running` stays undetermined.

    Rights: none.
    """
    if not systemd.installed(host):
        raise AbsentError("no systemd on this machine")
    running, people = running_units(host), person_ids(host)
    return Services(
        manager="systemd",
        services=tuple(
            Service(name=impersonal(unit.name, people), start=unit.start, running=_running(unit, running))
            for unit in systemd.units(host)
        ),
    )


def impersonal(name: str, people: Mapping[str, int]) -> str:
    """A unit that is made for a person (`syncthing@hanako.service`) bears the uid instead."""
    template, at, rest = name.partition("@")
    instance, _, suffix = rest.rpartition(".")
    return f"{template}@uid:{people[instance]}.{suffix}" if at and instance in people else name


def running_units(host: Host) -> frozenset[str] | None:
    """Services whose control group holds a process; None where systemd does not run here."""
    if not systemd.booted(host):
        return None
    return host.once("systemd.running", lambda: frozenset(_populated(host)))


def unit_of(host: Host, pid: int) -> str | None:
    """Service in whose control group a process is; None for a person's programs, containers, and what is hidden. Of an
    instance that nobody enabled, such as one for each connection, the template."""
    try:
        found = _GROUP.search(host.text_if_any(f"/proc/{pid}/cgroup") or "")
    except OSError:
        return None
    if found is None:
        return None
    name = found[1]
    steady = "@" not in name or name in systemd.wanted_units(host)
    return impersonal(name if steady else re.sub(r"@.*(?=\.service)", "@", name), person_ids(host))


def _running(unit: systemd.Unit, running: frozenset[str] | None) -> bool | UnsetType:
    return unit.name in running if unit.resident and running is not None else UNSET


def _populated(host: Host) -> list[str]:
    base = next((path for path in _HIERARCHIES if host.exists(path + _SLICE)), None)
    if base is None:
        return []
    folders = [base + _SLICE]
    names: list[str] = []
    while folders:
        folder = folders.pop()
        for name in host.listdir(folder):
            if name.endswith(".slice"):
                folders.append(f"{folder}/{name}")
            elif name.endswith(".service") and _has_process(host, f"{folder}/{name}"):
                names.append(name)
    return names


def _has_process(host: Host, group: str) -> bool:
    events = host.text_if_any(f"{group}/cgroup.events")
    if events is not None:
        return "populated 1" in events
    return bool((host.text_if_any(f"{group}/cgroup.procs") or "").strip())
