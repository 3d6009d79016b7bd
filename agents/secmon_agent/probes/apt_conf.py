"""apt's configuration files, as apt.conf(5) describes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from secmon_agent.host import Host

_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|\#(?!clear|include)[^\n]*|"((?:[^"\\]|\\.)*)"|([{};])|([^\s{};"]+)', re.DOTALL)
_FOLDER: Final = "/etc/apt/apt.conf.d"


def files(host: Host) -> list[str]:
    """In the order in which apt reads them."""
    names = [name for name in host.listdir(_FOLDER) if re.fullmatch(r"[A-Za-z0-9_-]+(\.conf)?", name)]
    return [f"{_FOLDER}/{name}" for name in names] + ["/etc/apt/apt.conf"]


def read(host: Host) -> Mapping[str, str]:
    """Settings by lower-case name (`apt::periodic::enable`); the last one wins, lists are left out."""
    return host.once("apt.conf", lambda: _read(host))


def _read(host: Host) -> Mapping[str, str]:
    settings: dict[str, str] = {}
    for name in files(host):
        text = host.text_if_any(name)
        if text is not None:
            settings.update(parse(text))
    return settings


def parse(text: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    scopes: list[str] = []
    words: list[str] = []
    for token in _TOKEN.finditer(text):
        quoted, mark, word = token.groups()
        if mark == "{":
            scopes.append("::".join(words[:1]))
            words = []
        elif mark == "}":
            scopes = scopes[:-1]
            words = []
        elif mark == ";":
            _settle(settings, scopes, words)
            words = []
        elif quoted is not None or word is not None:
            words.append(quoted if quoted is not None else word)
    return settings


def _settle(settings: dict[str, str], scopes: list[str], words: list[str]) -> None:
    if len(words) != 2 or words[0].endswith("::"):
        return
    name = "::".join([scope for scope in scopes if scope] + words[:1])
    settings[name.lower()] = words[1]
