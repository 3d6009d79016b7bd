"""The Windows registry as a probe sees it: of the running machine, or recorded as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, Protocol

Value = str | int | bytes | list[str]
Written = str | int | list[str] | dict[str, str]
"""A value in a recording; bytes are written as {"hex": "…"}."""
View = Literal["64", "32"]

HKLM: Final = "HKEY_LOCAL_MACHINE"
HKU: Final = "HKEY_USERS"
MAX_SUBKEYS: Final = 20_000
_FILETIME_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)


class Registry(Protocol):
    """Keys are full paths, such as `HKEY_LOCAL_MACHINE\\SOFTWARE\\…`, always in the 64-bit view. Values that hold no
    text, number, bytes or list of texts are left out. Raises FileNotFoundError or PermissionError."""

    def values(self, key: str) -> dict[str, Value]: ...

    def subkeys(self, key: str) -> list[str]: ...

    def written(self, key: str) -> datetime:
        """When a value or direct subkey of the key last changed, UTC, whole seconds."""


class NoRegistry:
    """Of a machine that has none."""

    def values(self, key: str) -> dict[str, Value]:
        raise FileNotFoundError(2, "there is no registry here", key)

    def subkeys(self, key: str) -> list[str]:
        raise FileNotFoundError(2, "there is no registry here", key)

    def written(self, key: str) -> datetime:
        raise FileNotFoundError(2, "there is no registry here", key)


class RecordedRegistry:
    """`{key: {value name: value}}`; null for a key that this agent had no right to. `written` names when keys last
    changed; the others never did."""

    def __init__(
        self, keys: Mapping[str, Mapping[str, Written] | None], written: Mapping[str, datetime] | None = None
    ) -> None:
        self._keys = {key.lower(): (key, values) for key, values in keys.items()}
        self._written = {key.lower(): moment for key, moment in (written or {}).items()}

    def values(self, key: str) -> dict[str, Value]:
        found = self._keys.get(key.lower())
        if found is None:
            if self.subkeys(key):
                return {}
            raise FileNotFoundError(2, "no such registry key", key)
        if found[1] is None:
            raise PermissionError(13, "Access is denied", key)
        return {name: _value(value) for name, value in found[1].items()}

    def subkeys(self, key: str) -> list[str]:
        wanted = key.lower()
        if wanted in self._keys and self._keys[wanted][1] is None:
            raise PermissionError(13, "Access is denied", key)
        prefix = wanted + "\\"
        names: dict[str, str] = {}
        for lower, (full, _) in self._keys.items():
            if lower.startswith(prefix):
                name, _, deeper = full[len(prefix) :].partition("\\")
                if not deeper or name.lower() not in names:  # deeper keys may be written in another case
                    names[name.lower()] = name
        if not names and wanted not in self._keys:
            raise FileNotFoundError(2, "no such registry key", key)
        return sorted(names.values())

    def written(self, key: str) -> datetime:
        self.values(key)
        return self._written.get(key.lower(), _FILETIME_EPOCH)


def instant(filetime: int) -> datetime:
    """A FILETIME (100 ns since 1601) as an instant, whole seconds; OverflowError beyond the year 9999."""
    return _FILETIME_EPOCH + timedelta(seconds=filetime // 10**7)


def _value(value: Written) -> Value:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value


def number(values: Mapping[str, Value], name: str) -> int | None:
    """A DWORD or QWORD; None where it is missing or of another type."""
    found = lookup(values, name)
    return found if isinstance(found, int) else None


def text(values: Mapping[str, Value], name: str) -> str | None:
    """A text up to its first null character; None where it is missing, empty or of another type."""
    found = lookup(values, name)
    if not isinstance(found, str):
        return None
    return found.split("\0", 1)[0].strip() or None


def lookup(values: Mapping[str, Value], name: str) -> Value | None:
    """Value names are case-insensitive."""
    if name in values:
        return values[name]
    wanted = name.lower()
    found = next(filter(lambda key: key.lower() == wanted, values.keys()), None)
    return None if found is None else values[found]
