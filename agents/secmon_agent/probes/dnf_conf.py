"""dnf's settings: which repositories are switched on, and what an administrator keeps back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from secmon_agent.host import Host
from secmon_agent.probes.settings_files import ini

MAIN: Final = "/etc/dnf/dnf.conf"
_FOLDERS: Final = "/etc/yum.repos.d /etc/yum/repos.d /etc/distro.repos.d"
_CACHE: Final = "/var/cache/dnf"
_LOCKS: Final = "/etc/dnf/plugins/versionlock.list"
_PRIORITY: Final = 99
"""Where a repository names none; the smallest number wins."""
_LOCKED: Final = re.compile(r"(?P<name>.+?)-(?:\d+:)?[^-]+-[^-]+")


class Repository(Struct, frozen=True, kw_only=True):
    id: str
    priority: int
    excludes: tuple[str, ...]
    includes: tuple[str, ...]
    """Patterns; where there are some, nothing else is taken from this repository."""
    optional: bool
    """dnf goes on without it where it cannot be reached."""
    beside_modules: bool
    """Its packages count although a module offers them too (module_hotfixes)."""


class Settings(Struct, frozen=True, kw_only=True):
    cache: str
    repositories: list[Repository]
    """Those that are switched on, by id."""
    held: tuple[str, ...]
    """Patterns of packages that dnf shall never update, or only to a named version."""


def read(host: Host) -> Settings:
    folders = _folders(host)
    files = [f"{folder}/{name}" for folder in folders for name in host.listdir(folder) if name.endswith(".repo")]
    depends = host.marks(MAIN, _LOCKS, *files)
    return host.remembered("dnf.settings", depends, Settings, lambda: _read(host, files))


def _folders(host: Host) -> list[str]:
    return _list(_main(host).get("reposdir", "") or _FOLDERS)


def _main(host: Host) -> Mapping[str, str]:
    return ini(_joined(host.text_if_any(MAIN) or "")).get("main", {})


def _read(host: Host, files: list[str]) -> Settings:
    main = _main(host)
    found = {
        name: _repository(name, values, main)
        for file in files
        for name, values in ini(_joined(host.text(file))).items()
        if name not in ("", "main") and _yes(values.get("enabled", "1"))
    }
    locks = (line.split("#", 1)[0].strip() for line in (host.text_if_any(_LOCKS) or "").splitlines())
    return Settings(
        cache=main.get("cachedir", _CACHE),
        repositories=[found[name] for name in sorted(found)],
        held=(*_excluded(main), *(_locked(line) for line in locks if line and not line.startswith("!"))),
    )


def _repository(name: str, values: Mapping[str, str], main: Mapping[str, str]) -> Repository:
    priority = values.get("priority", "")
    return Repository(
        id=name,
        priority=int(priority) if re.fullmatch(r"-?\d{1,6}", priority) else _PRIORITY,
        excludes=tuple(_excluded(values)),
        includes=tuple(_list(values.get("includepkgs", ""))),
        optional=_yes(values.get("skip_if_unavailable", main.get("skip_if_unavailable", "0"))),
        beside_modules=_yes(values.get("module_hotfixes", "0")),
    )


def _excluded(values: Mapping[str, str]) -> list[str]:
    return _list(values.get("excludepkgs", "")) + _list(values.get("exclude", ""))


def _locked(line: str) -> str:
    """Name of the package that a line of the versionlock plugin holds, e.g. "kernel-0:5.14.0-427.el9.*"."""
    found = _LOCKED.fullmatch(line)
    return found["name"] if found else line


def _joined(text: str) -> str:
    """Lists go on in indented lines."""
    return re.sub(r"\n[ \t]+(?![#;\s])", " ", text)


def _list(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text) if word]


def _yes(text: str) -> bool:
    return text.lower() in ("1", "yes", "true", "on")
