"""What wixl cannot express, as SQL for msibuild: secret properties, the order of an upgrade, versions of files."""

from __future__ import annotations

import struct
from pathlib import Path

ENROLL_BY_PROPERTY = 0x2000 | 0x0800 | 0x0400 | 18
"""Runs an installed program, deferred, as SYSTEM; the first bit hides its command line from every log."""
_FIXED_FILE_INFO = b"\xbd\x04\xef\xfe\x00\x00\x01\x00"
"""Begins the version resource of a program or library."""


def amendments(files: dict[str, Path]) -> list[str]:
    """Queries for a package with these files, by their ids."""
    queries = [
        "INSERT INTO `Property` (`Property`, `Value`) VALUES ('MsiHiddenProperties', 'ENROLLMENT')",
        "INSERT INTO `Property` (`Property`, `Value`) VALUES ('REINSTALLMODE', 'amus')",
        _update(
            "Property", "Value", "'WIX_UPGRADE_DETECTED;WIX_DOWNGRADE_DETECTED;ENROLLMENT'", "SecureCustomProperties"
        ),
        _update("CustomAction", "Type", str(ENROLL_BY_PROPERTY), "EnrollByProperty", "Action"),
        _update("InstallExecuteSequence", "Sequence", "1501", "RemoveExistingProducts", "Action"),
    ]
    versions = {name: version for name, path in files.items() if (version := file_version(path.read_bytes()))}
    return queries + [_update("File", "Version", f"'{version}'", name) for name, version in versions.items()]


def _update(table: str, column: str, value: str, key: str, key_column: str = "") -> str:
    return f"UPDATE `{table}` SET `{column}` = {value} WHERE `{key_column or table}` = '{key}'"  # noqa: S608 - no input


def file_version(data: bytes) -> str:
    """`3.11.9150.1013`, as Windows Installer compares it; empty where the file has none."""
    at = data.find(_FIXED_FILE_INFO) if data.startswith(b"MZ") else -1
    if at < 0 or at + 16 > len(data):
        return ""
    high, low = struct.unpack_from("<II", data, at + 8)
    return f"{high >> 16}.{high & 0xFFFF}.{low >> 16}.{low & 0xFFFF}"
