"""Which Linux."""

from __future__ import annotations

import re

from msgspec import UNSET, UnsetType

from secmon_agent.facts import Os
from secmon_agent.host import Host


def os_release(host: Host) -> dict[str, str]:
    """os-release(5), unquoted."""
    text = host.text_if_any("/etc/os-release") or host.text_if_any("/usr/lib/os-release") or ""
    found = re.findall(r"^([A-Z_0-9]+)=(.*)$", text, re.MULTILINE)
    return {name: _unquoted(value.strip()) for name, value in found}


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return re.sub(r"\\(.)", r"\1", value)


def os_linux(host: Host) -> Os:
    """Sources: /etc/os-release, /etc/debian_version, /etc/redhat-release, /proc/sys/kernel/osrelease.

    Rights: none.
    """
    release = os_release(host)
    return Os(
        family="linux",
        id=release.get("ID", "linux"),
        name=release.get("PRETTY_NAME") or UNSET,
        version=release.get("VERSION_ID") or UNSET,
        point_release=_point_release(host, release),
        kernel=(host.text_if_any("/proc/sys/kernel/osrelease") or "").strip() or UNSET,
        architecture=host.system.architecture(),
    )


def _point_release(host: Host, release: dict[str, str]) -> str | UnsetType:
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if not family.isdisjoint(("rhel", "fedora")):
        found = re.search(r" release (\d+(?:\.\d+)+)", host.text_if_any("/etc/redhat-release") or "")
        return found[1] if found else UNSET
    if release.get("ID") == "debian":
        text = (host.text_if_any("/etc/debian_version") or "").strip()
    else:
        text = release.get("VERSION", "").partition(" ")[0]
    return text if re.fullmatch(r"\d+(\.\d+)+", text) and text != release.get("VERSION_ID") else UNSET
