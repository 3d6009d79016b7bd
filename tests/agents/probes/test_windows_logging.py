"""Windows: whether what happens can be told afterwards, and who keeps the clock right."""

from __future__ import annotations

import struct
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from secmon_agent import collect
from secmon_agent.facts import AuditLog, EventLog, TimeSync
from secmon_agent.host import DeniedError, Host, ProbeError, UnsupportedError
from secmon_agent.probes.audit_log_windows import audit_log_windows
from secmon_agent.probes.audit_subcategories import NAMES
from secmon_agent.probes.time_sync_windows import parse_servers, time_sync_windows
from secmon_agent.questions.audit_policy import AuditPolicy, failure, parse
from secmon_agent.registry import RecordedRegistry, Written
from secmon_agent.system import RecordedSystem, Recording

SERVICE = r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services"
LOGS, CLOCK = rf"{SERVICE}\EventLog", rf"{SERVICE}\W32Time"
POLICIES = r"HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft"
LOG_POLICIES = rf"{POLICIES}\Windows\EventLog"
windows = pytest.mark.skipif(sys.platform != "win32", reason="asks a running Windows")

Keys = dict[str, Mapping[str, Written] | None]


@pytest.fixture
def silent(changed_host: Callable[..., Host]) -> Host:
    """A Windows that tells nothing of its audit policy."""
    return changed_host("windows-11-ja", answers={})


def _read(host: Host, keys: Keys) -> AuditLog:
    host.registry = RecordedRegistry(keys)
    return audit_log_windows(host)


@pytest.mark.parametrize(
    ("own", "policy", "expected"),
    [
        ({"MaxSize": 20971520, "Retention": 0}, {}, (20971520, "overwrite")),
        ({"MaxSize": 20971520, "Retention": 0xFFFFFFFF}, {}, (20971520, "stop")),
        ({"Retention": 0xFFFFFFFF, "AutoBackupLogFiles": 1}, {}, (UNSET, "archive")),
        ({"MaxSize": 20971520, "Retention": 0}, {"MaxSize": 196608, "Retention": "1"}, (201326592, "stop")),
        ({"MaxSize": 1}, {"MaxSize": "32768", "Retention": "1", "AutoBackupLogFiles": "1"}, (33554432, "archive")),
        ({"File": "x"}, {}, (UNSET, UNSET)),
    ],
)
def test_a_policy_goes_before_the_setting_of_a_log(
    own: dict[str, Written], policy: dict[str, Written], expected: tuple[object, object], silent: Host
) -> None:
    found = _read(silent, {rf"{LOGS}\Security": own, rf"{LOG_POLICIES}\Security": policy}).event_logs
    max_bytes, when_full = expected
    assert found == (EventLog(name="Security", max_bytes=max_bytes, when_full=when_full),)  # type: ignore[arg-type]


def test_records_are_sent_elsewhere_where_a_subscription_is_set(silent: Host) -> None:
    log: Keys = {rf"{LOGS}\System": {"MaxSize": 1}}
    subscription: Keys = {rf"{LOG_POLICIES}\EventForwarding\SubscriptionManager": {"1": "Server=http://wec"}}
    assert (_read(silent, log).remote, _read(silent, log | subscription).remote) == (UNSET, True)


def test_the_logs_are_told_where_the_audit_policy_is_not(silent: Host) -> None:
    found = _read(silent, {rf"{LOGS}\System": {"MaxSize": 1}})
    assert (found.audit_policy, isinstance(found.event_logs, UnsetType)) == (UNSET, False)


def test_where_neither_is_told_the_reason_is_the_answer(silent: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> AuditPolicy:
        raise failure(1314)

    silent.registry = RecordedRegistry({})
    monkeypatch.setattr(silent, "ask", denied)
    assert collect.collect(silent, ["audit_log"])["audit_log"].status == "denied"


@given(st.lists(st.tuples(st.uuids(), st.integers(0, 4), st.uuids()), max_size=5))
def test_it_reads_rows_as_windows_lays_them(rows: list[tuple[uuid.UUID, int, uuid.UUID]]) -> None:
    raw = b"".join(one.bytes_le + bits.to_bytes(4, "little") + category.bytes_le for one, bits, category in rows)
    assert [(it.guid, it.bits) for it in parse(raw).settings] == [(str(one), bits) for one, bits, _ in rows]
    with pytest.raises(struct.error):
        parse(raw + b"x")


@pytest.mark.parametrize(
    ("code", "kind"), [(5, DeniedError), (1314, DeniedError), (120, UnsupportedError), (87, ProbeError)]
)
def test_an_error_of_windows_becomes_a_status(code: int, kind: type[ProbeError]) -> None:
    assert type(failure(code)) is kind


def test_every_subcategory_has_a_word_of_its_own() -> None:
    assert len(NAMES) == len(set(NAMES.values())) == 59
    assert NAMES["0cce9215-69ae-11d9-bed3-505054503030"] == "logon"


def _clock(
    host: Host, own: dict[str, Written], policy: dict[str, Written], service: dict[str, Written], running: bool
) -> TimeSync:
    host.registry = RecordedRegistry(
        {rf"{CLOCK}\Parameters": own, rf"{POLICIES}\W32Time\Parameters": policy, CLOCK: service}
    )
    host.system = RecordedSystem(Recording(running_services={"w32time": running}))
    return time_sync_windows(host)


@pytest.mark.parametrize(
    ("own", "policy", "expected"),
    [
        ({"Type": "NTP", "NtpServer": "time.windows.com,0x9"}, {}, ("servers", ("time.windows.com",))),
        ({"Type": "NT5DS", "NtpServer": "time.windows.com,0x9"}, {}, ("domain", UNSET)),
        ({"Type": "NT5DS"}, {"Type": "NTP", "NtpServer": "10.1.0.2 ,0x1 b"}, ("servers", ("10.1.0.2", "b"))),
        ({"Type": "AllSync", "NtpServer": "a b,0x8"}, {}, ("both", ("a", "b"))),
        ({"Type": "NoSync", "NtpServer": "a"}, {}, ("none", UNSET)),
        ({"Type": "NTP"}, {}, ("servers", ())),
        ({"ServiceMain": "x"}, {}, (UNSET, UNSET)),
    ],
)  # fmt: skip
def test_it_tells_where_the_time_comes_from(
    own: dict[str, Written], policy: dict[str, Written], expected: tuple[object, object], silent: Host
) -> None:
    found = _clock(silent, own, policy, {"Start": 2}, True)
    assert (found.method, found.servers) == expected


@pytest.mark.parametrize(
    ("start", "running", "expected"),
    [(2, True, True), (2, False, False), (3, True, True), (3, False, UNSET), (4, False, False)],
)
def test_a_time_service_on_demand_is_undetermined_while_it_rests(
    start: int, running: bool, expected: object, silent: Host
) -> None:
    assert _clock(silent, {"Type": "NTP"}, {}, {"Start": start}, running).running is expected


@given(st.text(max_size=60))
def test_names_of_time_servers_bear_no_flags(value: str) -> None:
    assert all(name and not set(name) & set(", ") for name in parse_servers(value))


@pytest.fixture
def seeded() -> Iterator[None]:
    """A log with a policy, and a time service's settings, in the real registry."""
    if sys.platform != "win32":
        pytest.skip("asks a running Windows")
    import winreg

    access = winreg.KEY_ALL_ACCESS | winreg.KEY_WOW64_64KEY
    made: dict[str, dict[str, int | str]] = {
        rf"{LOGS}\Security": {"MaxSize": 20971520, "Retention": 0},
        rf"{LOG_POLICIES}\Security": {"MaxSize": 65536},
        rf"{CLOCK}\Parameters": {"Type": "NTP", "NtpServer": "192.0.2.1,0x8"},
    }
    for path, values in made.items():
        with winreg.CreateKeyEx(winreg.HKEY_LOCAL_MACHINE, path.partition("\\")[2], 0, access) as key:
            for name, value in values.items():
                winreg.SetValueEx(key, name, 0, winreg.REG_DWORD if isinstance(value, int) else winreg.REG_SZ, value)
    yield
    for path in [*made, CLOCK]:
        winreg.DeleteKeyEx(winreg.HKEY_LOCAL_MACHINE, path.partition("\\")[2], winreg.KEY_WOW64_64KEY, 0)


@windows
@pytest.mark.usefixtures("seeded")
def test_a_running_windows_shows_its_logs_and_its_clock() -> None:
    host = collect.live_host(None)
    logs, clock = audit_log_windows(host), time_sync_windows(host)
    assert EventLog(name="Security", max_bytes=65536 * 1024, when_full="overwrite") in (logs.event_logs or ())
    assert (clock.method, clock.servers) == ("servers", ("192.0.2.1",))


@windows
def test_a_windows_that_does_not_tell_its_audit_policy_is_unknown() -> None:
    with pytest.raises(UnsupportedError):
        collect.live_host(None).ask("audit_policy", AuditPolicy)
