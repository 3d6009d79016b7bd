"""Does a rule of the Windows firewall speak of this port? Yes, no, or nobody can tell (None)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from secmon_agent.probes.firewall_rule import WindowsRule
from secmon_agent.system import Socket

_NUMBERS: Final = {"tcp": 6, "udp": 17}
_ENDPOINT_MAPPER: Final = 135
_FIRST_FREE: Final = 1024
_WITHOUT_TLS: Final = frozenset({80, 139, 445, 5357, 5985, 47001})
"""Ports of the system on which no tunnel over HTTPS can end."""


class WindowsDoor(Struct, frozen=True, kw_only=True):
    """A socket that others may knock at, of a program that runs in no container."""

    socket: Socket
    services: tuple[str, ...] | None
    """Of its process; None: not known."""
    own_sid: frozenset[str]
    """Those of the services that Windows gives an identity of their own, lower case; without one no rule finds them."""
    variables: Mapping[str, str]
    """What stands for a folder in the path of a program, by its name in lower case."""


def speaks_of(rule: WindowsRule, door: WindowsDoor) -> bool | None:
    answers = (
        rule.protocol in (None, _NUMBERS[door.socket.protocol]),
        _port(rule, door.socket),
        _program(rule.program, door) if rule.program else True,
        _service(rule.service, door) if rule.service else True,
        not rule.package,
        True if rule.certain else None,
    )
    return False if False in answers else None if None in answers else True


def _port(rule: WindowsRule, socket: Socket) -> bool | None:
    if not rule.ports:
        return True
    answers = [_is_port(port, socket) for port in rule.ports]
    return True if True in answers else None if None in answers else False


def _is_port(text: str, socket: Socket) -> bool | None:
    if found := re.fullmatch(r"(\d+)(?:-(\d+))?", text):
        return int(found[1]) <= socket.port <= int(found[2] or found[1])
    word, tcp = text.lower(), socket.protocol == "tcp"
    if word == "rpc-epmap":
        return tcp and socket.port == _ENDPOINT_MAPPER
    if word == "rpc":
        return None if tcp and socket.port >= _FIRST_FREE else False
    if word in ("iphttpsin", "iptlsin"):
        return None if tcp and socket.port not in _WITHOUT_TLS else False
    if word == "teredo":
        return False if tcp else None
    return None


def _program(program: str, door: WindowsDoor) -> bool | None:
    """By name, and by path where the names are the same: one of the paths may be a link to the other."""
    name, path = door.socket.process, door.socket.path
    if not isinstance(name, str) or "~" in program:
        return None
    expanded = re.sub(r"%([^%]+)%", lambda found: door.variables.get(found[1].lower(), found[0]), program).lower()
    if re.split(r"[\\/]", expanded)[-1] != name.lower():
        return False
    if program.lower() == "system":
        return True
    return True if isinstance(path, str) and path.lower() == expanded else None


def _service(service: str, door: WindowsDoor) -> bool | None:
    if door.services is None:
        return None
    known = {name.lower() for name in door.services}
    if service == "*":
        return bool(known & door.own_sid) or (None if known else False)
    if service.lower() not in known:
        return False
    return True if service.lower() in door.own_sid else None
