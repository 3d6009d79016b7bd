"""The stacks of PAM modules that are asked when somebody logs in or changes a password."""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import Struct

from secmon_agent.host import Host

Kind = Literal["auth", "account", "password", "session"]

_FOLDER: Final = "/etc/pam.d"
_MAX_DEPTH: Final = 8
_LINE = re.compile(r"-?(auth|account|password|session)\s+(\[[^\]]*\]|\S+)\s+(\S+)\s*(.*)")
ENTRIES: Final = ("common-auth", "common-password", "system-auth", "password-auth")
"""Files that Debian's or Red Hat's services include; the first two or the last two exist."""


class Module(Struct, frozen=True, kw_only=True):
    name: str
    """Without folder and suffix: `pam_unix`."""
    arguments: tuple[str, ...]

    def option(self, name: str) -> str | None:
        """Value of `name=value`, the last one; None where it is not given."""
        values = [text.partition("=")[2] for text in self.arguments if text.startswith(f"{name}=")]
        return values[-1] if values else None


def stack(host: Host, kind: Kind) -> list[Module] | None:
    """Modules of this kind in order; None where there is no stack that this agent knows."""
    names = [name for name in ENTRIES if host.exists(f"{_FOLDER}/{name}")]
    if not names:
        return None
    found: list[Module] = []
    for name in names:
        for module in _modules(host, name, kind, 0):
            if module not in found:
                found.append(module)
    return found


def _modules(host: Host, name: str, kind: Kind, depth: int) -> list[Module]:
    path = name if name.startswith("/") else f"{_FOLDER}/{name}"
    text = host.text_if_any(path) if depth < _MAX_DEPTH else None
    found: list[Module] = []
    for raw in re.sub(r"\\\n", " ", text or "").splitlines():
        line = raw.partition("#")[0].strip()
        if line.startswith("@include"):
            found += _modules(host, line.split()[-1], kind, depth + 1)
            continue
        match = _LINE.fullmatch(line)
        if match is None or match[1] != kind:
            continue
        if match[2] in ("include", "substack"):
            found += _modules(host, match[3], kind, depth + 1)
        else:
            module = match[3].rpartition("/")[2].removesuffix(".so")
            found.append(Module(name=module, arguments=tuple(match[4].split())))
    return found
