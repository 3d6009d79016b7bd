"""The registry of the running Windows machine."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Final

from secmon_agent.registry import MAX_SUBKEYS, Value, instant

if sys.platform == "win32":
    import winreg

    _HIVES: Final = {"HKEY_LOCAL_MACHINE": winreg.HKEY_LOCAL_MACHINE, "HKEY_USERS": winreg.HKEY_USERS}
    _ACCESS: Final = winreg.KEY_READ | winreg.KEY_WOW64_64KEY

    class WindowsRegistry:
        def values(self, key: str) -> dict[str, Value]:
            with _opened(key) as handle:
                count = winreg.QueryInfoKey(handle)[1]
                found = [winreg.EnumValue(handle, index) for index in range(count)]
            return {name: value for name, value, _ in found if _usable(value)}

        def subkeys(self, key: str) -> list[str]:
            with _opened(key) as handle:
                count = min(winreg.QueryInfoKey(handle)[0], MAX_SUBKEYS)
                return [winreg.EnumKey(handle, index) for index in range(count)]

        def written(self, key: str) -> datetime:
            with _opened(key) as handle:
                return instant(winreg.QueryInfoKey(handle)[2])

    def _opened(key: str) -> winreg.HKEYType:
        hive, _, path = key.partition("\\")
        return winreg.OpenKeyEx(_HIVES[hive], path, 0, _ACCESS)

    def _usable(value: object) -> bool:
        return isinstance(value, (str, int, bytes)) or (
            isinstance(value, list) and all(isinstance(item, str) for item in value)
        )
