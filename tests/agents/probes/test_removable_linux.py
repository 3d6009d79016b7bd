"""Whether the kernel takes a USB stick."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import UNSET

from secmon_agent import collect
from secmon_agent.host import Host
from secmon_agent.probes.removable_linux import removable_linux

KERNEL = {"/proc/sys/kernel/osrelease": "6.1.0-44-amd64\n"}
FOLDER = "/lib/modules/6.1.0-44-amd64/kernel/drivers/usb/storage"
MODULES = {f"{FOLDER}/usb-storage.ko.xz": "", f"{FOLDER}/uas.ko": ""}


@pytest.mark.parametrize(
    ("settings", "cmdline", "expected"),
    [
        ("", "", (True, True)),
        ("install usb-storage /bin/false", "", (False, False)),
        ("install usb_storage /usr/bin/true\n", "quiet", (False, False)),
        ("blacklist usb-storage # 町の決まり", "", (False, True)),
        ("blacklist uas", "", (True, False)),
        ("#blacklist usb-storage", "", (True, True)),
        ("install usb-storage /sbin/modprobe --ignore-install usb-storage", "", (True, True)),
        ("", "ro modprobe.blacklist=nouveau,usb_storage,uas", (False, False)),
        ("", "module_blacklist=usb_storage", (False, False)),
    ],
)
def test_it_tells_whether_the_drivers_start(
    settings: str, cmdline: str, expected: tuple[bool, bool], make_host: Callable[..., Host]
) -> None:
    found = removable_linux(
        make_host({**KERNEL, **MODULES, "/etc/modprobe.d/town.conf": settings, "/proc/cmdline": cmdline})
    )
    assert (found.usb_storage, found.uas) == expected


def test_a_loaded_or_built_in_driver_serves_whatever_the_settings_say(make_host: Callable[..., Host]) -> None:
    refused = {**KERNEL, "/etc/modprobe.d/town.conf": "install usb-storage /bin/false\n"}
    loaded = removable_linux(make_host(refused | {"/sys/module/usb_storage/refcnt": "0\n"}))
    builtin = {"/lib/modules/6.1.0-44-amd64/modules.builtin": "kernel/drivers/usb/storage/usb-storage.ko\n"}
    assert (loaded.usb_storage, removable_linux(make_host(refused | builtin)).usb_storage) == (True, True)


def test_a_kernel_without_the_drivers_in_their_place_is_not_guessed_at(make_host: Callable[..., Host]) -> None:
    found = removable_linux(make_host(KERNEL))
    assert (found.usb_storage, found.uas) == (UNSET, UNSET)


def test_an_administrators_file_hides_a_distributions_of_the_same_name(make_host: Callable[..., Host]) -> None:
    files = {"/usr/lib/modprobe.d/usb.conf": "blacklist usb-storage\n", "/etc/modprobe.d/usb.conf": "\n"}
    assert removable_linux(make_host(KERNEL | MODULES | files)).usb_storage is True


def test_nothing_mounts_a_stick_where_nothing_is_installed_that_could(make_host: Callable[..., Host]) -> None:
    assert removable_linux(make_host(KERNEL)).automount is False
    assert removable_linux(make_host(KERNEL | {"/usr/libexec/udisks2/udisksd": ""})).automount is UNSET


def test_a_container_sees_no_stick(make_host: Callable[..., Host]) -> None:
    host = make_host({"/.dockerenv": ""})
    assert collect.collect(host, ["removable_media"])["removable_media"].status == "absent"
