"""Stanzas of Debian control files (dpkg status, package lists), streamed as bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from secmon_agent.host import TooLargeError

MAX_STANZA_BYTES: Final = 4 << 20
_NAME: Final = rb"^Package:[ \t]*(\S+)"
_FLAGS: Final = re.MULTILINE | re.IGNORECASE


def stanzas(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Stanzas without the empty lines between them. TooLargeError for one over MAX_STANZA_BYTES."""
    rest = b""
    for chunk in chunks:
        parts = (rest + chunk).split(b"\n\n")
        rest = parts.pop()
        if len(rest) > MAX_STANZA_BYTES:
            raise TooLargeError("a stanza of a package list is too large")
        yield from parts
    if rest.strip():
        yield rest


def package_name(stanza: bytes) -> bytes:
    """Empty where there is none. Made for speed: nearly all stanzas begin with it."""
    if stanza.startswith(b"Package: "):
        end = stanza.find(b"\n")
        return stanza[9:end] if end >= 0 else stanza[9:]
    found = re.search(_NAME, stanza, _FLAGS)
    return found.group(1) if found else b""


def field_reader(*names: str) -> Callable[[bytes], dict[str, str]]:
    """A function that finds these one-line fields of a stanza, by lower-case name."""
    pattern = rb"^(" + b"|".join(re.escape(name.encode()) for name in names) + rb"):[ \t]*([^\n]*)"

    def read(stanza: bytes) -> dict[str, str]:
        found = re.findall(pattern, stanza, _FLAGS)
        return {name.decode().lower(): value.decode("utf-8", "replace").strip() for name, value in found}

    return read
