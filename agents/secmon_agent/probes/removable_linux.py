"""Whether the kernel takes a USB stick, and whether a session mounts it by itself."""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import UNSET, UnsetType

from secmon_agent.facts import RemovableMedia
from secmon_agent.host import AbsentError, Host
from secmon_agent.probes.settings_files import drop_ins, words
from secmon_agent.probes.virtualization_linux import container

_DAEMONS: Final = ("/usr/libexec/udisks2/udisksd", "/usr/lib/udisks2/udisksd", "/usr/libexec/udisksd")
_MOUNTERS: Final = ("/usr/sbin/automount", "/usr/bin/udiskie", "/usr/bin/usbmount", "/usr/share/usbmount/usbmount",
                    "/usr/bin/devmon")  # fmt: skip
_SUFFIXES: Final = ("", ".xz", ".zst", ".gz")
_NOTHING: Final = ("true", "false")
"""Programs that do nothing: `install usb-storage /bin/false`."""


def removable_linux(host: Host) -> RemovableMedia:
    """Sources: modprobe.d, /proc/cmdline, /sys/module, /lib/modules; installed programs.

    Rights: none.
    """
    if container(host):
        raise AbsentError("a container sees no stick")
    refusals = read_refusals(host)
    return RemovableMedia(
        usb_storage=_starts(host, "usb-storage", "usb-storage" in refusals.by_itself),
        # uas needs the other module, and takes it along where that one is merely not loaded by itself
        uas=_starts(host, "uas", "uas" in refusals.by_itself or "usb-storage" in refusals.at_all),
        automount=_automount(host),
    )


class Refusals(NamedTuple):
    """Names of modules, with hyphens."""

    by_itself: frozenset[str]
    """Not loaded for a device that appears."""
    at_all: frozenset[str]
    """Not loaded for another module that needs it, either."""


def read_refusals(host: Host) -> Refusals:
    """`blacklist`, `install NAME /bin/false`, and the kernel's own parameters."""
    lines = [line for name in drop_ins(host, "/etc/modprobe") for line in words(host.text(name)) if len(line) >= 2]
    cmdline = host.text_if_any("/proc/cmdline") or ""
    quiet = {line[1] for line in lines if line[0] == "blacklist"} | _listed(cmdline, "modprobe.blacklist")
    never = {line[1] for line in lines if line[0] == "install" and _refuses(line[2:])}
    at_all = {_plain(name) for name in never | _listed(cmdline, "module_blacklist")}
    return Refusals(frozenset({_plain(name) for name in quiet} | at_all), frozenset(at_all))


def _listed(cmdline: str, option: str) -> set[str]:
    found = (word.partition("=") for word in cmdline.split())
    return {name for key, _, value in found if key == option for name in value.split(",")}


def _refuses(command: list[str]) -> bool:
    return len(command) == 1 and command[0].rpartition("/")[2] in _NOTHING


def _plain(module: str) -> str:
    """modprobe takes both spellings."""
    return module.replace("_", "-")


def _starts(host: Host, module: str, refused: bool) -> bool | UnsetType:
    """A loaded module serves every stick, whatever the settings say of loading it. Undetermined where its file lies in
    no usual place."""
    if host.exists(f"/sys/module/{module.replace('-', '_')}"):
        return True
    release = (host.text_if_any("/proc/sys/kernel/osrelease") or "").strip()
    folder, path = f"/lib/modules/{release}", f"kernel/drivers/usb/storage/{module}.ko"
    if f"{path}\n" in (host.text_if_any(f"{folder}/modules.builtin") or ""):
        return True
    if refused:
        return False
    return True if any(host.exists(f"{folder}/{path}{suffix}") for suffix in _SUFFIXES) else UNSET


def _automount(host: Host) -> bool | UnsetType:
    """False where nothing is installed that could; what the desktops of those who log in are set to is theirs."""
    return UNSET if any(host.exists(path) for path in (*_DAEMONS, *_MOUNTERS)) else False
