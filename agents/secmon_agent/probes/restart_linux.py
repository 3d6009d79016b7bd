"""What demands a restart: the system's own mark, a newer kernel, or a part of it that no running program lets go."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from secmon_agent.host import AbsentError, Host
from secmon_agent.probes.packages_linux import manager

Evidence = tuple[str, datetime | None]
"""What it is, and since when, where that can be told."""

_REQUIRED: Final = ("/run/reboot-required", "/var/run/reboot-required")
_IMAGE: Final = re.compile(r"vmlinuz-(\d.*)")
_BUILT: Final = re.compile(r"\bDebian (\d\S*) \(")
"""In /proc/version: the package that the running kernel came in. Its name stays the same over several versions."""
_DEEP: Final = (
    "glibc", "systemd", "dbus", "dbus-broker", "dbus-daemon", "linux-firmware", "microcode_ctl"
)  # fmt: skip
"""What dnf's `needs-restarting -r` looks at, without the kernel, whose release says it more exactly."""
_MAX_PACKAGES: Final = 20


def newest_kernel(host: Host) -> str | None:
    """Newest release with an image in /boot; None where none is installed (kernel given from outside)."""
    found = (match[1] for name in host.listdir("/boot") if (match := _IMAGE.fullmatch(name)))
    return max((name for name in found if "rescue" not in name), key=_release_key(host), default=None)


def installed_since(host: Host, running: str, newest: str | None) -> Iterator[Evidence]:
    """What was installed after the machine was started. Raises, after what it found, as reading the installed packages
    does."""
    key = _release_key(host)
    if newest and running and key(newest) > key(running):
        yield f"kernel {newest} installed", _installed_at(host, newest)
    elif running and _manager(host) == "dpkg":
        yield from _rebuilt(host, running)
    if _manager(host) == "rpm":
        yield from _replaced(host)


def marked(host: Host) -> list[Evidence]:
    """The mark that Debian's and Ubuntu's packages leave."""
    mark = next((name for name in _REQUIRED if host.exists(name)), None)
    if mark is None:
        return []
    packages = set((host.text_if_any(f"{mark}.pkgs") or "").split())
    named: list[Evidence] = [(f"package {name}", None) for name in sorted(packages)[:_MAX_PACKAGES]]
    return [("run/reboot-required", host.modified(mark)), *named]


def _rebuilt(host: Host, running: str) -> list[Evidence]:
    """Debian: the same kernel release, installed anew in a later version."""
    from secmon_agent.probes import dpkg
    from secmon_agent.probes.deb_version import version_key

    built = _BUILT.search(host.text_if_any("/proc/version") or "")
    names = (f"linux-image-{running}", f"linux-image-{running}-unsigned")
    versions = [it.version for it in dpkg.installed(host) if it.name in names] if built else []
    newer = [version for version in versions if built and version_key(version) > version_key(built[1])]
    return [(f"kernel {running} in version {newer[0]} installed", _installed_at(host, running))] if newer else []


def _replaced(host: Host) -> list[Evidence]:
    """Packages that every program uses and that were installed after the machine was started."""
    from secmon_agent.probes import rpmdb

    started = re.search(r"^btime (\d+)$", host.text_if_any("/proc/stat") or "", re.MULTILINE)
    if started is None:
        return []
    newer = {it.name: it.installed_at for it in rpmdb.installed(host) if it.installed_at > int(started[1])}
    return [(f"package {name}", datetime.fromtimestamp(newer[name], UTC)) for name in _DEEP if name in newer]


def _installed_at(host: Host, release: str) -> datetime | None:
    """The image keeps the date it was built; dpkg's file list and the module index are written at installation."""
    names = (f"/var/lib/dpkg/info/linux-image-{release}.list", f"/lib/modules/{release}/modules.dep")
    moments = (host.modified(name) for name in names)
    return next((moment for moment in moments if moment is not None), None)


def _release_key(host: Host) -> Callable[[str], Any]:
    """Order of kernel releases: that of the packages they came in."""
    if _manager(host) == "rpm":
        from secmon_agent.probes.rpm_version import part_key

        return part_key
    from secmon_agent.probes.deb_version import version_key

    return version_key


def _manager(host: Host) -> str:
    try:
        return manager(host)
    except AbsentError:
        return ""
