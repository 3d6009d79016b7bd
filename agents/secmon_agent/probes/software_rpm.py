"""Installed packages of Red Hat's family."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

from msgspec import UNSET

from secmon_agent.facts import Package, Software
from secmon_agent.host import Host
from secmon_agent.probes import rpmdb
from secmon_agent.probes.localtime import local_zone


def software(host: Host) -> Software:
    """Source: rpm's database, or `rpm -qa` where its format is an older one."""
    zone = local_zone(host)

    def day(moment: int) -> str:
        return datetime.fromtimestamp(moment, UTC).astimezone(zone).date().isoformat()

    return Software(
        packages=tuple(
            Package(
                name=it.name,
                version=it.evr,
                architecture=it.architecture or UNSET,
                publisher=unicodedata.normalize("NFKC", it.vendor) or UNSET,
                source="rpm",
                installed_on=day(it.installed_at) if it.installed_at else UNSET,
            )
            for it in rpmdb.installed(host)
        )
    )
