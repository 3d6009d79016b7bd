"""A running Windows without any security to speak of: policies that a test writes are read back, and the rest stays
unknown.

Only under Wine: nobody's real policies are touched.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final, TypeVar

import pytest
from msgspec import UNSET

from secmon_agent import collect
from secmon_agent.facts import Accounts, Firewall, FirewallProfile, ScreenLock, Section, Uac
from secmon_agent.probes import probes_for

HKLM: Final = "HKEY_LOCAL_MACHINE"
SYSTEM: Final = rf"{HKLM}\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System"
PERSON: Final = r"HKEY_USERS\S-1-5-21-7-7-7-1234"

Seed = Callable[..., None]
T = TypeVar("T", bound=Section)

if sys.platform == "win32":
    import ctypes
    import winreg

    WINE = hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")
    HIVES = {HKLM: winreg.HKEY_LOCAL_MACHINE, "HKEY_USERS": winreg.HKEY_USERS}

    def _write(key: str, name: str, value: str | int, undo: ExitStack) -> None:
        """A value that was there before returns; keys that were made go again, the deepest first."""
        hive, _, path = key.partition("\\")
        parts = path.split("\\")
        for depth in range(1, len(parts) + 1):
            _make(HIVES[hive], "\\".join(parts[:depth]), undo)
        opened = undo.enter_context(winreg.OpenKeyEx(HIVES[hive], path, 0, ACCESS))
        try:
            undo.callback(winreg.SetValueEx, opened, name, 0, *reversed(winreg.QueryValueEx(opened, name)))
        except FileNotFoundError:
            undo.callback(winreg.DeleteValue, opened, name)
        kind = winreg.REG_SZ if isinstance(value, str) else winreg.REG_DWORD
        winreg.SetValueEx(opened, name, 0, kind, value)

    def _make(hive: int, path: str, undo: ExitStack) -> None:
        try:
            winreg.CloseKey(winreg.OpenKeyEx(hive, path, 0, ACCESS))
        except FileNotFoundError:
            winreg.CloseKey(winreg.CreateKeyEx(hive, path, 0, ACCESS))
            undo.callback(winreg.DeleteKeyEx, hive, path, winreg.KEY_WOW64_64KEY, 0)

    ACCESS = winreg.KEY_ALL_ACCESS | winreg.KEY_WOW64_64KEY
else:
    WINE = False

pytestmark = pytest.mark.skipif(not WINE, reason="asks a running Windows that nobody works on")


@pytest.fixture
def seed() -> Iterator[Seed]:
    with ExitStack() as undo:

        def write(key: str, **values: str | int) -> None:
            if sys.platform == "win32":
                for name, value in values.items():
                    _write(key, name.replace("__", "."), value, undo)

        yield write


def _facts(name: str, kind: type[T]) -> T:
    found = probes_for("windows")[name](collect.live_host(None))
    assert isinstance(found, kind)
    return found


@pytest.mark.parametrize("section", ["firewall", "antimalware", "password_policy", "disk_encryption"])
def test_a_windows_that_answers_nothing_is_unknown(section: str) -> None:
    assert collect.collect(collect.live_host(None), [section])[section].status in ("unsupported", "denied", "failed")


def test_tools_and_calls_that_answer_emptily_give_no_accounts() -> None:
    found = _facts("accounts", Accounts)
    assert (found.accounts, found.administrators) == (UNSET, UNSET)


def test_a_profile_that_says_nothing_of_a_lock_gives_none() -> None:
    found = _facts("screen_lock", ScreenLock)
    assert (found.enabled is not True, found.timeout_s in (UNSET, 0)) == (True, True)


@pytest.mark.parametrize(("value", "enabled"), [(1, True), (0, False)])
def test_it_reads_a_firewall_policy_back_and_does_not_say_that_it_filters(
    value: int, enabled: bool, seed: Seed
) -> None:
    seed(rf"{HKLM}\SOFTWARE\Policies\Microsoft\WindowsFirewall\PrivateProfile", EnableFirewall=value)
    found = _facts("firewall", Firewall)
    assert not isinstance(found.profiles, type(UNSET))
    assert [it for it in found.profiles if it.enabled is not UNSET] == [
        FirewallProfile(name="private", enabled=enabled, inbound="block", source="policy")
    ]
    assert found.filtering is (UNSET if enabled else False)


def test_it_reads_the_machines_own_limit_back(seed: Seed) -> None:
    seed(SYSTEM, InactivityTimeoutSecs=540)
    assert _facts("screen_lock", ScreenLock) == ScreenLock(enabled=True, timeout_s=540, enforced=True)


@pytest.mark.parametrize(("secure", "timeout"), [("1", UNSET), ("0", 0)])
def test_it_judges_every_loaded_profile(secure: str, timeout: object, seed: Seed) -> None:
    """The account that runs this has a profile, too, which says nothing of a lock: only "never" can be known."""
    seed(
        rf"{PERSON}\Control Panel\Desktop",
        ScreenSaveActive="1",
        ScreenSaverIsSecure=secure,
        ScreenSaveTimeOut="600",
        SCRNSAVE__EXE="x.scr",
    )
    assert _facts("screen_lock", ScreenLock).timeout_s == timeout


def test_it_reads_uac_and_laps_back(seed: Seed) -> None:
    seed(SYSTEM, EnableLUA=0, ConsentPromptBehaviorAdmin=0, LocalAccountTokenFilterPolicy=1)
    seed(rf"{HKLM}\SOFTWARE\Microsoft\Policies\LAPS", BackupDirectory=1)
    found = _facts("accounts", Accounts)
    assert found.uac == Uac(enabled=False, admin_prompt="none", remote_unfiltered=True)
    assert found.laps == "entra"
    assert found.accounts is UNSET
