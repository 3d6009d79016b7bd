"""Installed packages of Debian and its family. Maintainers are left out: they are people."""

from __future__ import annotations

from msgspec import UNSET

from secmon_agent.facts import Package, Software
from secmon_agent.host import Host
from secmon_agent.probes.dpkg import installed


def software(host: Host) -> Software:
    """Source: /var/lib/dpkg/status."""
    return Software(
        packages=tuple(
            Package(name=it.name, version=it.version, architecture=it.architecture or UNSET, source="dpkg")
            for it in installed(host)
        )
    )
