"""Windows accounts, administrators, UAC, LAPS and the rules for passwords."""

from __future__ import annotations

import ctypes
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Struct

from secmon_agent import collect
from secmon_agent.facts import Account, PasswordPolicy, Uac
from secmon_agent.host import DeniedError, Host, ProbeError, UnsupportedError
from secmon_agent.probes.accounts_windows import accounts_of, accounts_windows, member
from secmon_agent.probes.admin_policy_windows import laps, uac
from secmon_agent.probes.password_policy_windows import policy_of
from secmon_agent.questions import netapi_types, sid
from secmon_agent.questions.local_security import Fault, LocalSecurity, Rules
from secmon_agent.questions.netapi_types import LocalUser
from secmon_agent.recorded import recorded_host
from secmon_agent.registry import HKLM, RecordedRegistry, Written
from tests.agents.probes.windows_made import answering

HOST = Path(__file__).parents[2] / "hosts/windows-11-ja"
NOW = datetime(2026, 11, 23, tzinfo=UTC)
MACHINE = "S-1-5-21-1-2-3"
SYSTEM = HKLM + r"\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System"
NEVER = 0xFFFFFFFF


def _user(rid: int = 1001, flags: int = 0x201, age_s: int = 0, expires: int = NEVER) -> LocalUser:
    return LocalUser(rid=rid, flags=flags, password_age_s=age_s, expires=expires)


def _account(user: LocalUser, *administrators: str) -> Account:
    found = accounts_of(LocalSecurity(machine_sid=MACHINE, users=(user,), administrators=administrators), NOW)
    assert not isinstance(found, type(UNSET))
    (account,) = found
    return account


@pytest.mark.parametrize(
    ("rid", "label"),
    [(500, "Administrator"), (501, "Guest"), (503, "DefaultAccount"), (999, "rid:999"), (1000, f"{MACHINE}-1000")],
)
def test_a_system_account_has_a_name_that_no_language_changes(rid: int, label: str) -> None:
    assert _account(_user(rid)).label == label


@pytest.mark.parametrize(
    ("user", "enabled"),
    [
        (_user(flags=0x201), True),
        (_user(flags=0x203), False),
        (_user(flags=0x211), True),
        (_user(expires=0), True),
        (_user(expires=int(NOW.timestamp())), False),
        (_user(expires=int(NOW.timestamp()) + 1), True),
    ],
)
def test_a_disabled_or_expired_account_is_not_enabled_and_a_lockout_passes(user: LocalUser, enabled: bool) -> None:
    assert _account(user).enabled is enabled


def test_it_reads_the_flags_of_a_password() -> None:
    changed = int(timedelta(days=3, hours=1).total_seconds())
    found = _account(_user(flags=0x10221, age_s=changed))
    assert (found.password_required, found.password_expires, found.password_changed_on) == (False, False, "2026-11-19")
    assert _account(_user()).password_changed_on is UNSET


def test_an_administrator_is_who_stands_in_the_group() -> None:
    assert _account(_user(1001), f"{MACHINE}-1001").admin is True
    assert _account(_user(1001), f"{MACHINE}-500", "S-1-5-21-9-9-9-1001").admin is False
    (unknown,) = accounts_of(LocalSecurity(machine_sid=MACHINE, users=(_user(),)), NOW) or ()
    assert unknown.admin is UNSET


@pytest.mark.parametrize("found", [LocalSecurity(users=(_user(),)), LocalSecurity(machine_sid=MACHINE)])
def test_without_the_machines_sid_or_on_a_domain_controller_no_account_is_named(found: LocalSecurity) -> None:
    assert accounts_of(found, NOW) is UNSET


@pytest.mark.parametrize(
    ("text", "label", "scope"),
    [
        (f"{MACHINE}-500", "Administrator", "local"),
        (f"{MACHINE}-513", f"{MACHINE}-513", "local"),
        ("S-1-5-21-9-9-9-512", "Domain Admins", "domain"),
        ("S-1-5-21-9-9-9-513", "Domain Users", "domain"),
        ("S-1-5-21-9-9-9-2210", "S-1-5-21-9-9-9-2210", "domain"),
        ("S-1-12-1-1-2-3-4", "S-1-12-1-1-2-3-4", "entra"),
        ("S-1-1-0", "Everyone", "well_known"),
        ("S-1-5-11", "Authenticated Users", "well_known"),
        ("S-1-5-80-1-2", "S-1-5-80-1-2", UNSET),
    ],
)
def test_a_member_is_told_by_its_sid_alone(text: str, label: str, scope: object) -> None:
    found = member(text, MACHINE)
    assert (found.label, found.scope) == (label, scope)


def test_without_the_machines_sid_local_and_domain_cannot_be_told_apart() -> None:
    assert member(f"{MACHINE}-500", UNSET).scope is UNSET


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, UNSET),
        ({"LocalAccountTokenFilterPolicy": 1}, UNSET),
        ({"EnableLUA": 0}, Uac(enabled=False, remote_unfiltered=False)),
        (
            {"EnableLUA": 1, "ConsentPromptBehaviorAdmin": 0, "LocalAccountTokenFilterPolicy": 1},
            Uac(enabled=True, admin_prompt="none", remote_unfiltered=True),
        ),
        (
            {"enablelua": 1, "ConsentPromptBehaviorAdmin": 2},
            Uac(enabled=True, admin_prompt="consent_secure", remote_unfiltered=False),
        ),
        ({"EnableLUA": "1", "ConsentPromptBehaviorAdmin": 9}, Uac(remote_unfiltered=False)),
    ],
)
def test_it_reads_user_account_control(values: dict[str, Written], expected: object) -> None:
    assert uac(_with_registry({SYSTEM: values})) == expected


CSP = HKLM + r"\SOFTWARE\Microsoft\Policies\LAPS"
POLICY = HKLM + r"\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\LAPS"
OWN = HKLM + r"\SOFTWARE\Microsoft\Windows\CurrentVersion\LAPS\Config"
LEGACY = HKLM + r"\SOFTWARE\Policies\Microsoft Services\AdmPwd"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, "off"),
        ({POLICY: {"BackupDirectory": 2}}, "ad"),
        ({CSP: {"BackupDirectory": 1}, POLICY: {"BackupDirectory": 2}}, "entra"),
        ({CSP: {"BackupDirectory": 0}, POLICY: {"BackupDirectory": 2}}, "off"),
        ({CSP: {}, POLICY: {"PasswordAgeDays": 30}, OWN: {"BackupDirectory": 2}}, "off"),
        ({OWN: {"BackupDirectory": 1}, LEGACY: {"AdmPwdEnabled": 1}}, "entra"),
        ({LEGACY: {"AdmPwdEnabled": 1}}, "legacy"),
        ({LEGACY: {"AdmPwdEnabled": 0}}, "off"),
        ({POLICY: {"BackupDirectory": 5}}, UNSET),
        ({POLICY: None, LEGACY: {"AdmPwdEnabled": 1}}, UNSET),
    ],
)
def test_the_first_root_of_laps_that_says_anything_decides(
    keys: dict[str, dict[str, Written] | None], expected: object
) -> None:
    assert laps(_with_registry(keys)) == expected


def _with_registry(keys: dict[str, dict[str, Written] | None]) -> Host:
    host = recorded_host(HOST)
    nothing: dict[str, dict[str, Written] | None] = {HKLM + r"\SOFTWARE": {}}
    host.registry = RecordedRegistry(nothing | keys)
    return host


def _status(answer: Struct | None, registry: dict[str, dict[str, Written] | None]) -> tuple[str, str]:
    found = collect.collect(answering(_with_registry(registry), answer), ["accounts"])["accounts"]
    return found.status, found.reason


REFUSED = LocalSecurity(faults={"users": Fault(function="NetUserEnum", number=5)})
EMPTY = LocalSecurity(faults={"users": Fault(function="NetUserEnum", number=124)})


def test_what_the_registry_lacks_is_no_section_of_its_own() -> None:
    assert _status(REFUSED, {}) == ("denied", "NetUserEnum: error 5")
    assert _status(EMPTY, {}) == ("unsupported", "NetUserEnum: error 124")
    assert _status(None, {})[0] == "failed"


def test_what_the_registry_says_is_told_without_the_accounts() -> None:
    found = accounts_windows(answering(_with_registry({SYSTEM: {"EnableLUA": 0}}), None))
    assert (found.accounts, found.administrators, found.uac) == (
        UNSET,
        UNSET,
        Uac(enabled=False, remote_unfiltered=False),
    )


def _rules(**changed: int) -> Rules:
    usual = {"min_length": 8, "max_age_s": 42 * 86400, "history": 24, "lockout_threshold": 10}
    return Rules(**({**usual, "lockout_duration_s": 600} | changed))


@pytest.mark.parametrize(
    ("rules", "days", "duration"),
    [(_rules(), 42, 600), (_rules(max_age_s=NEVER), 99999, 600), (_rules(lockout_duration_s=NEVER), 42, 0)],
)
def test_it_reads_the_rules_for_passwords(rules: Rules, days: int, duration: int) -> None:
    assert policy_of(LocalSecurity(rules=rules)) == PasswordPolicy(
        min_length=8, history=24, max_age_days=days, lockout_threshold=10, lockout_duration_s=duration
    )


@pytest.mark.parametrize(
    ("number", "kind"), [(5, DeniedError), (124, UnsupportedError), (2140, UnsupportedError), (1722, ProbeError)]
)
def test_an_error_travels_as_its_number(number: int, kind: type[ProbeError]) -> None:
    fault = Fault(function="NetUserModalsGet", number=number)
    with pytest.raises(kind, match=f"^NetUserModalsGet: error {number}$") as raised:
        policy_of(LocalSecurity(faults={"rules": fault}))
    assert type(raised.value) is kind


def test_it_reads_an_account_as_memory_holds_it() -> None:
    entry = netapi_types.User3(user_id=1001, flags=0x203, password_age=60, acct_expires=NEVER, logon_hours=1, profile=2)
    again = netapi_types.User3.from_buffer_copy(bytes(entry))
    assert netapi_types.local_user(again) == LocalUser(rid=1001, flags=0x203, password_age_s=60, expires=NEVER)
    eight = ctypes.sizeof(ctypes.c_void_p) == 8
    assert (ctypes.sizeof(netapi_types.User3), netapi_types.User3.user_id.offset) == (184, 152) or not eight


def test_it_reads_a_sid_as_memory_holds_it() -> None:
    raw = bytes.fromhex("0105000000000005 15000000 01000000 02000000 ffffffff f4010000".replace(" ", ""))
    buffer = ctypes.create_string_buffer(raw + b"beyond", len(raw) + 6)
    assert netapi_types.sid_at(ctypes.addressof(buffer)) == "S-1-5-21-1-2-4294967295-500"


@given(st.binary(max_size=80))
def test_bytes_are_a_sid_or_refused(raw: bytes) -> None:
    try:
        found = sid.text(raw)
    except ValueError:
        assert len(raw) < 8 or raw[0] != 1 or len(raw) != 8 + 4 * raw[1]
    else:
        assert found.count("-") == 2 + raw[1]
