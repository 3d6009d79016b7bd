"""Office, browsers and what one person installed, from the registry of Windows."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import UNSET, UnsetType

from secmon_agent.facts import Browser
from secmon_agent.host import Host
from secmon_agent.probes.browsers_windows import browsers
from secmon_agent.probes.office_windows import office
from secmon_agent.probes.software_windows import loaded_hives, software_windows
from secmon_agent.recorded import recorded_host
from secmon_agent.registry import RecordedRegistry, Written, instant

HOST = Path(__file__).parents[2] / "hosts/windows-11-ja"
OFFICE = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Office\ClickToRun\Configuration"
FIREFOX = r"HKEY_LOCAL_MACHINE\SOFTWARE\Mozilla\Mozilla Firefox"
CHROME = r"Google\Update\Clients\{8A69D345-D564-463C-AFF1-A69D9E530F96}"
PERSON = r"HKEY_USERS\S-1-12-1-111-222-333-444"


def _host(keys: dict[str, dict[str, Written] | None]) -> Host:
    host = recorded_host(HOST)
    host.registry = RecordedRegistry(keys)
    return host


@pytest.mark.parametrize(
    ("values", "channel"),
    [
        ({"CDNBaseUrl": "http://x/pr/7FFBC6BF-BC32-4F92-8982-F9DD17FD3114"}, "semi-annual"),
        ({"CDNBaseUrl": "http://x/pr/00000000-1111-2222-3333-444444444444"}, "00000000-1111-2222-3333-444444444444"),
        (
            {
                "CDNBaseUrl": "http://x/pr/492350f6-3a01-4f97-b9c0-c7c6ddf67d60",
                "UpdateChannel": "http://x/pr/5030841d-c919-4594-8d2d-84ae4f96e58e",
            },
            "ltsc-2021",
        ),
        ({"UpdateChannel": r"\\server\share"}, UNSET),
        ({}, UNSET),
    ],
)
def test_an_update_channel_of_office_is_known_by_its_guid(values: dict[str, Written], channel: str | UnsetType) -> None:
    found = office(_host({OFFICE: {"VersionToReport": "16.0.1", **values}}))
    assert not isinstance(found, UnsetType)
    assert (found.version, found.channel, found.products, found.updates_enabled) == ("16.0.1", channel, UNSET, UNSET)


def test_without_click_to_run_nothing_is_said_of_office() -> None:
    assert office(_host({OFFICE: {"Platform": "x64"}})) is UNSET


def test_a_browser_that_its_updater_has_removed_is_none() -> None:
    found = browsers(_host({rf"HKEY_LOCAL_MACHINE\SOFTWARE\{CHROME}": {"pv": "0.0.0.0"}}), [])
    assert found == ()


def test_a_browser_of_one_person_names_nobody() -> None:
    host = _host({rf"{PERSON}\Software\{CHROME}": {"pv": "141.0.1"}, FIREFOX: {"CurrentVersion": "140.5.0 (x64 ja)"}})
    assert browsers(host, loaded_hives(host)) == (
        Browser(name="firefox", version="140.5.0", per_user=False),
        Browser(name="chrome", version="141.0.1", per_user=True),
    )


def test_programs_of_people_of_entra_id_are_listed_too() -> None:
    uninstall = rf"{PERSON}\Software\Microsoft\Windows\CurrentVersion\Uninstall\Zoom"
    found = software_windows(_host({uninstall: {"DisplayName": "Zoom"}, PERSON + "_Classes": {}}))
    assert isinstance(found.packages, tuple)
    assert [(it.name, it.source) for it in found.packages] == [("Zoom", "registry-user")]


def test_a_filetime_is_an_instant() -> None:
    assert instant(133_000_000_000_000_000) == datetime(2022, 6, 18, 4, 26, 40, tzinfo=UTC)


@pytest.mark.skipif(sys.platform != "win32", reason="asks a running Windows")
def test_a_running_windows_dates_its_registry_keys() -> None:
    if sys.platform == "win32":
        import winreg

        from secmon_agent.registry_windows import WindowsRegistry

        path = r"SOFTWARE\secmon-test-written"
        with winreg.CreateKeyEx(winreg.HKEY_LOCAL_MACHINE, path, 0, winreg.KEY_WRITE | winreg.KEY_WOW64_64KEY) as key:
            winreg.SetValueEx(key, "x", 0, winreg.REG_DWORD, 1)
        written = WindowsRegistry().written("HKEY_LOCAL_MACHINE\\" + path)
        winreg.DeleteKeyEx(winreg.HKEY_LOCAL_MACHINE, path, winreg.KEY_WOW64_64KEY, 0)
        assert abs(datetime.now(UTC) - written) < timedelta(minutes=5)
