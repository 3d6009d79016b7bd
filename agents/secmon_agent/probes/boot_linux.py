"""How the machine starts, and whether a restart is due."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from secmon_agent.facts import Boot
from secmon_agent.host import Host, ProbeError
from secmon_agent.probes.restart_linux import Evidence, installed_since, marked, newest_kernel
from secmon_agent.probes.virtualization_linux import container

_SECURE_BOOT: Final = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_PENDING_SINCE: Final = "boot.pending-since"


def boot(host: Host) -> Boot:
    """Sources: /sys/firmware/efi, /run/reboot-required, /boot, /proc/sys/kernel/osrelease, /proc/version, /proc/stat,
    and when rpm or dpkg installed what needs a restart. A container has no kernel of its own.

    Rights: none; root to see a container that shows only in the environment of process 1.
    """
    inside = bool(container(host))
    running = (host.text_if_any("/proc/sys/kernel/osrelease") or "").strip()
    newest = None if inside else newest_kernel(host)
    found, complete = _evidence(host, running, newest, inside)
    since = _first_seen(host, [moment for _, moment in found if moment is not None])
    return Boot(
        firmware=UNSET if inside else _firmware(host),
        secure_boot=UNSET if inside else _secure_boot(host),
        reboot_pending=bool(found) if found or complete else UNSET,
        reboot_pending_since=since or UNSET,
        reboot_evidence=tuple(text for text, _ in found),
        kernel_running=running or UNSET,
        kernel_newest=newest or UNSET,
    )


def _evidence(host: Host, running: str, newest: str | None, inside: bool) -> tuple[list[Evidence], bool]:
    """What demands a restart, and whether all was looked at: what the package manager knows may be unreadable."""
    found = marked(host)
    try:
        for piece in () if inside else installed_since(host, running, newest):
            found.append(piece)  # one by one: what was found before an error stays
    except (ProbeError, OSError, ValueError):
        return found, False
    return found, True


def _first_seen(host: Host, moments: list[datetime]) -> datetime | None:
    """The oldest moment that this agent saw in this boot: every further update touches /run/reboot-required again."""
    if not moments:
        return None
    this_boot = (host.text_if_any("/proc/sys/kernel/random/boot_id") or "").strip()
    raw = host.memory.get(_PENDING_SINCE)
    try:
        seen_boot, seen = msgspec.msgpack.decode(raw or b"", type=tuple[str, datetime])
    except msgspec.DecodeError:
        seen_boot, seen = "", min(moments)
    since = min(seen, *moments) if this_boot and seen_boot == this_boot else min(moments)
    if (seen_boot, seen) != (this_boot, since):
        host.memory.put(_PENDING_SINCE, msgspec.msgpack.encode((this_boot, since)))
    return since


def _firmware(host: Host) -> Literal["uefi", "bios"] | UnsetType:
    if host.exists("/sys/firmware/efi"):
        return "uefi"
    return "bios" if host.system.architecture() in ("x86_64", "i686") else UNSET


def _secure_boot(host: Host) -> bool | UnsetType:
    """The variable holds four bytes of attributes, then 1 or 0. Without UEFI there is none."""
    if not host.exists("/sys/firmware/efi"):
        return False if host.system.architecture() in ("x86_64", "i686") else UNSET
    if not host.exists(_SECURE_BOOT):
        return UNSET
    data = host.read(_SECURE_BOOT, 64)
    return data[4] == 1 if len(data) >= 5 else UNSET
