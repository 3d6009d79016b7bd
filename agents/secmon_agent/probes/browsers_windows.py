"""Web browsers, as their own updaters know them."""

from __future__ import annotations

import re
from typing import Final, Literal

from secmon_agent.facts import Browser
from secmon_agent.host import Host
from secmon_agent.probes.host_windows import values_if_any
from secmon_agent.registry import HKLM, text

Name = Literal["edge", "chrome", "firefox"]

_SOURCES: Final[tuple[tuple[Name, str, str], ...]] = (
    ("edge", r"Microsoft\EdgeUpdate\Clients\{56EB18F8-B008-4CBD-B6D2-8C97FE7E9062}", "pv"),
    ("chrome", r"Google\Update\Clients\{8A69D345-D564-463C-AFF1-A69D9E530F96}", "pv"),
    ("firefox", r"Mozilla\Mozilla Firefox", "CurrentVersion"),
)
"""Name, key below SOFTWARE, value."""
_VERSION: Final = re.compile(r"\d+(?:\.\d+)+")
"""Firefox adds the language: `140.5.0 (x64 ja)`. An updater that has removed its browser leaves `0.0.0.0`."""


def browsers(host: Host, people: list[str]) -> tuple[Browser, ...]:
    """Of the machine, and of the hives of `people` who are logged on."""
    machine = [(rf"{HKLM}\SOFTWARE\WOW6432Node", False), (rf"{HKLM}\SOFTWARE", False)]
    found = (
        _browser(host, name, rf"{root}\{key}", value, per_user=per_user)
        for root, per_user in machine + [(rf"{hive}\Software", True) for hive in people]
        for name, key, value in _SOURCES
    )
    return tuple(dict.fromkeys(browser for browser in found if browser is not None))


def _browser(host: Host, name: Name, key: str, value: str, *, per_user: bool) -> Browser | None:
    try:
        found = _VERSION.match(text(values_if_any(host, key), value) or "")
    except PermissionError:
        return None
    if found is None or set(found[0]) <= {"0", "."}:
        return None
    return Browser(name=name, version=found[0], per_user=per_user)
