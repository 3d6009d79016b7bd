"""Who may change the files that everything else rests on. No file is opened for this."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import Final

from msgspec import UNSET, UnsetType

from secmon_agent.facts import FileRights
from secmon_agent.files import Stat
from secmon_agent.host import DeniedError, Host

_PERIODS: Final = ("/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly")
_CRON: Final = ("/etc/cron.d", *_PERIODS)
SEARCHED: Final = (
    "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/etc", "/etc/init.d",
    "/etc/ld.so.conf.d", "/etc/pam.d", "/etc/profile.d", "/etc/security", "/etc/ssh", "/etc/sudoers.d",
    "/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system", *_CRON,
)  # fmt: skip
"""Folders of programs and settings, each without what lies deeper."""
_NAMED: Final = (
    "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/ssh/sshd_config",
    "/etc/crontab", "/etc/anacrontab", "/etc/cron.allow", "/etc/cron.deny", "/var/spool/cron",
    "/var/spool/cron/crontabs", *_CRON,
)  # fmt: skip
"""Files and folders whose rights are told. Tables below /var/spool/cron bear names of people: they are not."""
_MAX_FOUND: Final = 200


def file_rights(host: Host) -> tuple[FileRights, ...]:
    """One for each that exists; without mode and owner where those may not be seen."""
    jobs = [f"{folder}/{name}" for folder in _CRON for name in _names(host, folder) if name != ".placeholder"]
    found = (_rights(host, path) for path in (*_NAMED, *jobs[:_MAX_FOUND]))
    return tuple(rights for rights in found if rights is not None)


def world_writable(host: Host) -> tuple[str, ...] | UnsetType:
    """A change of rights leaves no trace on the folder, so the search is repeated every hour, too. UNSET where a folder
    may not be looked into, and on a recording without rights."""
    try:
        depends = (host.marks(*SEARCHED), f"{host.now():%Y-%m-%dT%H}")
        found = host.remembered("hardening.writable", depends, list[str], lambda: sorted(set(_search(host))))
    except (PermissionError, DeniedError):
        return UNSET
    return tuple(found[:_MAX_FOUND])


def _search(host: Host) -> Iterator[str]:
    for folder in {host.files.realpath(folder): folder for folder in SEARCHED if host.exists(folder)}:
        for path in (folder, *(f"{folder}/{name}" for name in host.listdir(folder))):
            found = host.stat(path)
            if found is not None and not found.mode:
                raise DeniedError("rights were not recorded")
            if found is not None and _open_to_all(found):
                yield path


def _open_to_all(found: Stat) -> bool:
    """Everybody may write to the file, or lay others into the folder and take them away."""
    if not found.mode & stat.S_IWOTH:
        return False
    return stat.S_ISREG(found.mode) or (stat.S_ISDIR(found.mode) and not found.mode & stat.S_ISVTX)


def _names(host: Host, folder: str) -> list[str]:
    try:
        return host.listdir(folder)
    except PermissionError:
        return []


def _rights(host: Host, path: str) -> FileRights | None:
    try:
        found = host.stat(path)
    except PermissionError:
        return FileRights(path=path)
    if found is None:
        return None
    if not found.mode:
        return FileRights(path=path)
    return FileRights(path=path, permissions=f"{stat.S_IMODE(found.mode):04o}", uid=found.uid, gid=found.gid)
