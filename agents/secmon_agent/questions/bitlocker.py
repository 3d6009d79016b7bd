"""Volumes that BitLocker knows. Made from documentation of Win32_EncryptableVolume."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from secmon_agent.questions import wmi

_NAMESPACE: Final = r"root\cimv2\Security\MicrosoftVolumeEncryption"
_FIELDS: Final = {
    "drive": "DriveLetter",
    "protection": "ProtectionStatus",
    "conversion": "ConversionStatus",
    "kind": "VolumeType",
}


class EncryptableVolume(Struct, frozen=True, kw_only=True, rename=_FIELDS):
    """Win32_EncryptableVolume under its own names; a field that this Windows does not have is left out."""

    drive: str | UnsetType = UNSET
    """`C:`"""
    protection: int | UnsetType = UNSET
    """0 off, 1 on, 2 unknown: locked."""
    conversion: int | UnsetType = UNSET
    """0 decrypted, 1 encrypted, 2 to 5 on the way."""
    kind: int | UnsetType = UNSET
    """0 operating system, 1 fixed, 2 portable."""


class BitlockerAnswer(Struct, frozen=True, kw_only=True):
    volumes: tuple[EncryptableVolume, ...]


def answer() -> BitlockerAnswer:
    """DeniedError without administrator's rights, UnsupportedError where BitLocker is not installed."""
    rows = wmi.query(_NAMESPACE, "Win32_EncryptableVolume", list(_FIELDS.values()))
    return BitlockerAnswer(volumes=tuple(msgspec.convert(rows, list[EncryptableVolume])))
