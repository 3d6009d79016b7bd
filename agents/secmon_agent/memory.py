"""What probes remember between cycles: a small key → bytes store. Losing it costs time, never truth."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Final, Protocol

MAX_VALUE_BYTES: Final = 8 << 20
_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.-")
_MAX_KEY: Final = 64
_MAGIC: Final = b"secmon-memory-1\n"
_HEADER_BYTES: Final = len(_MAGIC) + 32


class Memory(Protocol):
    def get(self, key: str) -> bytes | None:
        """The value last put, or None where there is none that can be trusted."""

    def put(self, key: str, value: bytes) -> None: ...


class DictMemory:
    """Forgets with the process."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self._values.get(key)

    def put(self, key: str, value: bytes) -> None:
        self._values[key] = value


class FileMemory:
    """One file per key: magic, SHA-256 of the value, the value. Replaced atomically; a damaged file counts as none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> bytes | None:
        try:
            with self._path(key).open("rb") as file:
                raw = file.read(_HEADER_BYTES + MAX_VALUE_BYTES + 1)
        except OSError:
            return None
        value = raw[_HEADER_BYTES:]
        intact = raw[: len(_MAGIC)] == _MAGIC and raw[len(_MAGIC) : _HEADER_BYTES] == hashlib.sha256(value).digest()
        return value if intact else None

    def put(self, key: str, value: bytes) -> None:
        """Durable when this returns, unless the disk refuses: then the value is lost, and the next cycle works it out
        again."""
        if len(value) > MAX_VALUE_BYTES:
            return
        path = self._path(key)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for other in self._folder.iterdir():  # of a process that was killed while writing
                if other.name.startswith(f"{path.name}.") and other.name.endswith(".new"):
                    other.unlink(missing_ok=True)
            with temporary.open("wb") as file:
                file.write(_MAGIC + hashlib.sha256(value).digest() + value)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def _path(self, key: str) -> Path:
        if not key or len(key) > _MAX_KEY or key[0] in "_.-" or not _LETTERS.issuperset(key):
            raise ValueError(f"memory key {key!r}")
        return self._folder / key
