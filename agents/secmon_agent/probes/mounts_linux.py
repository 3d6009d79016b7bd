"""What is mounted where, and with which options. Shared by the probes of disks and hardening."""

from __future__ import annotations

import re
from typing import Final

from secmon_agent.host import Host

_MAX_BYTES: Final = 4 << 20


def mounts_text(host: Host) -> str:
    """As the machine has them: a service confined by systemd sees nearly everything mounted read-only itself."""
    return host.once("mounts", lambda: _read(host))


def options(text: str) -> dict[str, frozenset[str]]:
    """Options of each mount point (proc(5)); of several mounts on one point the last counts."""
    found: dict[str, frozenset[str]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) > 6 and "-" in words:
            found[unescaped(words[4])] = frozenset(words[5].split(","))
    return found


def unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _read(host: Host) -> str:
    try:
        text = host.text_if_any("/proc/1/mountinfo", _MAX_BYTES)
    except PermissionError:
        text = None
    return text or host.text("/proc/self/mountinfo", _MAX_BYTES)
