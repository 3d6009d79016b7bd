"""Small readers for the two shapes most settings files have."""

from __future__ import annotations

import re
from collections.abc import Iterable

from secmon_agent.host import Host


def words(text: str, comments: str = "#") -> list[list[str]]:
    """Words of each line that is no comment; `key = value` counts as two words."""
    lines = (re.split(f"(?:^|\\s)[{re.escape(comments)}]", line, maxsplit=1)[0] for line in text.splitlines())
    return [found for line in lines if (found := line.replace("=", " ").split())]


def ini(text: str) -> dict[str, dict[str, str]]:
    """Sections of `key=value` lines; the last value wins. Lines before the first section are in the section ""."""
    sections: dict[str, dict[str, str]] = {}
    section = ""
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
            continue
        key, equals, value = line.partition("=")
        if equals:
            sections.setdefault(section, {})[key.strip()] = value.strip()
    return sections


def drop_ins(host: Host, path: str) -> list[str]:
    """`path` (below /etc) and the drop-ins that systemd reads after it, in order; an earlier folder's name hides
    others."""
    tail = path.removeprefix("/etc")
    named: dict[str, str] = {}
    for base in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib"):
        for name in host.listdir(f"{base}{tail}.d"):
            if name.endswith(".conf"):
                named.setdefault(name, f"{base}{tail}.d/{name}")
    main = next((f"{base}{tail}" for base in ("/etc", "/run", "/usr/lib") if host.exists(f"{base}{tail}")), None)
    return [*([main] if main else []), *(named[name] for name in sorted(named))]


def merged_ini(host: Host, path: str) -> dict[str, dict[str, str]]:
    """Settings of a systemd configuration file with its drop-ins."""
    merged: dict[str, dict[str, str]] = {}
    for name in drop_ins(host, path):
        for section, values in ini(host.text(name)).items():
            merged.setdefault(section, {}).update(values)
    return merged


def number(texts: Iterable[str]) -> int | None:
    """The last of `texts` that is a whole number, or None."""
    found = None
    for text in texts:
        if re.fullmatch(r"-?\d{1,12}", text):
            found = int(text)
    return found
