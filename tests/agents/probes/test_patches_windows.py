"""Updates of Windows: what its agent said, judged; how it is set up; and that it is never made to search by itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType, structs

from secmon_agent import collect
from secmon_agent.facts import Os, Patches
from secmon_agent.host import Host, ProbeError, Programs
from secmon_agent.probes.os_windows import CURRENT_VERSION, os_windows
from secmon_agent.probes.patches_windows import automatic, patches_windows
from secmon_agent.probes.servicing_windows import KEY, cumulative_installed_at
from secmon_agent.probes.update_policy_windows import UpdatePolicy, address, last_search, update_policy
from secmon_agent.questions import Answer
from secmon_agent.questions.esu import Esu, Licence
from secmon_agent.questions.wua import Entry, Update, Wua
from secmon_agent.recorded import recorded_host
from secmon_agent.registry import RecordedRegistry

HOSTS = Path(__file__).parents[2] / "hosts"
NOW = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)
SECURITY, CRITICAL = "0fa1201d-4330-4fa8-8ae9-b877473b6441", "e6cf1350-c01b-414d-a61f-263d14d133b4"
DEFINITIONS, UPDATES = "e0789628-ce08-4437-be74-2495b842f43b", "cd5ffd1e-e932-4e3a-bf74-18bf0b1bbd83"
POLICY = r"HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate"
DETECT = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\Results\Detect"
SERVICE = r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\wuauserv"
windows = pytest.mark.skipif(sys.platform != "win32", reason="asks a running Windows")


def _host(answers: dict[str, object], asked: list[str] | None = None, **registry: dict[str, Any]) -> Host:
    """The recorded Windows 11 with other answers; a Struct is what the child says, an error what it raises."""
    host = recorded_host(HOSTS / "windows-11-ja")
    if registry:
        host.registry = RecordedRegistry({CURRENT_VERSION: registry["version"]})

    def ask(question: str, *, timeout_s: float) -> bytes:
        (asked if asked is not None else []).append(question)
        value = answers[question]
        if isinstance(value, Exception):
            raise value
        return msgspec.json.encode(Answer(status="ok", value=msgspec.Raw(msgspec.json.encode(value))))

    host.programs = Programs(host.run, ask)
    return host


def _update(*categories: str, kb: str = "5000001", days: int = 3, hidden: bool = False) -> Update:
    return Update(id="u", kbs=(kb,), categories=categories, hidden=hidden, offered_at=NOW - days * DAY)


def _entry(kb: str, days: int, *categories: str, operation: int = 1, result: int = 2) -> Entry:
    return Entry(id="u", at=NOW - days * DAY, operation=operation, result=result, kbs=(kb,), categories=categories)


def _patches(*updates: Update, history: tuple[Entry, ...] = ()) -> Patches:
    return patches_windows(_host({"wua": Wua(updates=updates, history=history)}))


@pytest.mark.parametrize(
    ("categories", "security"),
    [((SECURITY,), True), ((CRITICAL, "a product"), True), ((UPDATES,), False), (("a product",), UNSET), ((), UNSET)],
)
def test_it_tells_security_updates_by_their_category(categories: tuple[str, ...], security: bool | UnsetType) -> None:
    (found,) = _pending(_patches(_update(*categories)))
    assert (found.package, found.security, found.pending_since) == ("KB5000001", security, NOW - 3 * DAY)


def test_definitions_are_kept_apart() -> None:
    found = _patches(
        _update(SECURITY), _update(DEFINITIONS, kb="2267602"), history=(_entry("2267602", 1), _entry("5000000", 30))
    )
    assert [it.package for it in _pending(found)] == ["KB5000001"]
    assert isinstance(found.definitions_pending, tuple)
    assert [it.package for it in found.definitions_pending] == ["KB2267602"]
    assert (found.definitions_installed_at, found.last_installed_at) == (NOW - DAY, NOW - 30 * DAY)


def test_an_update_that_somebody_hid_is_still_pending() -> None:
    found = _patches(_update(SECURITY, hidden=True))
    assert ([it.package for it in _pending(found)], found.held) == (["KB5000001"], ("KB5000001",))


def test_parts_with_one_number_are_one_update_as_old_as_the_oldest() -> None:
    (found,) = _pending(_patches(_update(UPDATES, days=40), _update(SECURITY, days=5)))
    assert (found.security, found.pending_since) == (True, NOW - 40 * DAY)


def test_a_part_without_a_date_leaves_the_age_open() -> None:
    undated = structs.replace(_update(SECURITY), offered_at=UNSET)
    (found,) = _pending(_patches(_update(SECURITY), undated))
    assert found.pending_since is UNSET


def test_only_what_succeeded_and_was_not_removed_is_installed() -> None:
    history = (
        _entry("1000001", 9, SECURITY, operation=2), _entry("1000001", 10, SECURITY), _entry("1000002", 8, result=4),
        _entry("1000003", 7, result=3), _entry("1000004", 6, UPDATES), _entry("1000005", 20), _entry("1000005", 2),
    )  # fmt: skip
    found = _patches(history=history)
    assert isinstance(found.installed, tuple)
    assert [(it.package, it.security) for it in found.installed] == [("KB1000005", UNSET), ("KB1000004", False)]
    assert found.last_installed_at == NOW - 2 * DAY


def test_without_a_history_nothing_is_said_of_installations() -> None:
    found = _patches()
    assert (found.last_installed_at, found.definitions_installed_at, found.lists_updated_at) == (UNSET, UNSET, UNSET)


@pytest.mark.parametrize("error", [ProbeError("Windows Update: error 0x8024402C"), TimeoutError("too long")])
def test_an_update_agent_that_does_not_answer_is_a_failure_never_no_updates(error: Exception) -> None:
    answer = collect.collect(_host({"wua": error}), ["patches"])["patches"]
    assert (answer.status, answer.data) == ("failed", UNSET)


def test_it_asks_anew_only_when_the_store_was_written_or_a_day_has_passed(
    changed_host: Callable[..., Host], tmp_path: Path
) -> None:
    asked: list[str] = []
    host = _host({"wua": Wua(updates=(), history=())}, asked)
    host.files = changed_host("windows-11-ja").files
    store = tmp_path / "windows-11-ja/root/Windows/SoftwareDistribution"
    store.mkdir(parents=True)

    def cycles() -> int:
        asked.clear()
        for _ in range(2):
            host.new_cycle()
            patches_windows(host)
        return len(asked)

    assert cycles() == 2  # no store, nothing to go by
    (store / "ReportingEvents.log").write_text("search")
    assert (cycles(), cycles()) == (1, 0)
    (store / "ReportingEvents.log").write_text("search, installation")
    assert cycles() == 1
    host._clock = lambda: NOW + DAY
    assert cycles() == 1


def test_a_cumulative_update_counts_from_its_installation() -> None:
    def package(name: str, state: int, moment: datetime) -> tuple[str, dict[str, Any]]:
        ticks = (moment - datetime(1601, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 10
        low = ticks & 0xFFFFFFFF
        return rf"{KEY}\Packages\{name}", {
            "CurrentState": state, "InstallTimeHigh": ticks >> 32, "InstallTimeLow": low
        }  # fmt: skip

    name = "Package_for_RollupFix~31bf3856ad364e35~amd64~~19041."
    host = recorded_host(HOSTS / "windows-11-ja")
    rows = [
        package(f"{name}999.1.1", 0x70, NOW - DAY),  # reinstalled lately, and yet the older one
        package(f"{name}5965.1.10", 0x70, NOW - 9 * DAY),
        package(f"{name}6093.1.2", 0x40, NOW),
        package("Package_for_KB5066130~31bf3856ad364e35~amd64~~10.0.9320.1", 0x70, NOW),
    ]
    host.registry = RecordedRegistry(dict(rows))
    assert cumulative_installed_at(host) == NOW - 9 * DAY
    host.registry = RecordedRegistry(dict(rows[2:]))
    assert cumulative_installed_at(host) is None
    host.registry = RecordedRegistry({rows[1][0]: {"CurrentState": 0x70}})
    assert cumulative_installed_at(host) is None


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://admin:himitsu@WSUS01.town.local:8530/x?y#z", "http://wsus01.town.local:8530"),
        ("https://wsus.example.jp", "https://wsus.example.jp"),
        ("http://[fd00::1]:8530", "http://[fd00::1]:8530"),
        ("wsus01", UNSET),
        ("http://wsus:port", UNSET),
        ("", UNSET),
    ],
)
def test_an_update_server_is_told_without_its_password(url: str, told: str | UnsetType) -> None:
    assert address(url) == told


@given(st.text(max_size=30))
def test_no_address_brings_a_password_along(password: str) -> None:
    found = address(f"http://user:{password.replace('/', '')}@wsus.example.jp:8530/")
    assert found in (UNSET, "http://wsus.example.jp:8530") or "@" not in str(found)


@pytest.mark.parametrize(
    ("values", "options", "source"),
    [
        ({"WUServer": "http://w"}, {"UseWUServer": 1}, "wsus"),
        ({"WUServer": "http://w"}, {"UseWUServer": 0}, "internet"),
        ({"WUServer": "http://w"}, {}, "internet"),
        ({}, {"UseWUServer": 1}, "internet"),
        ({"WUServer": "http://w", "UseUpdateClassPolicySource": 1}, {"UseWUServer": 1}, "wsus"),
        (
            {
                "WUServer": "http://w",
                "UseUpdateClassPolicySource": 1,
                "SetPolicyDrivenUpdateSourceForQualityUpdates": 0,
            },
            {"UseWUServer": 1},
            "internet",
        ),
    ],
)
def test_policy_says_who_answers(values: dict[str, str | int], options: dict[str, str | int], source: str) -> None:
    host = recorded_host(HOSTS / "windows-11-ja")
    host.registry = RecordedRegistry({POLICY: values, POLICY + r"\AU": options})
    assert update_policy(host).source == source


@pytest.mark.parametrize(
    ("options", "start", "level", "told"),
    [
        ({"AUOptions": 4}, 3, 1, True),
        ({"AUOptions": 3}, 3, 4, False),
        ({"AUOptions": 7}, 3, 4, False),
        ({"AUOptions": 4, "NoAutoUpdate": 1}, 3, 4, False),
        ({"AUOptions": 4}, 4, 4, False),
        ({"AUOptions": 5}, 3, 4, True),
        ({}, 3, 4, True),
        ({}, 3, 2, False),
        ({}, 3, 0, UNSET),
        ({}, 3, UNSET, UNSET),
    ],
)
def test_updates_are_automatic_where_policy_or_the_machine_says_so(
    options: dict[str, str | int], start: int, level: int | UnsetType, told: bool | UnsetType
) -> None:
    host = recorded_host(HOSTS / "windows-11-ja")
    host.registry = RecordedRegistry({POLICY + r"\AU": options, SERVICE: {"Start": start}})
    policy = update_policy(host)
    assert isinstance(policy, UpdatePolicy)
    assert automatic(policy, level) == told


@pytest.mark.parametrize("value", ["令和8年11月1日", "2026-13-01 00:00:00", "2026/11/01 00:00:00", ""])
def test_a_search_that_is_dated_in_another_way_is_left_out(value: str) -> None:
    host = recorded_host(HOSTS / "windows-11-ja")
    host.registry = RecordedRegistry({DETECT: {"LastSuccessTime": value}})
    assert last_search(host) is None


def test_a_search_is_dated_in_utc() -> None:
    assert last_search(recorded_host(HOSTS / "windows-server-2019-ja")) == datetime(2026, 7, 20, 22, 15, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("build", "installation", "licences", "years"),
    [
        ("19045", "Client", ((1, 1), (2, 1), (3, 0)), (1, 2)),
        ("19045", "Client", ((1, 0),), ()),
        ("19045", "Client", (), UNSET),
        ("26100", "Client", ((1, 1),), UNSET),
        ("19045", "Server", ((1, 1),), UNSET),
    ],
)
def test_extended_updates_are_told_of_windows_10_alone(
    build: str, installation: str, licences: tuple[tuple[int, int], ...], years: tuple[int, ...] | UnsetType
) -> None:
    version = {"CurrentBuildNumber": build, "InstallationType": installation}
    esu = Esu(licences=tuple(Licence(year=year, status=status) for year, status in licences))
    host = _host({"wua": Wua(updates=(), history=()), "esu": esu}, version=version)
    assert patches_windows(host).esu_years == years


def test_the_section_stands_where_nobody_tells_of_extended_updates() -> None:
    version = {"CurrentBuildNumber": "19045", "InstallationType": "Client"}
    host = _host({"wua": Wua(updates=(), history=()), "esu": TimeoutError()}, version=version)
    assert patches_windows(host).esu_years is UNSET


@pytest.mark.parametrize(
    ("edition", "installation", "told"),
    [
        ("Core", "Client", "pro"),
        ("ProfessionalEducation", "Client", "pro"),
        ("Education", "Client", "enterprise"),
        ("EnterpriseS", "Client", "ltsc"),
        ("IoTEnterpriseS", "Client", "iot-ltsc"),
        ("IoTEnterprise", "Client", "enterprise"),
        ("ServerStandard", "Server Core", "server"),
        ("CloudEdition", "Client", UNSET),
    ],
)
def test_editions_that_end_together_are_one_class(edition: str, installation: str, told: str | UnsetType) -> None:
    host = recorded_host(HOSTS / "windows-11-ja")
    host.registry = RecordedRegistry({CURRENT_VERSION: {"EditionID": edition, "InstallationType": installation}})
    found: Os = os_windows(host)
    assert found.edition_class == told


@windows
def test_an_update_agent_in_name_only_is_a_failure() -> None:
    answer = collect.collect(collect.live_host(None), ["patches"])["patches"]
    assert (answer.status, answer.reason) == ("failed", "ProbeError: Windows Update: error 0x80004001")


def _pending(found: Patches) -> list[Any]:
    assert isinstance(found.pending, tuple)
    return list(found.pending)
