"""How the machine starts, and whether a restart is due."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from secmon_agent.facts import Boot
from secmon_agent.host import Host
from secmon_agent.probes.deb_version import version_key
from secmon_agent.probes.virtualization_linux import container

_SECURE_BOOT: Final = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_REQUIRED: Final = ("/run/reboot-required", "/var/run/reboot-required")
_IMAGE: Final = "vmlinuz-"
_PENDING_SINCE: Final = "boot.pending-since"


def boot(host: Host) -> Boot:
    """Sources: /sys/firmware/efi, /run/reboot-required, /boot, /proc/sys/kernel/osrelease. A container has no kernel
    of its own."""
    inside = bool(container(host))
    running = (host.text_if_any("/proc/sys/kernel/osrelease") or "").strip()
    newest = None if inside else newest_kernel(host)
    evidence = _evidence(host, running, newest)
    since = _first_seen(host, [moment for _, moment in evidence if moment is not None])
    return Boot(
        firmware=UNSET if inside else _firmware(host),
        secure_boot=UNSET if inside else _secure_boot(host),
        reboot_pending=bool(evidence),
        reboot_pending_since=since or UNSET,
        reboot_evidence=tuple(text for text, _ in evidence),
        kernel_running=running or UNSET,
        kernel_newest=newest or UNSET,
    )


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


def newest_kernel(host: Host) -> str | None:
    """Newest release with an image in /boot; None where none is installed (kernel given from outside)."""
    names = (name for name in host.listdir("/boot") if name.startswith(_IMAGE))
    found = [name.removeprefix(_IMAGE) for name in names if re.match(r"vmlinuz-\d", name)]
    return max(found, key=version_key, default=None)


def _evidence(host: Host, running: str, newest: str | None) -> list[tuple[str, datetime | None]]:
    """What demands a restart, with the moment since when it does."""
    found: list[tuple[str, datetime | None]] = []
    mark = next((name for name in _REQUIRED if host.exists(name)), None)
    if mark is not None:
        found.append(("run/reboot-required", host.modified(mark)))
        packages = set((host.text_if_any(f"{mark}.pkgs") or "").split())
        found += [(f"package {name}", None) for name in sorted(packages)[:20]]
    if newest and running and version_key(newest) > version_key(running):
        found.append((f"kernel {newest} installed", _installed_at(host, newest)))
    return found


def _installed_at(host: Host, release: str) -> datetime | None:
    """The image keeps the date it was built; dpkg's file list and the module index are written at installation."""
    names = (f"/var/lib/dpkg/info/linux-image-{release}.list", f"/lib/modules/{release}/modules.dep")
    moments = (host.modified(name) for name in names)
    return next((moment for moment in moments if moment is not None), None)


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
