"""Units on disk: which there are and which start by themselves, without asking systemd. Shared by several probes."""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import Struct

from secmon_agent.host import Host

Start = Literal["auto", "disabled", "masked", "static"]

CONFIGURED: Final = ("/etc/systemd/system", "/run/systemd/system")
"""Folders whose links say what was enabled."""
SHIPPED: Final = ("/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_SUFFIXES: Final = (".service", ".socket")
_STARTERS: Final = (".socket", ".timer", ".path")
"""Units of the same name that start a service when something happens."""
_MAX_UNIT_BYTES: Final = 1 << 18


class Unit(Struct, frozen=True, kw_only=True):
    name: str
    start: Start
    resident: bool
    """Meant to run all the time: no one-shot, not started on demand."""


def installed(host: Host) -> bool:
    return any(host.stat(folder) is not None for folder in SHIPPED[1:])


def booted(host: Host) -> bool:
    """systemd is the init of this machine right now."""
    return host.exists("/run/systemd/system")


def wanted_units(host: Host) -> frozenset[str]:
    """Units that a link in a `.wants` or `.requires` folder, or an alias, enables."""
    return host.once("systemd.wanted", lambda: frozenset(_enabled(host)))


def units(host: Host) -> list[Unit]:
    """Services and sockets; instances of templates where they are enabled, aliases under their own unit's name."""
    return host.once("systemd.units", lambda: _units(host))


def _units(host: Host) -> list[Unit]:
    paths = _paths(host)
    wanted = wanted_units(host)
    depends = (host.marks(*paths.values()), sorted(wanted))
    return host.remembered("systemd.units", depends, list[Unit], lambda: _read_all(host, paths, wanted))


def _paths(host: Host) -> dict[str, str]:
    """File of each unit; an earlier folder hides a later one."""
    paths: dict[str, str] = {}
    for folder in (*CONFIGURED, *SHIPPED):
        if folder.startswith("/lib/") and host.files.realpath("/lib") == "/usr/lib":
            continue
        for name in host.listdir(folder):
            if name.endswith(_SUFFIXES):
                paths.setdefault(name, f"{folder}/{name}")
    return paths


def _enabled(host: Host) -> list[str]:
    names: list[str] = []
    for folder in CONFIGURED:
        for name in host.listdir(folder):
            if name.endswith((".wants", ".requires")):
                names += host.listdir(f"{folder}/{name}")
            elif (target := host.readlink(f"{folder}/{name}")) and target != "/dev/null":
                names += [target.rpartition("/")[2]]
    return names


def _read_all(host: Host, paths: dict[str, str], wanted: frozenset[str]) -> list[Unit]:
    found = [_read(host, name, path, wanted, paths) for name, path in sorted(paths.items()) if "@." not in name]
    found += [
        _read(host, name, paths[template], wanted, paths)
        for name in sorted(wanted)
        if name not in paths and (template := re.sub(r"@.*(?=\.)", "@", name)) in paths and "@." not in name
    ]
    return [unit for unit in found if unit is not None]


def _read(host: Host, name: str, path: str, wanted: frozenset[str], paths: dict[str, str]) -> Unit | None:
    """None for an alias of another unit, and for a link that leads nowhere."""
    target = host.readlink(path)
    if target == "/dev/null":
        return Unit(name=name, start="masked", resident=False)
    if target is not None and target.rpartition("/")[2] not in (name, path.rpartition("/")[2]):
        return None
    text = host.text_if_any(path, _MAX_UNIT_BYTES)
    if text is None:
        return None
    if not text.strip():
        return Unit(name=name, start="masked", resident=False)
    start = _start(text, name in wanted)
    kind = re.search(r"^Type[ \t]*=[ \t]*(\S+)", text, re.MULTILINE)
    starters = {name.replace(".service", suffix) for suffix in _STARTERS}
    on_demand = start == "static" or not wanted.isdisjoint(starters)
    resident = name.endswith(".service") and not on_demand and (kind is None or kind[1] != "oneshot")
    return Unit(name=name, start=start, resident=resident)


def _start(text: str, wanted: bool) -> Start:
    if wanted:
        return "auto"
    install = re.split(r"^\[Install\][ \t]*$", text, maxsplit=1, flags=re.MULTILINE)
    able = len(install) == 2 and re.search(
        r"^(WantedBy|RequiredBy|UpheldBy|Alias|Also)[ \t]*=", install[1], re.MULTILINE
    )
    return "disabled" if able else "static"
