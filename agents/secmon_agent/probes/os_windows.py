"""Which Windows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from msgspec import UNSET, UnsetType

from secmon_agent.facts import Os
from secmon_agent.host import Host
from secmon_agent.registry import HKLM, Value, number, text

CURRENT_VERSION: Final = HKLM + r"\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
_FIRST_BUILD_OF_11: Final = 22000
_CLASSES: Final[tuple[tuple[str, Literal["pro", "enterprise", "ltsc", "iot-ltsc"]], ...]] = (
    (r"Core(N|SingleLanguage|CountrySpecific)?|Professional(N|Workstation|WorkstationN|Education|EducationN)?", "pro"),
    (r"(Enterprise|Education)N?|IoTEnterprise|ServerRdsh", "enterprise"),
    (r"EnterpriseSN?", "ltsc"),
    (r"IoTEnterpriseS", "iot-ltsc"),
)
"""EditionIDs of clients; one that is not here has no class."""


def os_windows(host: Host) -> Os:
    """Source: registry, `Windows NT\\CurrentVersion`.

    Rights: none.
    """
    values = host.registry.values(CURRENT_VERSION)
    installation = text(values, "InstallationType")
    server = _is_server(values)
    build, ubr = _build(values), number(values, "UBR")
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
        edition_class=UNSET if installation is None else _class(text(values, "EditionID") or "", server),
        installation=installation or UNSET,
    )


def build(host: Host) -> int | None:
    """CurrentBuildNumber, for other probes."""
    return _build(host.registry.values(CURRENT_VERSION))


def is_server(host: Host) -> bool:
    return _is_server(host.registry.values(CURRENT_VERSION))


def _build(values: Mapping[str, Value]) -> int | None:
    found = text(values, "CurrentBuildNumber") or text(values, "CurrentBuild") or ""
    return int(found) if found.isdecimal() else None


def _is_server(values: Mapping[str, Value]) -> bool:
    return (text(values, "InstallationType") or "").startswith("Server")


def _class(edition: str, server: bool) -> Literal["pro", "enterprise", "ltsc", "iot-ltsc", "server"] | UnsetType:
    if server:
        return "server"
    return next((name for pattern, name in _CLASSES if re.fullmatch(pattern, edition)), UNSET)


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
