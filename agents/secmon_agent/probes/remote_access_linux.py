"""Who may come in from afar: sshd's settings as they take effect."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from msgspec import UNSET, UnsetType

from secmon_agent.facts import RemoteAccess, SshServer
from secmon_agent.host import Host, TooLargeError
from secmon_agent.probes.processes_linux import programs, runs
from secmon_agent.probes.remote_tools import running_tools
from secmon_agent.probes.systemd import wanted_units

RootLogin = Literal["yes", "no", "prohibit-password", "forced-commands-only"]
Settings = Mapping[str, Sequence[str]]

CONFIG: Final = "/etc/ssh/sshd_config"
_PROGRAMS: Final = ("/usr/sbin/sshd", "/usr/local/sbin/sshd")
_MAX_FILES: Final = 100
_MAX_DEPTH: Final = 16
_ROOT_LOGIN: Final[dict[str, RootLogin]] = {
    "yes": "yes",
    "no": "no",
    "prohibit-password": "prohibit-password",
    "without-password": "prohibit-password",
    "forced-commands-only": "forced-commands-only",
}


def remote_access(host: Host) -> RemoteAccess:
    """Sources: /etc/ssh/sshd_config and what it includes, defaults of sshd_config(5); running programs. Match blocks
    are left aside.

    Rights: root where sshd_config is closed to others (Red Hat's family), and to see others' processes.
    """
    tools = _tools(host)
    if not any(host.exists(path) for path in _PROGRAMS):
        return RemoteAccess(ssh_installed=False, remote_tools=tools)
    settings = read_settings(host)
    return RemoteAccess(
        ssh_installed=True,
        remote_tools=tools,
        ssh=SshServer(
            ports=_ports(settings),
            running=_running(host),
            permit_root_login=_ROOT_LOGIN.get(_first(settings, "permitrootlogin", "prohibit-password"), UNSET),
            password_authentication=_switch(settings, "passwordauthentication", True),
            permit_empty_passwords=_switch(settings, "permitemptypasswords", False),
            x11_forwarding=_switch(settings, "x11forwarding", False),
            max_auth_tries=_number(settings, "maxauthtries", 6),
        ),
    )


def _tools(host: Host) -> tuple[str, ...] | UnsetType:
    names, complete = programs(host)
    return running_tools(names) if complete else running_tools(names) or UNSET


def _running(host: Host) -> bool | UnsetType:
    """Accepts logins: the server runs, or systemd starts it for the first one who calls."""
    running = "ssh.socket" in wanted_units(host) or runs(host, "sshd")
    return UNSET if running is None else running


def read_settings(host: Host) -> Settings:
    """All values of each keyword (lower case), in order: sshd takes the first, and every `port`. What stands under
    `Match all` goes before what stands above it."""
    general: dict[str, list[str]] = {}
    for_all: dict[str, list[str]] = {}
    for keyword, value, matched in _read(host, CONFIG, [0], 0):
        (for_all if matched else general).setdefault(keyword, []).append(value)
    return general | for_all


def _read(host: Host, name: str, count: list[int], depth: int) -> Iterator[tuple[str, str, bool]]:
    """(keyword, value, under `Match all`), without other Match blocks. A Match ends with the file that it stands in."""
    active, matched = True, False
    count[0] += 1
    if count[0] > _MAX_FILES or depth > _MAX_DEPTH:
        raise TooLargeError("sshd_config includes too many files")
    for line in host.text(name).splitlines():
        keyword, values = split_line(line)
        if keyword == "match":
            active = matched = [value.lower() for value in values] == ["all"]
        elif not active:
            continue
        elif keyword == "include":
            for pattern in values:
                for found in _glob(host, pattern):
                    yield from (
                        (name_, value, matched or deeper)
                        for name_, value, deeper in _read(host, found, count, depth + 1)
                    )
        elif keyword and values:
            yield keyword, values[0], matched


def split_line(line: str) -> tuple[str, list[str]]:
    """Keyword in lower case, and its arguments without quotes and comment."""
    found = re.fullmatch(r"\s*([A-Za-z][A-Za-z0-9]*)(?:\s*=\s*|\s+)(.*)", line)
    if found is None:
        return "", []
    values = re.findall(r'"([^"]*)"|(#.*)|(\S+)', found[2])
    return found[1].lower(), [quoted or plain for quoted, comment, plain in values if not comment]


def _glob(host: Host, pattern: str) -> list[str]:
    """Sorted. Wildcards are looked for in the last part only, where every distribution has them."""
    path = pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}"
    folder, _, last = path.rpartition("/")
    if not re.search(r"[*?\[]", last):
        return [path] if host.exists(path) else []
    names = host.listdir(folder)
    return [f"{folder}/{name}" for name in names if fnmatch.fnmatchcase(name, last) and not name.startswith(".")]


def _first(settings: Settings, keyword: str, default: str) -> str:
    return settings.get(keyword, [default])[0].lower()


def _switch(settings: Settings, keyword: str, default: bool) -> bool | UnsetType:
    return {"yes": True, "no": False}.get(_first(settings, keyword, "yes" if default else "no"), UNSET)


def _number(settings: Settings, keyword: str, default: int) -> int | UnsetType:
    text = _first(settings, keyword, str(default))
    return int(text) if text.isdecimal() else UNSET


def _ports(settings: Settings) -> tuple[int, ...]:
    """A listening address with a port of its own listens on no other."""
    general = [int(text) for text in settings.get("port", []) if text.isdecimal()] or [22]
    explicit = [re.search(r"(?:\]|^[^:]*):(\d{1,5})$", address) for address in settings.get("listenaddress", [])]
    ports = [int(found[1]) for found in explicit if found]
    return tuple(sorted({*ports, *(general if not explicit or None in explicit else [])}))
