"""How a Windows machine starts: firmware, Secure Boot, TPM, and whether a restart is due."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET, UnsetType

from secmon_agent import collect
from secmon_agent.facts import Boot
from secmon_agent.host import Host
from secmon_agent.probes.boot_windows import boot_windows
from secmon_agent.probes.servicing_windows import KEY as SERVICING
from secmon_agent.recorded import recorded_host
from secmon_agent.registry import RecordedRegistry, Written
from secmon_agent.system import RecordedSystem, Recording

HOST = Path(__file__).parents[2] / "hosts/windows-11-ja"
WRITTEN = datetime(2026, 11, 20, 8, tzinfo=UTC)
REQUIRED = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired"
CONTROL = r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control"
PREFETCH = CONTROL + r"\Session Manager\Memory Management\PrefetchParameters"
windows = pytest.mark.skipif(sys.platform != "win32", reason="asks a running Windows")


def _boot(keys: dict[str, dict[str, Written] | None], host: Host | None = None, **written: datetime) -> Boot:
    host = host or recorded_host(HOST)
    names = {"required": REQUIRED, "pending": rf"{SERVICING}\RebootPending"}
    host.registry = RecordedRegistry(keys, {names[name]: moment for name, moment in written.items()})
    return boot_windows(host)


def test_files_that_wait_to_be_renamed_are_no_evidence() -> None:
    renames: dict[str, Written] = {"PendingFileRenameOperations": ["\\??\\C:\\Windows\\Temp\\x", ""]}
    found = _boot({SERVICING: {}, rf"{CONTROL}\Session Manager": renames})
    assert (found.reboot_pending, found.reboot_pending_since, found.reboot_evidence) == (False, UNSET, ())


def test_a_restart_is_due_since_the_oldest_evidence() -> None:
    keys: dict[str, dict[str, Written] | None] = {REQUIRED: {}, rf"{SERVICING}\RebootPending": {}}
    found = _boot(keys, required=WRITTEN, pending=WRITTEN - timedelta(days=2))
    assert (found.reboot_pending, found.reboot_pending_since) == (True, WRITTEN - timedelta(days=2))
    assert found.reboot_evidence == (
        r"WindowsUpdate\Auto Update\RebootRequired", r"Component Based Servicing\RebootPending"
    )  # fmt: skip


def test_a_further_update_does_not_start_the_time_anew_within_one_boot() -> None:
    host = recorded_host(HOST)
    later = WRITTEN + timedelta(days=9)
    keys: dict[str, dict[str, Written] | None] = {SERVICING: {}, REQUIRED: {}, PREFETCH: {"BootId": 7}}
    assert _boot(keys, host, required=WRITTEN).reboot_pending_since == WRITTEN
    assert _boot(keys, host, required=later).reboot_pending_since == WRITTEN
    keys[PREFETCH] = {"BootId": 8}
    assert _boot(keys, host, required=later).reboot_pending_since == later
    del keys[PREFETCH]
    assert _boot(keys, host, required=WRITTEN).reboot_pending_since == WRITTEN


def test_where_windows_keeps_no_books_of_its_parts_nothing_is_said_of_a_restart() -> None:
    found = _boot({CONTROL: {}})
    assert (found.reboot_pending, found.reboot_evidence) == (UNSET, UNSET)


@pytest.mark.parametrize(
    ("firmware", "state", "told"),
    [("uefi", 1, True), ("uefi", 0, False), ("uefi", None, UNSET), ("bios", None, False), (UNSET, None, UNSET)],
)
def test_secure_boot_is_off_without_uefi_and_open_without_a_word(
    firmware: Any, state: int | None, told: bool | UnsetType
) -> None:
    host = recorded_host(HOST)
    host.system = RecordedSystem(Recording(firmware=firmware))
    keys: dict[str, dict[str, Written] | None] = {SERVICING: {}}
    if state is not None:
        keys[rf"{CONTROL}\SecureBoot\State"] = {"UEFISecureBootEnabled": state}
    found = _boot(keys, host)
    assert (found.firmware, found.secure_boot) == (firmware, told)


@pytest.mark.parametrize(
    ("status", "told"),
    [("NotStarted", "not-started"), ("InProgress", "in-progress"), ("Updated", "updated"), ("更新済み", UNSET)],
)
def test_certificates_of_2023_are_told_as_windows_has_them(status: str, told: str | UnsetType) -> None:
    assert _boot({rf"{CONTROL}\SecureBoot\Servicing": {"UEFICA2023Status": status}}).secure_boot_2023 == told


def test_without_administrators_rights_nothing_is_said_of_the_tpm(changed_host: Callable[..., Host]) -> None:
    found = boot_windows(changed_host("windows-11-ja", privileged=False))
    assert (found.tpm_present, found.tpm_ready, found.secure_boot) == (UNSET, UNSET, True)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ('{"present": true, "version": "1.2, 2, 3", "states": [true, false, true]}', (True, "1.2", False)),
        ('{"present": true, "version": "Not Supported"}', (True, UNSET, UNSET)),
        ('{"present": false}', (False, UNSET, UNSET)),
    ],
)
def test_a_tpm_is_ready_when_it_is_enabled_activated_and_owned(
    answer: str, told: tuple[object, ...], changed_host: Callable[..., Host], tmp_path: Path
) -> None:
    host = changed_host("windows-11-ja")
    (tmp_path / "windows-11-ja/tpm.json").write_text(f'{{"status": "ok", "value": {answer}}}')
    found = boot_windows(host)
    assert (found.tpm_present, found.tpm_version, found.tpm_ready) == told


@windows
def test_a_running_windows_that_is_none_leaves_out_what_it_does_not_know() -> None:
    answer = collect.collect(collect.live_host(None), ["boot"])["boot"]
    assert answer.status == "ok"
    found = boot_windows(collect.live_host(None))
    assert (found.tpm_present, found.reboot_pending, found.secure_boot_2023) == (UNSET, UNSET, UNSET)
