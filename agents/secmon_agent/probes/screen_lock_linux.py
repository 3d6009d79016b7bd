"""Whether an unattended graphical session locks itself: what the system sets for everybody. Nobody's home is read."""

from __future__ import annotations

import re
from typing import Final

from msgspec import UNSET

from secmon_agent.facts import ScreenLock
from secmon_agent.host import AbsentError, Host, UnsupportedError
from secmon_agent.probes.settings_files import ini

_SESSIONS: Final = ("/usr/share/xsessions", "/usr/share/wayland-sessions")
_PROFILE: Final = "/etc/dconf/profile/user"
_SCHEMAS: Final = "/usr/share/glib-2.0/schemas"
_SAVER: Final = "org/gnome/desktop/screensaver"
_SESSION: Final = "org/gnome/desktop/session"
_DEFAULTS: Final = {
    f"{_SAVER}/lock-enabled": "true",
    f"{_SAVER}/lock-delay": "uint32 0",
    f"{_SESSION}/idle-delay": "uint32 300",
}
"""Of GNOME's own schemas."""


def screen_lock(host: Host) -> ScreenLock:
    """Sources: dconf system databases (/etc/dconf/db/*.d), schema overrides. Settings that are not locked are what a
    new account begins with.

    Rights: none.
    """
    sessions = [name for folder in _SESSIONS for name in host.listdir(folder) if name.endswith(".desktop")]
    if not sessions:
        raise AbsentError("no graphical session is installed")
    if not any(re.match(r"gnome|ubuntu", name) for name in sessions):
        raise UnsupportedError("only GNOME's screen lock is read by this version")
    databases = _databases(host)
    values = _DEFAULTS | _overrides(host)
    for name in databases:
        values |= _keyfiles(host, name)
    locked = {key for name in databases for key in _locks(host, name)}
    idle, delay = _seconds(values[f"{_SESSION}/idle-delay"]), _seconds(values[f"{_SAVER}/lock-delay"])
    enabled = values[f"{_SAVER}/lock-enabled"] == "true" and idle != 0
    return ScreenLock(
        enabled=enabled,
        timeout_s=UNSET if idle is None or delay is None else (idle + delay if enabled else 0),
        enforced=all(f"/{key}" in locked for key in _DEFAULTS),
    )


def _databases(host: Host) -> list[str]:
    """System databases of dconf's user profile, the weakest first."""
    found = re.findall(r"^\s*system-db:(\S+)", host.text_if_any(_PROFILE) or "", re.MULTILINE)
    return [name for name in reversed(found) if "/" not in name]


def _keyfiles(host: Host, database: str) -> dict[str, str]:
    folder = f"/etc/dconf/db/{database}.d"
    values: dict[str, str] = {}
    for name in host.listdir(folder):
        for section, pairs in ini(host.text_if_any(f"{folder}/{name}") or "").items():
            values |= {f"{section}/{key}": value for key, value in pairs.items()}
    return {key: value for key, value in values.items() if key in _DEFAULTS}


def _locks(host: Host, database: str) -> set[str]:
    folder = f"/etc/dconf/db/{database}.d/locks"
    lines = (line for name in host.listdir(folder) for line in host.text(f"{folder}/{name}").splitlines())
    return {line.strip() for line in lines if line.startswith("/")}


def _overrides(host: Host) -> dict[str, str]:
    values: dict[str, str] = {}
    for name in host.listdir(_SCHEMAS):
        if not name.endswith(".gschema.override"):
            continue
        for section, pairs in ini(host.text(f"{_SCHEMAS}/{name}")).items():
            if ":" not in section:
                values |= {f"{section.replace('.', '/')}/{key}": value for key, value in pairs.items()}
    return {key: value for key, value in values.items() if key in _DEFAULTS}


def _seconds(value: str) -> int | None:
    found = re.fullmatch(r"(?:uint32\s+)?(\d{1,9})", value)
    return int(found[1]) if found else None
