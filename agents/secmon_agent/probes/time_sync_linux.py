"""Who keeps the clock right."""

from __future__ import annotations

import re
from typing import Final

from msgspec import UNSET, UnsetType

from secmon_agent.facts import TimeSync
from secmon_agent.host import Host
from secmon_agent.probes import systemd
from secmon_agent.probes.processes_linux import runs
from secmon_agent.probes.settings_files import merged_ini
from secmon_agent.probes.virtualization_linux import container

_CLIENTS: Final = (
    ("chronyd", "chrony", ("/usr/sbin/chronyd",)),
    ("ntpd", "ntpsec", ("/usr/sbin/ntpd",)),
    ("systemd-timesyn", "systemd-timesyncd", ("/usr/lib/systemd/systemd-timesyncd", "/lib/systemd/systemd-timesyncd")),
)
"""Name of the running program (the kernel keeps 15 characters), name of the client, where its program lies."""
_CHRONY: Final = ("/etc/chrony/chrony.conf", "/etc/chrony.conf")
_NTP: Final = ("/etc/ntpsec/ntp.conf", "/etc/ntp.conf")


def time_sync(host: Host) -> TimeSync:
    """Sources: running programs, chrony.conf, ntp.conf, timesyncd.conf, adjtimex. A container has its host's clock.

    Rights: none; whether a client runs is left out where others' processes are hidden.
    """
    running, client = _client(host)
    return TimeSync(
        client=client,
        running=UNSET if client in (UNSET, "host", "none") or running is None else running,
        servers=_servers(host, client),
        synchronized=_synchronized(host),
    )


def _client(host: Host) -> tuple[bool | None, str | UnsetType]:
    """Whether it runs (None where processes are hidden), and its name."""
    for program, client, _ in _CLIENTS:
        if runs(host, program):
            return True, client
    running = runs(host, _CLIENTS[0][0])
    if container(host):
        return running, "host"
    for _, client, paths in _CLIENTS:
        if any(host.exists(path) for path in paths) and _starts(host, client):
            return running, client
    return running, "none" if running is False else UNSET


def _starts(host: Host, client: str) -> bool:
    """An installed client that nothing starts keeps no clock right."""
    return any(unit.startswith(client) for unit in systemd.wanted_units(host))


def _servers(host: Host, client: str | UnsetType) -> tuple[str, ...] | UnsetType:
    if client == "systemd-timesyncd":
        settings = merged_ini(host, "/etc/systemd/timesyncd.conf").get("Time", {})
        found = settings.get("NTP", "").split() or settings.get("FallbackNTP", "").split()
        return tuple(dict.fromkeys(found)) if found else UNSET
    if client == "chrony":
        return _sources(host, _CHRONY, "/etc/chrony")
    if client == "ntpsec":
        return _sources(host, _NTP, "")
    return UNSET


def _sources(host: Host, names: tuple[str, ...], base: str) -> tuple[str, ...]:
    texts = [host.text_if_any(name) or "" for name in names]
    for folder, suffix in ((f"{base}/conf.d", ".conf"), (f"{base}/sources.d", ".sources")) if base else ():
        texts += [host.text(f"{folder}/{name}") for name in host.listdir(folder) if name.endswith(suffix)]
    found = [re.findall(r"^[ \t]*(?:server|pool|peer)[ \t]+(\S+)", text, re.MULTILINE) for text in texts]
    return tuple(dict.fromkeys(name for names_ in found for name in names_))


def _synchronized(host: Host) -> bool | UnsetType:
    try:
        return host.system.clock_synchronized()
    except (OSError, NotImplementedError):
        return UNSET
