"""Which Windows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import UNSET, UnsetType

from secmon_agent.facts import Os
from secmon_agent.host import Host
from secmon_agent.registry import HKLM, Value, number, text

CURRENT_VERSION: Final = HKLM + r"\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
_FIRST_BUILD_OF_11: Final = 22000


def os_windows(host: Host) -> Os:
    """Source: registry, `Windows NT\\CurrentVersion`."""
    values = host.registry.values(CURRENT_VERSION)
    installation = text(values, "InstallationType")
    server = installation is not None and installation.startswith("Server")
    build_text = text(values, "CurrentBuildNumber") or text(values, "CurrentBuild") or ""
    build = int(build_text) if build_text.isdecimal() else None
    ubr = number(values, "UBR")
    return Os(
        family="windows",
        id=UNSET if installation is None else ("windows-server" if server else "windows"),
        name=_name(values, server, build),
        version=_version(values, server),
        kernel=f"10.0.{build}" if build and (number(values, "CurrentMajorVersionNumber") == 10) else UNSET,
        architecture=host.system.architecture(),
        build=UNSET if build is None else build,
        ubr=UNSET if ubr is None else ubr,
        edition=text(values, "EditionID") or UNSET,
        installation=installation or UNSET,
    )


def _name(values: Mapping[str, Value], server: bool, build: int | None) -> str | UnsetType:
    """ProductName says "Windows 10" on Windows 11 too."""
    product = text(values, "ProductName")
    if product is None:
        return UNSET
    if server:
        return product
    if build is not None and build >= _FIRST_BUILD_OF_11:
        return "Windows 11"
    found = re.match(r"Windows (\d+(\.\d+)?)", product)
    return found[0] if found else product


def _version(values: Mapping[str, Value], server: bool) -> str | UnsetType:
    """Clients have a release such as "24H2"; servers are known by the year in their name."""
    if server:
        found = re.search(r"\b(20\d\d)(?: (R2))?\b", text(values, "ProductName") or "")
        return " ".join(part for part in found.groups() if part) if found else UNSET
    return text(values, "DisplayVersion") or text(values, "ReleaseId") or UNSET
