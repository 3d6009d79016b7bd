"""The machine's own time zone, for logs that are written in local time."""

from __future__ import annotations

import io
from datetime import UTC, tzinfo

from secmon_agent.host import Host


def local_zone(host: Host) -> tzinfo:
    """Of /etc/localtime; UTC where there is none, as the C library has it."""
    if not host.exists("/etc/localtime"):
        return UTC
    from zoneinfo import ZoneInfo

    return ZoneInfo.from_file(io.BytesIO(host.read("/etc/localtime", 1 << 16)))
