"""What a stick may do on Windows, and which ones were here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import UNSET, UnsetType

from secmon_agent.facts import RemovableDevice, RemovableMedia, RemovablePolicy
from secmon_agent.host import Host
from secmon_agent.probes.host_windows import subkeys_if_any, values_if_any
from secmon_agent.registry import HKLM, Value, lookup, number

_SYSTEM: Final = HKLM + r"\SYSTEM\CurrentControlSet"
_POLICIES: Final = HKLM + r"\SOFTWARE\Policies\Microsoft\Windows"
_STORAGE: Final = rf"{_POLICIES}\RemovableStorageDevices"
_DISKS: Final = rf"{_STORAGE}\{{53f5630d-b6bf-11d0-94f2-00a0c91efb8b}}"
_PHONES: Final = (
    rf"{_STORAGE}\{{6AC27878-A6FA-4155-BA85-F98F491D4F33}}",
    rf"{_STORAGE}\{{F33FDC04-D1AC-4E8E-9A30-19BBD4B108AE}}",
)
"""The classes of Windows Portable Devices; the policy editor sets both."""
_INSTALLING: Final = rf"{_POLICIES}\DeviceInstall\Restrictions"
_BITLOCKER: Final = rf"{_SYSTEM}\Policies\Microsoft\FVE"
_PROTECTION: Final = rf"{_SYSTEM}\Control\StorageDevicePolicies"
_EXPLORER: Final = HKLM + r"\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\Explorer"
_MET: Final = rf"{_SYSTEM}\Enum\USBSTOR"
_FIRST_INSTALLED: Final = r"Properties\{83da6326-97a6-4088-9453-a1923f573b29}\0065"
"""DEVPKEY_Device_FirstInstallDate."""
_DRIVES: Final = ((0x01, "unknown"), (0x04, "removable"), (0x08, "fixed"), (0x10, "network"), (0x20, "optical"),
                  (0x40, "ramdisk"))  # fmt: skip
_DISABLED: Final = 4
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)
_SERIAL_DOMAIN: Final = b"secmon removable serial v1\0"
_MAX_CHARS: Final = 64


def removable_windows(host: Host) -> RemovableMedia:
    """Sources: registry, `Services\\USBSTOR`, `Services\\UASPStor`, `Policies\\Microsoft\\Windows`, `Enum\\USBSTOR`.

    Rights: LocalSystem for `first_seen_at` of devices, which others leave out.
    """
    return RemovableMedia(
        usb_storage=_starts(host, "USBSTOR"),
        uas=_starts(host, "UASPStor"),
        policy=_policy(host),
        devices_seen=tuple(_devices(host)),
    )


def _policy(host: Host) -> RemovablePolicy:
    disks, phones = values_if_any(host, _DISKS), [values_if_any(host, key) for key in _PHONES]
    explorer = values_if_any(host, _EXPLORER)
    return RemovablePolicy(
        deny_all=_on(values_if_any(host, _STORAGE), "Deny_All"),
        deny_read=_on(disks, "Deny_Read"),
        deny_write=_on(disks, "Deny_Write"),
        deny_execute=_on(disks, "Deny_Execute"),
        deny_phone_read=all(_on(values, "Deny_Read") for values in phones),
        deny_phone_write=all(_on(values, "Deny_Write") for values in phones),
        deny_install=_on(values_if_any(host, _INSTALLING), "DenyRemovableDevices"),
        deny_write_unencrypted=_on(values_if_any(host, _BITLOCKER), "RDVDenyWriteAccess"),
        write_protect=_on(values_if_any(host, _PROTECTION), "WriteProtect"),
        autoplay_off=_autoplay_off(explorer),
        autorun_off=_on(explorer, "NoAutorun"),
    )


def _starts(host: Host, driver: str) -> bool | UnsetType:
    """Undetermined where Windows has not installed the driver yet: it would do so for the first stick."""
    start = number(values_if_any(host, rf"{_SYSTEM}\Services\{driver}"), "Start")
    return UNSET if start is None else start != _DISABLED


def _on(values: Mapping[str, Value], name: str) -> bool:
    """A policy that nobody has set is off."""
    return number(values, name) == 1


def _autoplay_off(explorer: Mapping[str, Value]) -> tuple[str, ...]:
    found = lookup(explorer, "NoDriveTypeAutoRun")
    mask = int.from_bytes(found[:4], "little") if isinstance(found, bytes) else found if isinstance(found, int) else 0
    return tuple(name for bit, name in _DRIVES if mask & bit)


def _devices(host: Host) -> list[RemovableDevice]:
    found: dict[RemovableDevice, None] = {}
    for model in subkeys_if_any(host, _MET):
        for instance in subkeys_if_any(host, f"{_MET}\\{model}"):
            found[_device(host, model, instance)] = None
    return list(found)


def _device(host: Host, model: str, instance: str) -> RemovableDevice:
    kind, vendor, product = parse_model(model)
    serial = serial_of(instance)
    return RemovableDevice(
        vendor=vendor or UNSET,
        product=product or UNSET,
        kind=kind or UNSET,
        serial_hash=serial_hash(serial) if serial else UNSET,
        first_seen_at=_first_seen(host, f"{_MET}\\{model}\\{instance}\\{_FIRST_INSTALLED}"),
    )


def parse_model(key: str) -> tuple[str, str, str]:
    """Class, vendor and product of a key such as `Disk&Ven_SanDisk&Prod_Ultra&Rev_1.00`; empty where it says none."""
    kind, *parts = key.split("&")
    named = {name.lower(): value for name, _, value in (part.partition("_") for part in parts)}
    vendor, product = (named.get(name, "").replace("_", " ").strip()[:_MAX_CHARS] for name in ("ven", "prod"))
    return kind[:_MAX_CHARS], vendor, product


def serial_of(instance: str) -> str:
    """`4C53…&0` is the serial and a number. Empty for `7&1a2b3c&0`, which Windows made up for want of a serial."""
    if instance[1:2] == "&":
        return ""
    return re.sub(r"&\d+$", "", instance).strip()


def serial_hash(serial: str) -> str:
    """See `RemovableDevice.serial_hash`."""
    return hashlib.sha256(_SERIAL_DOMAIN + serial.upper().encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _first_seen(host: Host, key: str) -> datetime | UnsetType:
    """Only LocalSystem may read it."""
    try:
        raw = lookup(values_if_any(host, key), "")
    except PermissionError:
        return UNSET
    return filetime(raw) if isinstance(raw, bytes) else UNSET


def filetime(raw: bytes) -> datetime | UnsetType:
    """A FILETIME, whole seconds; left out where it is none, or zero."""
    ticks = int.from_bytes(raw, "little") if len(raw) == 8 else 0
    if not ticks:
        return UNSET
    try:
        return _EPOCH + timedelta(seconds=ticks // 10**7)
    except OverflowError:
        return UNSET
