"""Installed programs, from the registry's lists of uninstallers. Win32_Product is never asked: it repairs what it
lists."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Final, Literal

from msgspec import UNSET, UnsetType

from secmon_agent.facts import Package, Software
from secmon_agent.host import Host
from secmon_agent.probes.browsers_windows import browsers
from secmon_agent.probes.host_windows import subkeys_if_any
from secmon_agent.probes.office_windows import office
from secmon_agent.registry import HKLM, HKU, Value, number, text

Source = Literal["dpkg", "rpm", "registry", "registry32", "registry-user"]

_UNINSTALL: Final = r"Microsoft\Windows\CurrentVersion\Uninstall"
_MAX_CHARS: Final = 200


def software_windows(host: Host) -> Software:
    """Sources: registry, `Uninstall` of the machine (64 and 32 bit) and of the users who are logged on,
    `Office\\ClickToRun\\Configuration`, `EdgeUpdate\\Clients`, `Google\\Update\\Clients`, `Mozilla Firefox`.

    Rights: LocalSystem or Administrator for the programs of others who are logged on; others see their own.
    """
    people = loaded_hives(host)
    found: dict[Package, None] = {}
    for source, root in _roots(people):
        for name in subkeys_if_any(host, root):
            package = _package(host, f"{root}\\{name}", source)
            if package is not None:
                found[package] = None
    return Software(packages=tuple(found), office=office(host), browsers=browsers(host, people))


def loaded_hives(host: Host) -> list[str]:
    """Keys of the people who are logged on, of this machine, a domain or Entra ID."""
    return [rf"{HKU}\{sid}" for sid in subkeys_if_any(host, HKU) if re.fullmatch(r"S-1-(5-21|12-1)-[0-9-]+", sid)]


def _roots(people: list[str]) -> list[tuple[Source, str]]:
    machine: list[tuple[Source, str]] = [
        ("registry", rf"{HKLM}\SOFTWARE\{_UNINSTALL}"),
        ("registry32", rf"{HKLM}\SOFTWARE\WOW6432Node\{_UNINSTALL}"),
    ]
    return machine + [("registry-user", rf"{hive}\Software\{_UNINSTALL}") for hive in people]


def _package(host: Host, key: str, source: Source) -> Package | None:
    """None for parts of Windows, updates of other programs, entries without a name, and what vanished meanwhile."""
    try:
        values = host.registry.values(key)
    except (FileNotFoundError, PermissionError):
        return None
    name = text(values, "DisplayName")
    if name is None or number(values, "SystemComponent") == 1 or text(values, "ParentKeyName") is not None:
        return None
    return Package(
        name=normalised(name),
        version=_short(values, "DisplayVersion"),
        publisher=_short(values, "Publisher"),
        source=source,
        installed_on=_installed_on(text(values, "InstallDate") or ""),
    )


def normalised(name: str) -> str:
    """NFKC, single spaces: Japanese installers mix full and half width."""
    return " ".join(unicodedata.normalize("NFKC", name).split())[:_MAX_CHARS]


def _short(values: Mapping[str, Value], name: str) -> str | UnsetType:
    return normalised(text(values, name) or "") or UNSET


def _installed_on(value: str) -> str | UnsetType:
    """`20260401`; other forms depend on the installer's language and are left out."""
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d)", value)
    if found is None:
        return UNSET
    try:
        return date(int(found[1]), int(found[2]), int(found[3])).isoformat()
    except ValueError:
        return UNSET
