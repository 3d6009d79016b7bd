"""Volumes with a drive letter, and whether BitLocker protects them. Portable media are no setting of the machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import UNSET, UnsetType

from secmon_agent.facts import DiskEncryption, Volume
from secmon_agent.host import DeniedError, Host, ProbeError
from secmon_agent.questions.bitlocker import BitlockerAnswer, EncryptableVolume

_SYSTEM: Final = 0
_PORTABLE: Final = 2
_DECRYPTED, _ENCRYPTED = 0, 1
_OFF, _ON = 0, 1


def disk_encryption_windows(host: Host) -> DiskEncryption:
    """Source: Win32_EncryptableVolume. What Explorer shows without rights is disputed and not asked.

    Rights: Administrator; denied to others.
    """
    if not host.privileged:
        raise DeniedError("BitLocker answers to administrators only")
    volumes = volumes_of(host.ask("bitlocker", BitlockerAnswer).volumes)
    if not volumes:
        raise ProbeError("BitLocker told of no volume")
    return DiskEncryption(volumes=volumes)


def volumes_of(rows: Iterable[EncryptableVolume]) -> tuple[Volume, ...]:
    return tuple(_volume(row, row.drive) for row in rows if isinstance(row.drive, str) and row.kind != _PORTABLE)


def _volume(row: EncryptableVolume, drive: str) -> Volume:
    encrypted, suspended = states(row.protection, row.conversion)
    return Volume(
        mount=drive,
        system=UNSET if row.kind is UNSET else row.kind == _SYSTEM,
        removable=UNSET if row.kind is UNSET else False,
        encrypted=encrypted,
        suspended=suspended,
        method="bitlocker" if encrypted is True else UNSET,
    )


def states(protection: int | UnsetType, conversion: int | UnsetType) -> tuple[bool | UnsetType, bool | UnsetType]:
    """Encrypted and suspended. A volume that is half way is not encrypted; protection is on only where the whole
    volume is encrypted and its key is closed away; a locked volume keeps both for itself."""
    if protection == _ON:
        return (True, False) if conversion in (UNSET, _ENCRYPTED) else (UNSET, UNSET)
    if conversion == _ENCRYPTED:
        return True, True if protection == _OFF else UNSET
    if protection == _OFF and conversion is not UNSET:
        return False, False if conversion == _DECRYPTED else UNSET
    return UNSET, UNSET
