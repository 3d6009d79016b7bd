"""Writable volumes on disks of this machine, and whether they are encrypted below the file system.

Media that a person plugs in are no setting of the machine, and their paths bear names: they are left out.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import UNSET, UnsetType

from secmon_agent.facts import DiskEncryption, Volume
from secmon_agent.host import AbsentError, Host
from secmon_agent.probes.mounts_linux import mounts_text, unescaped
from secmon_agent.probes.virtualization_linux import container

_BLOCK: Final = "/sys/class/block"
_PLUGGED_IN: Final = ("/media/", "/run/media/")
_MAX_DEPTH: Final = 8


def disk_encryption(host: Host) -> DiskEncryption:
    """Sources: /proc/1/mountinfo, /sys/class/block.

    Rights: none.
    """
    if container(host):
        raise AbsentError("a container has no disks of its own")
    mounts = parse_mountinfo(mounts_text(host))
    mappings = _mappings(host)
    found = {mount: _device(source, mappings) for mount, source in mounts}
    return DiskEncryption(
        volumes=tuple(
            _volume(host, mount, device)
            for mount, device in found.items()
            if device and host.exists(f"{_BLOCK}/{device}") and not device.startswith(("loop", "ram", "zram", "sr"))
        )
    )


def parse_mountinfo(text: str) -> list[tuple[str, str]]:
    """(mount point, device path) of writable file systems on devices: proc(5). Of a device's mounts only the first."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        mount, rest = left.split(), right.split()
        if len(mount) < 6 or len(rest) < 3 or not rest[1].startswith("/dev/"):
            continue
        if mount[4].startswith(_PLUGGED_IN):
            continue
        if "ro" not in mount[5].split(",") and "ro" not in rest[2].split(","):
            found.setdefault(rest[1], unescaped(mount[4]))
    return [(mount, device) for device, mount in found.items()]


def _mappings(host: Host) -> dict[str, str]:
    """Kernel name (`dm-0`) of each device-mapper name."""
    names = (name for name in host.listdir(_BLOCK) if name.startswith("dm-"))
    return {(host.text_if_any(f"{_BLOCK}/{name}/dm/name") or "").strip(): name for name in names}


def _device(source: str, mappings: dict[str, str]) -> str:
    if source.startswith("/dev/mapper/"):
        return mappings.get(source.removeprefix("/dev/mapper/"), "")
    return source.removeprefix("/dev/").replace("/", "!")


def _volume(host: Host, mount: str, device: str) -> Volume:
    method = _method(host, device, 0)
    return Volume(
        mount=re.sub(r"^(/home)/.+", r"\1/*", mount),
        system=mount == "/",
        removable=_removable(host, device, 0),
        encrypted=method is not None,
        method=method or UNSET,
    )


def _method(host: Host, device: str, depth: int) -> str | None:
    """`luks1`, `luks2`, `dm-crypt` where this device or everything below it is encrypted."""
    uuid = (host.text_if_any(f"{_BLOCK}/{device}/dm/uuid") or "").strip()
    found = re.match(r"CRYPT-(LUKS1|LUKS2|[A-Z]+)", uuid)
    if found:
        return found[1].lower() if found[1].startswith("LUKS") else "dm-crypt"
    below = host.listdir(f"{_BLOCK}/{device}/slaves") if depth < _MAX_DEPTH else []
    methods = [_method(host, name, depth + 1) for name in below]
    return methods[0] if methods and None not in methods else None


def _removable(host: Host, device: str, depth: int) -> bool | UnsetType:
    """A partition is as removable as its disk, a mapping as what lies below it."""
    below = host.listdir(f"{_BLOCK}/{device}/slaves") if depth < _MAX_DEPTH else []
    if below:
        return _removable(host, below[0], depth + 1)
    path = host.files.realpath(f"{_BLOCK}/{device}")
    if host.exists(f"{path}/partition"):
        path = path.rpartition("/")[0]
    text = host.text_if_any(f"{path}/removable")
    return UNSET if text is None else text.strip() == "1"
