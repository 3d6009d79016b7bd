"""Does sudo let somebody do everything without a password?"""

from __future__ import annotations

import re
from typing import Final

from msgspec import UNSET, UnsetType

from secmon_agent.host import Host, TooLargeError

SUDOERS: Final = "/etc/sudoers"
_MAX_FILES: Final = 200
_TAGS: Final = (
    r"((?:NO)?PASSWD|(?:NO)?EXEC|(?:NO)?SETENV|(?:NO)?LOG_(?:IN|OUT)PUT|(?:NO)?MAIL|(?:NO)?FOLLOW|(?:NO)?INTERCEPT):"
)


def without_password(host: Host) -> bool | UnsetType:
    """UNSET without the right to read the rules; False where there is no sudo."""
    try:
        if not host.exists(SUDOERS):
            return False
        return any(grants_all(line) for line in _lines(host, SUDOERS, [0]))
    except PermissionError:
        return UNSET


def grants_all(line: str) -> bool:
    """A rule whose NOPASSWD covers the command ALL, or a setting that switches passwords off for everybody."""
    if re.match(r"\s*Defaults\s+.*!\s*authenticate\b", line):
        return True
    if re.match(r"\s*(Defaults|(User|Runas|Host|Cmnd|Cmd)_Alias)\b", line) or "=" not in line:
        return False
    silent = False
    for part in re.sub(r"\([^)]*\)", " ", line.partition("=")[2]).split(","):
        for tag in re.findall(_TAGS, part):
            silent = {"NOPASSWD": True, "PASSWD": False}.get(tag, silent)
        if silent and re.sub(_TAGS, " ", part).split()[-1:] == ["ALL"]:
            return True
    return False


def _lines(host: Host, name: str, count: list[int]) -> list[str]:
    """Rules of the file and of what it includes; continued lines joined, comments dropped."""
    count[0] += 1
    if count[0] > _MAX_FILES:
        raise TooLargeError("sudoers includes too many files")
    lines: list[str] = []
    for line in re.sub(r"\\\n", " ", host.text_if_any(name) or "").splitlines():
        include = re.match(r'\s*[#@]include(dir)?\s+"?([^"\s]+)"?', line)
        if include is None:
            lines.append(re.sub(r"#(?!\d).*", "", line))
            continue
        path = include[2] if include[2].startswith("/") else f"/etc/{include[2]}"
        for found in _folder(host, path) if include[1] else [path]:
            lines += _lines(host, found, count)
    return lines


def _folder(host: Host, path: str) -> list[str]:
    """sudo passes over names that contain a dot or end in a tilde."""
    return [f"{path}/{name}" for name in host.listdir(path) if "." not in name and not name.endswith("~")]
