"""Windows: what the parsers make of the registry, and what a running one says of itself."""

from __future__ import annotations

import socket
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from secmon_agent import collect
from secmon_agent.facts import Os, Package, Ports, Section, Services, Software
from secmon_agent.host import Host
from secmon_agent.probes import probes_for
from secmon_agent.probes.os_windows import CURRENT_VERSION, os_windows
from secmon_agent.probes.services_windows import KEY
from secmon_agent.probes.software_windows import normalised, software_windows
from secmon_agent.recorded import recorded_host
from secmon_agent.registry import RecordedRegistry

HOST = Path(__file__).parents[2] / "hosts/windows-11-ja"
UNINSTALL = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall"
windows = pytest.mark.skipif(sys.platform != "win32", reason="asks a running Windows")


@pytest.fixture
def host() -> Host:
    return recorded_host(HOST)


def _os(host: Host, **values: str | int) -> Os:
    host.registry = RecordedRegistry({CURRENT_VERSION: dict(values)})
    return os_windows(host)


@pytest.mark.parametrize(
    ("product", "build", "name"),
    [
        ("Windows 10 Pro", "26100", "Windows 11"),
        ("Windows 10 Pro", "19045", "Windows 10"),
        ("Windows 10 Enterprise LTSC 2021", "19044", "Windows 10"),
    ],
)
def test_it_tells_windows_11_by_its_build(product: str, build: str, name: str, host: Host) -> None:
    found = _os(host, ProductName=product, CurrentBuildNumber=build, InstallationType="Client")
    assert (found.id, found.name, found.build) == ("windows", name, int(build))


def test_it_knows_a_server_by_its_year(host: Host) -> None:
    found = _os(host, ProductName="Windows Server 2012 R2 Standard", InstallationType="Server", DisplayVersion="x")
    assert (found.id, found.version, found.name) == ("windows-server", "2012 R2", "Windows Server 2012 R2 Standard")


def test_what_the_registry_does_not_say_is_left_out(host: Host) -> None:
    found = _os(host, CurrentBuildNumber="many")
    assert (found.id, found.name, found.build, found.ubr, found.version) == (UNSET, UNSET, UNSET, UNSET, UNSET)


@given(st.text(max_size=40))
def test_names_of_programs_are_normalised_once_for_all(name: str) -> None:
    assert normalised(normalised(name)) == normalised(name)


@given(st.text(max_size=10) | st.from_regex(r"[0-9]{8}", fullmatch=True))
def test_an_installation_date_is_a_date_or_left_out(value: str) -> None:
    host = recorded_host(HOST)
    host.registry = RecordedRegistry({UNINSTALL + r"\x": {"DisplayName": "x", "InstallDate": value}})
    (package,) = _packages(software_windows(host))
    if package.installed_on is not UNSET:
        assert package.installed_on.replace("-", "") == value.split("\0", maxsplit=1)[0].strip()


def test_without_the_right_to_the_registry_it_says_denied(host: Host) -> None:
    host.registry = RecordedRegistry({CURRENT_VERSION: None, UNINSTALL: None, KEY: None})
    answers = collect.collect(host, ["os", "software", "services"])
    assert {answer.status for answer in answers.values()} == {"denied"}


@pytest.mark.parametrize("section", ["ports", "interfaces"])
def test_without_the_right_to_ask_the_system_it_says_denied(section: str, changed_host: Callable[..., Host]) -> None:
    from secmon_agent.system import Recording

    host = changed_host("windows-11-ja", system=Recording())
    assert collect.collect(host, [section])[section].status == "denied"


def test_services_are_told_without_the_right_to_ask_whether_they_run(changed_host: Callable[..., Host]) -> None:
    from secmon_agent.system import Recording

    host = changed_host("windows-11-ja", system=Recording())
    found = _facts(host, "services", Services).services
    assert not isinstance(found, type(UNSET))
    assert {"LanmanServer", "RemoteRegistry"} <= {it.name for it in found}
    assert {it.running for it in found} == {UNSET}


def _packages(found: Software) -> tuple[Package, ...]:
    assert not isinstance(found.packages, type(UNSET))
    return found.packages


T = TypeVar("T", bound=Section)


def _facts(host: Host, name: str, kind: type[T]) -> T:
    found = probes_for("windows")[name](host)
    assert isinstance(found, kind)
    return found


@windows
def test_a_running_windows_says_which_it_is() -> None:
    found = _facts(collect.live_host(None), "os", Os)
    assert (found.family, found.id, isinstance(found.build, int)) == ("windows", "windows", True)


@windows
def test_a_running_windows_shows_a_socket_with_its_process() -> None:
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        port = tcp.getsockname()[1]
        found = _facts(collect.live_host(None), "ports", Ports).listening
    assert not isinstance(found, type(UNSET))
    (own,) = [it for it in found if it.port == port]
    assert (own.protocol, own.address, own.reach, own.process) == ("tcp", "127.0.0.1", "loopback", "python.exe")


@pytest.fixture
def uninstaller() -> Iterator[str]:
    """A program in the real registry, with a Japanese name in full-width letters."""
    if sys.platform != "win32":
        pytest.skip("asks a running Windows")
    import winreg

    path = rf"SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\secmon-test-{uuid.uuid4().hex}"
    with winreg.CreateKeyEx(winreg.HKEY_LOCAL_MACHINE, path, 0, winreg.KEY_WRITE | winreg.KEY_WOW64_64KEY) as key:
        winreg.SetValueEx(key, "DisplayName", 0, winreg.REG_SZ, "ＪＵＳＴ　一太郎２０２６")
        winreg.SetValueEx(key, "InstallDate", 0, winreg.REG_SZ, "20260401")
        winreg.SetValueEx(key, "Icon", 0, winreg.REG_BINARY, b"\x00\xff")
    yield "JUST 一太郎2026"
    winreg.DeleteKeyEx(winreg.HKEY_LOCAL_MACHINE, path, winreg.KEY_WOW64_64KEY, 0)


@windows
def test_a_running_windows_lists_an_installed_program(uninstaller: str) -> None:
    found = _packages(_facts(collect.live_host(None), "software", Software))
    assert [(it.source, it.installed_on) for it in found if it.name == uninstaller] == [("registry", "2026-04-01")]


@windows
def test_a_running_windows_lists_its_services() -> None:
    found = _facts(collect.live_host(None), "services", Services).services
    assert not isinstance(found, type(UNSET))
    assert "eventlog" in {it.name.lower() for it in found}
