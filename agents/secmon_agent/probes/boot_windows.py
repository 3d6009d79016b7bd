"""How a Windows machine starts, and whether a restart is due."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from secmon_agent.facts import Boot
from secmon_agent.host import Host
from secmon_agent.probes.asking import told
from secmon_agent.probes.host_windows import values_if_any
from secmon_agent.probes.servicing_windows import KEY as SERVICING
from secmon_agent.questions.tpm import Tpm
from secmon_agent.registry import HKLM, number, text

Certificates = Literal["not-started", "in-progress", "updated"]

_CONTROL: Final = HKLM + r"\SYSTEM\CurrentControlSet\Control"
_PREFETCH: Final = rf"{_CONTROL}\Session Manager\Memory Management\PrefetchParameters"
_EVIDENCE: Final = (
    (
        r"WindowsUpdate\Auto Update\RebootRequired",
        HKLM + r"\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired",
    ),
    (r"Component Based Servicing\RebootPending", rf"{SERVICING}\RebootPending"),
)
"""Keys that exist only while a restart is due. Files that wait to be renamed are no evidence: installers leave some."""
_CERTIFICATES: Final[dict[str, Certificates]] = {
    "notstarted": "not-started", "inprogress": "in-progress", "updated": "updated",
}  # fmt: skip
_PENDING_SINCE: Final = "boot.pending-since"


class _Seen(Struct, frozen=True):
    boot: int
    since: datetime


def boot_windows(host: Host) -> Boot:
    """Sources: GetFirmwareType; registry, `Control\\SecureBoot`, `Auto Update\\RebootRequired`, `Component Based
    Servicing\\RebootPending`; Win32_Tpm (Administrators only).

    Rights: Administrator for `tpm_…`, which others leave out.
    """
    firmware = _firmware(host)
    tpm = told(host, "tpm", Tpm) if host.privileged else None
    evidence = _evidence(host)
    return Boot(
        firmware=firmware,
        secure_boot=_secure_boot(host, firmware),
        secure_boot_2023=_certificates(host),
        reboot_pending=UNSET if evidence is None else bool(evidence),
        reboot_pending_since=_first_seen(host, min(evidence.values())) if evidence else UNSET,
        reboot_evidence=UNSET if evidence is None else tuple(evidence),
        tpm_present=UNSET if tpm is None else tpm.present,
        tpm_version=UNSET if tpm is None else _version(tpm),
        tpm_ready=UNSET if tpm is None or len(tpm.states) < 3 else all(tpm.states),
    )


def _firmware(host: Host) -> Literal["uefi", "bios"] | UnsetType:
    try:
        return host.system.firmware() or UNSET
    except PermissionError:
        return UNSET


def _secure_boot(host: Host, firmware: Literal["uefi", "bios"] | UnsetType) -> bool | UnsetType:
    if firmware == "bios":
        return False
    state = number(values_if_any(host, rf"{_CONTROL}\SecureBoot\State"), "UEFISecureBootEnabled")
    return UNSET if state is None else state == 1


def _certificates(host: Host) -> Certificates | UnsetType:
    status = text(values_if_any(host, rf"{_CONTROL}\SecureBoot\Servicing"), "UEFICA2023Status") or ""
    return _CERTIFICATES.get(status.lower(), UNSET)


def _version(tpm: Tpm) -> str | UnsetType:
    """The first part of `2.0, 0, 1.59`."""
    found = re.match(r"\d+\.\d+", tpm.version) if isinstance(tpm.version, str) else None
    return found[0] if found else UNSET


def _evidence(host: Host) -> dict[str, datetime] | None:
    """What demands a restart, with when its key was written; None where Windows keeps no such books."""
    if _written(host, SERVICING) is None:
        return None
    return {name: written for name, key in _EVIDENCE if (written := _written(host, key)) is not None}


def _written(host: Host, key: str) -> datetime | None:
    """None where there is no such key."""
    try:
        return host.registry.written(key)
    except FileNotFoundError:
        return None


def _first_seen(host: Host, written: datetime) -> datetime:
    """The oldest moment that this agent saw in this boot: every further update writes into the key again. Windows
    counts its boots for its prefetcher; where it does not, the key's own time has to do."""
    boot = number(values_if_any(host, _PREFETCH), "BootId")
    if boot is None:
        return written
    try:
        seen = msgspec.msgpack.decode(host.memory.get(_PENDING_SINCE) or b"", type=_Seen)
    except msgspec.DecodeError:
        seen = _Seen(boot, written)
    now = _Seen(boot, min(seen.since, written) if seen.boot == boot else written)
    host.memory.put(_PENDING_SINCE, msgspec.msgpack.encode(now))
    return now.since
