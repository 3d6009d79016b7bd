"""Windows: what a stick may do, and which ones were here."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from secmon_agent import collect
from secmon_agent.facts import RemovableMedia, RemovablePolicy
from secmon_agent.host import Host
from secmon_agent.probes.removable_windows import filetime, parse_model, removable_windows, serial_hash, serial_of
from secmon_agent.registry import RecordedRegistry, Written

SYSTEM = r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet"
POLICIES = r"HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows"
EXPLORER = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\Explorer"
EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
windows = pytest.mark.skipif(sys.platform != "win32", reason="asks a running Windows")

Read = Callable[[dict[str, dict[str, Written] | None]], RemovableMedia]


@pytest.fixture
def read(changed_host: Callable[..., Host]) -> Read:
    host = changed_host("windows-11-ja")

    def read_(keys: dict[str, dict[str, Written] | None]) -> RemovableMedia:
        host.registry = RecordedRegistry(keys)
        return removable_windows(host)

    return read_


def _policy(found: RemovableMedia) -> RemovablePolicy:
    assert not isinstance(found.policy, type(UNSET))
    return found.policy


@pytest.mark.parametrize(("start", "expected"), [(3, True), (4, False), (0, True)])
def test_a_driver_that_is_switched_off_takes_no_stick(start: int, expected: bool, read: Read) -> None:
    found = read({rf"{SYSTEM}\Services\USBSTOR": {"Start": start}})
    assert (found.usb_storage, found.uas) == (expected, UNSET)


def test_a_machine_without_policies_denies_nothing(read: Read) -> None:
    policy = _policy(read({}))
    assert (policy.deny_all, policy.deny_write, policy.autoplay_off, policy.autorun_off) == (False, False, (), False)


def test_it_reads_what_policies_deny(read: Read) -> None:
    storage = rf"{POLICIES}\RemovableStorageDevices"
    policy = _policy(
        read(
            {
                storage: {"Deny_All": 1},
                storage + r"\{53F5630D-B6BF-11D0-94F2-00A0C91EFB8B}": {"Deny_Read": 1, "Deny_Write": 0},
                storage + r"\{6AC27878-A6FA-4155-BA85-F98F491D4F33}": {"Deny_Write": 1, "Deny_Read": 1},
                storage + r"\{F33FDC04-D1AC-4E8E-9A30-19BBD4B108AE}": {"Deny_Write": 1},
                rf"{SYSTEM}\Policies\Microsoft\FVE": {"RDVDenyWriteAccess": 1},
                rf"{POLICIES}\DeviceInstall\Restrictions": {"DenyRemovableDevices": 1},
                EXPLORER: {"NoDriveTypeAutoRun": {"hex": "95000000"}, "NoAutorun": 1},
            }
        )
    )
    assert (policy.deny_all, policy.deny_read, policy.deny_write, policy.deny_execute) == (True, True, False, False)
    assert (policy.deny_phone_write, policy.deny_phone_read) == (True, False)
    assert (policy.deny_write_unencrypted, policy.deny_install, policy.write_protect) == (True, True, False)
    assert (policy.autoplay_off, policy.autorun_off) == (("unknown", "removable", "network"), True)


def test_the_same_stick_is_known_on_every_machine_and_its_serial_stays_there(read: Read) -> None:
    disk = rf"{SYSTEM}\Enum\USBSTOR\Disk&Ven_SanDisk&Prod_Ultra_Fit&Rev_1.00"
    (here,) = read({disk + r"\4c530001120305&0": {}}).devices_seen or ()
    (there,) = read({disk.replace("1.00", "1.27") + r"\4C530001120305&1": {}}).devices_seen or ()
    assert here == there
    assert (here.vendor, here.product, here.kind, here.serial_hash) == (
        "SanDisk", "Ultra Fit", "Disk", "6479730e8d1aab41",
    )  # fmt: skip


def test_a_device_without_a_serial_has_no_hash_that_would_name_it(read: Read) -> None:
    (device,) = read({rf"{SYSTEM}\Enum\USBSTOR\Disk&Ven_&Prod_&Rev_\7&1f2e3d4c&0&_&0": {}}).devices_seen or ()
    assert (device.serial_hash, device.vendor, device.product) == (UNSET, UNSET, UNSET)


def test_without_the_right_to_the_policies_it_says_denied(changed_host: Callable[..., Host]) -> None:
    host = changed_host("windows-11-ja")
    host.registry = RecordedRegistry({rf"{POLICIES}\RemovableStorageDevices": None})
    assert collect.collect(host, ["removable_media"])["removable_media"].status == "denied"


@given(st.text(max_size=30))
def test_any_key_has_a_class_a_vendor_and_a_product_or_none(key: str) -> None:
    assert all(len(part) <= 64 for part in parse_model(key))


@pytest.mark.parametrize(
    ("instance", "serial"),
    [("4C530001&0", "4C530001"), ("A1&B2&17", "A1&B2"), ("4C530001", "4C530001"), ("7&1a2b&0", ""), ("", "")],
)
def test_it_tells_a_serial_from_what_windows_made_up(instance: str, serial: str) -> None:
    assert serial_of(instance) == serial


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_different_serials_have_different_hashes(one: str, other: str) -> None:
    assert (serial_hash(one) == serial_hash(other)) == (one.upper() == other.upper())


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1)))  # noqa: DTZ001 - as strategies want
def test_it_reads_a_filetime_to_the_second(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)
    ticks = (moment - EPOCH) // timedelta(microseconds=1) * 10
    assert filetime(ticks.to_bytes(8, "little")) == moment.replace(microsecond=0)


@given(st.binary(max_size=12))
def test_bytes_that_are_no_time_are_left_out(raw: bytes) -> None:
    found = filetime(raw)
    assert found is UNSET or (len(raw) == 8 and found >= EPOCH)


@pytest.fixture
def seeded() -> Iterator[None]:
    """Policies and a stick in the real registry."""
    if sys.platform != "win32":
        pytest.skip("asks a running Windows")
    import winreg

    root, stick = uuid.uuid4().hex, r"SYSTEM\CurrentControlSet\Enum\USBSTOR"
    made = [
        r"SOFTWARE\Policies\Microsoft\Windows\RemovableStorageDevices\{53f5630d-b6bf-11d0-94f2-00a0c91efb8b}",
        rf"{stick}\Disk&Ven_Test&Prod_{root}&Rev_1.0\ABC123&0",
    ]
    access = winreg.KEY_ALL_ACCESS | winreg.KEY_WOW64_64KEY
    for path in made:
        winreg.CreateKeyEx(winreg.HKEY_LOCAL_MACHINE, path, 0, access).Close()
    with winreg.OpenKeyEx(winreg.HKEY_LOCAL_MACHINE, made[0], 0, access) as key:
        winreg.SetValueEx(key, "Deny_Write", 0, winreg.REG_DWORD, 1)
    yield
    for path in (*made, made[1].rpartition("\\")[0]):
        winreg.DeleteKeyEx(winreg.HKEY_LOCAL_MACHINE, path, winreg.KEY_WOW64_64KEY, 0)


@windows
@pytest.mark.usefixtures("seeded")
def test_a_running_windows_shows_its_policies_and_a_stick() -> None:
    found = removable_windows(collect.live_host(None))
    policy = _policy(found)
    assert (policy.deny_write, policy.deny_read) == (True, False)
    assert serial_hash("abc123") in {it.serial_hash for it in found.devices_seen or ()}
