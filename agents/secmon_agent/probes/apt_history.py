"""When apt last upgraded something, from its own history."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from secmon_agent.host import Host
from secmon_agent.probes.decompress import chunks
from secmon_agent.probes.localtime import local_zone

_FOLDER: Final = "/var/log/apt"
_MAX_BYTES: Final = 32 << 20
_MAX_ROTATED: Final = 24
_END: Final = r"^End-Date: (\d{4}-\d\d-\d\d) +(\d\d:\d\d:\d\d)"


def last_installed_at(host: Host) -> datetime | None:
    """End of the newest run that upgraded a package; None where the history that is left tells of none."""
    names = _files(host)
    found = host.remembered(
        "patches.history", host.marks(*names, "/etc/localtime"), list[datetime], lambda: _newest(host, names)
    )
    return found[0] if found else None


def _files(host: Host) -> list[str]:
    """Newest first: history.log, history.log.1.gz, …"""
    rotated = [name for name in host.listdir(_FOLDER) if re.fullmatch(r"history\.log\.\d+(\.gz|\.xz)?", name)]
    rotated.sort(key=lambda name: int(name.split(".")[2]))
    current = ["history.log"] if host.exists(f"{_FOLDER}/history.log") else []
    return [f"{_FOLDER}/{name}" for name in current + rotated[:_MAX_ROTATED]]


def _newest(host: Host, names: list[str]) -> list[datetime]:
    """One moment, or none."""
    for name in names:
        with host.opened(name) as file:
            suffix = name[-3:] if name.endswith((".gz", ".xz")) else ""
            text = b"".join(chunks(file, suffix, _MAX_BYTES)).decode("utf-8", "replace")
        local = last_upgrade(text)
        if local is not None:
            return [local.replace(tzinfo=local_zone(host)).astimezone(UTC)]
    return []


def last_upgrade(history: str) -> datetime | None:
    """Local time, without zone, as the file has it."""
    for stanza in reversed(re.split(r"\n\s*\n", history)):
        if re.search(r"^Upgrade: ", stanza, re.MULTILINE) and not re.search(r"^Error: ", stanza, re.MULTILINE):
            end = re.search(_END, stanza, re.MULTILINE)
            if end:
                return datetime.fromisoformat(f"{end[1]}T{end[2]}")
    return None
