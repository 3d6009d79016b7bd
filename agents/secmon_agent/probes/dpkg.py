"""What dpkg says is installed. Shared by the probes of software and patches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from msgspec import Struct

from secmon_agent.host import Host, TooLargeError
from secmon_agent.probes.deb822 import field_reader, stanzas

STATUS: Final = "/var/lib/dpkg/status"
MAX_STATUS_BYTES: Final = 64 << 20
_CHUNK_BYTES: Final = 1 << 18
_PRESENT: Final = {"installed", "triggers-awaited", "triggers-pending", "half-configured", "unpacked"}

_fields = field_reader("Package", "Status", "Version", "Architecture")


class Installed(Struct, frozen=True, array_like=True):
    name: str
    version: str
    architecture: str
    held: bool


def installed(host: Host) -> list[Installed]:
    return host.once(
        "dpkg", lambda: host.remembered("dpkg.installed", host.marks(STATUS), list[Installed], lambda: _read(host))
    )


def native_architecture(packages: list[Installed]) -> str:
    """dpkg's own; empty where that cannot be told."""
    return next((package.architecture for package in packages if package.name == "dpkg"), "")


def _read(host: Host) -> list[Installed]:
    with host.opened(STATUS) as file:
        return list(parse_status(file))


def parse_status(file: BinaryIO) -> Iterator[Installed]:
    for stanza in stanzas(_bounded(file)):
        found = _fields(stanza)
        wanted, _, state = found.get("status", "").rpartition(" ")
        if state in _PRESENT and found.get("package") and found.get("version"):
            yield Installed(
                found["package"], found["version"], found.get("architecture", ""), wanted.startswith("hold")
            )


def _bounded(file: BinaryIO) -> Iterator[bytes]:
    size = 0
    while chunk := file.read(_CHUNK_BYTES):
        size += len(chunk)
        if size > MAX_STATUS_BYTES:
            raise TooLargeError(f"{STATUS} has more than {MAX_STATUS_BYTES} bytes")
        yield chunk
