"""The Windows service: installed, started, stopped and removed by one command each."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from secmon_agent import cli, identity
from tests.agents.server import Collector

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="services of this kind are those of Windows")

SECMON_AGENT = Path(__file__).parents[2] / "agents"


def command(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def found() -> Iterator[None]:
    """Windows starts the service's Python without our environment: a path file leads it to this checkout."""
    import sysconfig

    path = Path(sysconfig.get_path("purelib"), "secmon-agent-under-test.pth")
    path.write_text(f"{SECMON_AGENT}\n", "ascii")
    yield
    command("service", "remove")
    path.unlink()


def state() -> int:
    import win32service

    from secmon_agent.service_control_windows import NAME

    manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_CONNECT)
    return int(win32service.QueryServiceStatus(win32service.OpenService(manager, NAME, 4))[1])


@pytest.mark.usefixtures("found")
def test_it_enrolls_and_reports_as_a_service(tmp_path: Path, collector: Collector) -> None:
    import win32evtlog
    import win32service

    from secmon_agent import service_control_windows

    folder = tmp_path / "state"
    assert command("enroll", "--later", str(collector.invitation()), "--state-dir", folder) == 0
    assert command("service", "install", "--state-dir", folder) == 0
    assert state() == win32service.SERVICE_RUNNING
    end = time.monotonic() + 60
    while not collector.received and time.monotonic() < end:
        time.sleep(0.2)
    assert len(collector.received) == 1
    where = identity.load(folder)
    assert where is not None
    assert where.status == "enrolled"

    manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_CONNECT)
    handle = win32service.OpenService(manager, service_control_windows.NAME, win32service.SERVICE_ALL_ACCESS)
    _, start, _, program, *_, account, _ = win32service.QueryServiceConfig(handle)
    assert start == win32service.SERVICE_AUTO_START
    assert account == "LocalSystem"
    assert "pythonw.exe" in program
    assert win32service.QueryServiceConfig2(handle, win32service.SERVICE_CONFIG_DELAYED_AUTO_START_INFO)
    assert win32service.QueryServiceConfig2(handle, win32service.SERVICE_CONFIG_PRESHUTDOWN_INFO) == 30_000
    accepted = win32service.QueryServiceStatus(handle)[2]
    assert accepted & win32service.SERVICE_ACCEPT_STOP
    assert accepted & 0x100, "SERVICE_ACCEPT_PRESHUTDOWN"
    win32service.CloseServiceHandle(handle)
    assert messages() == win32evtlog.__file__

    assert command("service", "stop") == 0
    assert state() == win32service.SERVICE_STOPPED
    assert command("service", "stop") == 0
    assert command("service", "start") == 0
    assert command("service", "install", "--state-dir", folder) == 0
    assert state() == win32service.SERVICE_RUNNING
    assert command("service", "remove") == 0
    assert command("service", "remove") == 0
    assert command("service", "start") == 1
    assert messages() == ""


def messages() -> str:
    """Where the Event Viewer is told to find the texts of our source."""
    if sys.platform != "win32":
        return ""
    import winreg

    key = r"SYSTEM\CurrentControlSet\Services\EventLog\Application\secmon-agent"
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as opened:
            return str(winreg.QueryValueEx(opened, "EventMessageFile")[0])
    except FileNotFoundError:
        return ""


def test_it_says_that_windows_alone_starts_the_service(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("service", "run") == 1
    assert "Windows alone starts this" in capsys.readouterr().err
