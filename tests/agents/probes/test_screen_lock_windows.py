"""Whether a Windows session locks itself, whoever is logged on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from secmon_agent.facts import ScreenLock
from secmon_agent.probes.screen_lock_windows import screen_lock_windows
from secmon_agent.recorded import recorded_host
from secmon_agent.registry import HKLM, HKU, RecordedRegistry, Written

HOST = Path(__file__).parents[2] / "hosts/windows-11-ja"
MACHINE = HKLM + r"\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System"
WINLOGON = HKLM + r"\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon"
OWN = r"Control Panel\Desktop"
POLICY = r"Software\Policies\Microsoft\Windows\Control Panel\Desktop"
ONE, TWO, CLOUD = "S-1-5-21-1-2-3-1001", "S-1-5-21-9-9-9-2210", "S-1-12-1-1-2-3-4"
LOCKS: dict[str, Written] = {
    "ScreenSaveActive": "1",
    "ScreenSaverIsSecure": "1",
    "ScreenSaveTimeOut": "600",
    "SCRNSAVE.EXE": r"C:\Windows\system32\scrnsave.scr",
}
NEVER = ScreenLock(enabled=False, timeout_s=0, enforced=False)

Keys = dict[str, Mapping[str, Written] | None]


def _found(keys: Keys) -> ScreenLock:
    host = recorded_host(HOST)
    host.registry = RecordedRegistry({rf"{HKU}\S-1-5-18": {}, rf"{HKU}\{ONE}_Classes": {}} | keys)
    return screen_lock_windows(host)


def _own(sid: str, **changed: Written) -> Keys:
    return {rf"{HKU}\{sid}\{OWN}": {key: value for key, value in (LOCKS | changed).items() if value != ""}}


def _policy(sid: str, **values: Written) -> Keys:
    return {rf"{HKU}\{sid}\{POLICY}": values}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ScreenLock(enabled=True, timeout_s=600, enforced=False)),
        ({"ScreenSaverIsSecure": "0"}, NEVER),
        ({"ScreenSaverIsSecure": ""}, NEVER),
        ({"ScreenSaveActive": "0"}, NEVER),
        ({"SCRNSAVE.EXE": ""}, NEVER),
        ({"ScreenSaveTimeOut": "0"}, NEVER),
        ({"ScreenSaveTimeOut": 900}, ScreenLock(enabled=True, timeout_s=900, enforced=False)),
        ({"ScreenSaveTimeOut": "ten"}, ScreenLock()),
        ({"ScreenSaveTimeOut": ""}, ScreenLock()),
        ({"ScreenSaveActive": ""}, ScreenLock()),
    ],
)
def test_it_locks_only_with_a_program_a_password_and_a_time(changed: dict[str, Written], expected: ScreenLock) -> None:
    assert _found(_own(ONE, **changed)) == expected


def test_a_policy_hides_what_the_person_has_set() -> None:
    assert _found(_own(ONE) | _policy(ONE, ScreenSaverIsSecure="0")) == NEVER
    found = _found(_own(ONE, ScreenSaveTimeOut="3600") | _policy(ONE, ScreenSaveTimeOut="300"))
    assert (found.timeout_s, found.enforced) == (300, False)
    assert _found(_own(ONE, ScreenSaveActive="1") | {rf"{HKU}\{ONE}\{POLICY}": LOCKS}).enforced is True


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (_own(TWO, ScreenSaveTimeOut="1200"), ScreenLock(enabled=True, timeout_s=1200, enforced=False)),
        (_own(CLOUD, ScreenSaverIsSecure="0"), NEVER),
        ({rf"{HKU}\{TWO}\{OWN}": None}, ScreenLock()),
        ({rf"{HKU}\{TWO}": {}}, ScreenLock()),
        (_own(TWO, ScreenSaverIsSecure="0") | {rf"{HKU}\{CLOUD}\{OWN}": None}, NEVER),
        (_own("S-1-5-80-1-2", ScreenSaverIsSecure="0"), ScreenLock(enabled=True, timeout_s=600, enforced=False)),
    ],
)
def test_the_worst_of_all_loaded_profiles_decides(other: Keys, expected: ScreenLock) -> None:
    assert _found(_own(ONE) | other) == expected


def test_while_nobody_is_logged_on_nothing_is_told() -> None:
    assert _found({MACHINE: {"EnableLUA": 1}}) == ScreenLock()
    assert _found({MACHINE: {"InactivityTimeoutSecs": 0}}) == ScreenLock()


@pytest.mark.parametrize(
    ("people", "timeout_s"),
    [
        ({}, 900),
        (_own(ONE), 600),
        (_own(ONE, ScreenSaverIsSecure="0"), 900),
        (_own(ONE) | _own(TWO, ScreenSaveTimeOut="3600"), 900),
        (_own(ONE) | {rf"{HKU}\{TWO}\{OWN}": None}, 900),
    ],
)
def test_the_machines_own_limit_holds_for_everybody(people: Keys, timeout_s: int) -> None:
    found = _found({MACHINE: {"InactivityTimeoutSecs": 900}} | people)
    assert found == ScreenLock(enabled=True, timeout_s=timeout_s, enforced=True)


def test_a_long_grace_without_a_password_counts() -> None:
    assert _found(_own(ONE) | {WINLOGON: {"ScreenSaverGracePeriod": "5"}}).timeout_s == 600
    assert _found(_own(ONE) | {WINLOGON: {"ScreenSaverGracePeriod": "3605"}}).timeout_s == 4200


@given(st.dictionaries(st.sampled_from(sorted(LOCKS)), st.none() | st.text(max_size=4) | st.integers(0, 9)))
def test_it_says_that_it_locks_only_where_every_value_says_so(changed: dict[str, Written | None]) -> None:
    values = {key: value for key, value in (LOCKS | changed).items() if value is not None}
    found = _found({rf"{HKU}\{ONE}\{OWN}": values})
    if found.enabled is True:
        assert (str(values["ScreenSaveActive"]), str(values["ScreenSaverIsSecure"])) == ("1", "1")
        assert found.timeout_s is not UNSET
        assert found.timeout_s == int(str(values["ScreenSaveTimeOut"])) > 0
