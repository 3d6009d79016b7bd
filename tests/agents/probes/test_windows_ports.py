"""Windows: sockets that wait, with the services behind them."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from msgspec import UNSET, UnsetType

from secmon_agent import collect
from secmon_agent.facts import ListeningPort
from secmon_agent.host import Host
from secmon_agent.probes.ports_windows import ports_windows
from secmon_agent.system import RecordedSystem, Recording, Socket

Read = Callable[..., tuple[ListeningPort, ...]]


@pytest.fixture
def read(changed_host: Callable[..., Host]) -> Read:
    host = changed_host("windows-11-ja")

    def read_(*sockets: Socket, services: dict[str, int] | UnsetType = UNSET) -> tuple[ListeningPort, ...]:
        host.system = RecordedSystem(Recording(sockets=sockets, service_processes=services))
        return ports_windows(host).listening or ()

    return read_


def _tcp(port: int, process: str, pid: int = 5) -> Socket:
    return Socket(protocol="tcp", address="0.0.0.0", port=port, process=process, pid=pid)


def test_a_process_that_hosts_services_is_told_with_them(read: Read) -> None:
    (found,) = read(_tcp(135, "svchost.exe"), services={"RpcSs": 5, "RpcEptMapper": 5, "CDPUserSvc_3a4b5": 5, "X": 6})
    assert (found.port, found.services) == (135, ("CDPUserSvc", "RpcEptMapper", "RpcSs"))


def test_without_the_right_to_ask_a_port_is_told_without_services(read: Read) -> None:
    (found,) = read(_tcp(135, "svchost.exe"))
    assert (found.process, found.services) == ("svchost.exe", UNSET)


def test_ports_that_rpc_draws_anew_at_each_start_are_one_range(read: Read) -> None:
    first = read(_tcp(49664, "lsass.exe"), _tcp(49671, "lsass.exe"))
    assert first == read(_tcp(50012, "LSASS.EXE".lower()))
    assert [(it.port, it.last_port) for it in first] == [(49152, 65535)]


def test_a_port_of_another_program_in_the_range_is_told_as_it_is(read: Read) -> None:
    found = read(_tcp(50000, "db2syscs.exe"), Socket(protocol="tcp", address="::", port=60000))
    assert [(it.port, it.last_port) for it in found] == [(50000, UNSET), (60000, UNSET)]


@pytest.mark.skipif(sys.platform != "win32", reason="asks a running Windows")
def test_a_running_windows_tells_the_process_of_a_service() -> None:
    found = collect.live_host(None).system.service_processes()
    assert found
    assert {name.lower() for name in found} >= {"eventlog"}
