"""Sockets that wait for others."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess  # noqa: TID251 - ss is the witness
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from secmon_agent import collect
from secmon_agent.facts import ListeningPort, Ports
from secmon_agent.host import Host
from secmon_agent.memory import DictMemory
from secmon_agent.probes.ports_linux import parse_table, ports_linux, reach
from secmon_agent.probes.processes_linux import socket_owners
from secmon_agent.probes.services_systemd import unit_of

linux = pytest.mark.skipif(sys.platform == "win32", reason="asks a running Linux")
NOW = datetime(2026, 11, 23, tzinfo=UTC)
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

addresses = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
rows = st.tuples(addresses, st.integers(0, 65535), st.sampled_from(["0A", "01", "07"]), st.integers(0, 2**32))


def _line(number: int, raw: bytes, port: int, state: str, inode: int) -> str:
    words = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4)).hex().upper()
    return f"{number:4}: {words}:{port:04X} {'0' * len(words)}:0000 {state} 0:0 00:0 0 0 0 {inode} 1 0\n"


@given(st.lists(rows, max_size=8))
def test_it_reads_the_tables_of_the_kernel(found: list[tuple[bytes, int, str, int]]) -> None:
    text = HEAD + "".join(_line(number, *row) for number, row in enumerate(found))
    families = {4: socket.AF_INET, 16: socket.AF_INET6}
    expected = [
        (socket.inet_ntop(families[len(raw)], raw), port, inode) for raw, port, state, inode in found if state == "0A"
    ]
    assert [(it.address, it.port, it.inode) for it in parse_table(text, "0A")] == expected


@given(st.text(max_size=200))
def test_it_reads_or_refuses_any_text(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_table(HEAD + text, "0A")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.8.8", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("0.0.0.0", "network"),
        ("::", "network"),
        ("192.168.10.1", "network"),
        ("12.7.0.1", "network"),
    ],
)
def test_it_tells_loopback_from_network(address: str, expected: str) -> None:
    assert reach(address) == expected


def test_ephemeral_udp_is_left_out(make_host: Callable[..., Host]) -> None:
    udp = HEAD + _line(0, bytes(4), 50000, "07", 1) + _line(1, bytes(4), 161, "07", 2)
    host = make_host({"/proc/net/udp": udp, "/proc/sys/net/ipv4/ip_local_port_range": "40000\t50000\n"})
    assert [it.port for it in _listening(ports_linux(host))] == [161]


def test_a_process_that_may_not_be_seen_is_left_out(changed_host: Callable[..., Host]) -> None:
    host = changed_host("ubuntu-2204-server", denied=("/proc/812/fd",))
    found = {it.process for it in _listening(ports_linux(host)) if it.port == 22}
    assert found == {UNSET}


def test_an_owner_from_an_earlier_cycle_counts_only_while_it_holds_the_socket(make_host: Callable[..., Host]) -> None:
    memory = DictMemory()
    names = {"1": "systemd", "20": "cupsd", "30": "other"}

    def owner(*places: str) -> dict[int, str]:
        files = {f"/proc/{place.split('/')[0]}/comm": names[place.split("/")[0]] + "\n" for place in places}
        host = make_host(files, memory, links={f"/proc/{place}": "socket:[77]" for place in places})
        return {inode: it.program for inode, it in socket_owners(host, {77}).items()}

    assert owner("1/fd/5") == {77: "systemd"}
    assert owner("1/fd/5", "20/fd/3") == {77: "cupsd"}
    assert owner("20/fd/3", "30/fd/9") == {77: "cupsd"}
    assert owner("30/fd/9") == {77: "other"}
    assert owner() == {}


def test_it_looks_everywhere_only_for_sockets_it_has_not_met(
    make_host: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    links = {"/proc/20/fd/3": "socket:[77]", "/proc/30/fd/4": "pipe:[1]"}
    host = make_host({"/proc/20/comm": "cupsd\n", "/proc/30/comm": "x\n"}, links=links)
    assert socket_owners(host, {77}) == {77: ("cupsd", 20)}
    monkeypatch.setattr(host.files, "listdir", lambda name: pytest.fail(f"looked into {name}"))
    assert socket_owners(host, {77}) == {77: ("cupsd", 20)}


@pytest.mark.parametrize("holder", [{}, {"/proc/1/fd/5": "socket:[77]"}])
def test_it_looks_through_a_process_once_a_day_for_a_socket_that_nobody_serves(
    make_host: Callable[..., Host], holder: dict[str, str]
) -> None:
    memory = DictMemory()
    looked: list[list[int]] = []

    def owner(day: datetime, *pids: int, served_by: int = 0) -> str:
        links = holder | {f"/proc/{pid}/fd/3": "socket:[77]" if pid == served_by else "pipe:[1]" for pid in pids}
        files = {f"/proc/{pid}/comm": f"program{pid}\n" for pid in pids} | {"/proc/1/comm": "systemd\n"}
        host = make_host(files, memory, links=links, now=day)
        listdir, names = host.files.listdir, list[str]()

        def noted(name: str) -> list[str]:
            names.append(name)
            return listdir(name)

        host.files.listdir = noted  # type: ignore[method-assign]
        found = socket_owners(host, {77})
        looked.append([int(name.split("/")[2]) for name in names if name.endswith("/fd")])
        return found[77].program if 77 in found else ""

    nobody = "systemd" if holder else ""
    assert [owner(NOW, 20, 30), owner(NOW, 20, 30), owner(NOW, 20, 30, 40)] == [nobody] * 3
    assert owner(NOW, 20, 30, 40, 50, served_by=50) == "program50"
    assert owner(NOW, 20, 30, 40, 50, served_by=20) == "program20"
    assert looked[:4] == [[1, 20, 30], [], [40], [40, 50]]
    assert looked[4] == [1, 20, 30, 40, 50]
    looked.clear()
    owner(NOW + timedelta(days=1), 20)
    assert looked == [[1, 20]]


class NotingMemory(DictMemory):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def put(self, key: str, value: bytes) -> None:
        self.written.append(key)
        super().put(key, value)


def test_it_writes_down_which_processes_it_has_looked_through_when_there_are_many(
    make_host: Callable[..., Host],
) -> None:
    memory = NotingMemory()
    for processes in (10, 40, 42, 42):
        files = {f"/proc/{pid}/comm": "x\n" for pid in range(2, 2 + processes)}
        socket_owners(make_host(files, memory), {77})
    assert len(memory.written) == 1
    files = {f"/proc/{pid}/comm": "x\n" for pid in range(2, 90)}
    socket_owners(make_host(files, memory), {77})
    assert len(memory.written) == 2


GROUPS = {
    "0::/system.slice/ssh.service\n": "ssh.service",
    "12:pids:/system.slice/x.service\n1:name=systemd:/system.slice/cups.service\n0::/\n": "cups.service",
    "0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n": "postgresql@15-main.service",
    "0::/system.slice/system-sshd.slice/sshd@7-192.0.2.1:22-192.0.2.9:4711.service\n": "sshd@.service",
    "0::/system.slice/system-syncthing.slice/syncthing@hanako.service\n": "syncthing@uid:1000.service",
    "0::/system.slice/snapd.service/child\n": "snapd.service",
    "0::/user.slice/user-1000.slice/user@1000.service/app.slice/tool.service\n": None,
    "0::/system.slice/docker-0123abcd.scope\n": None,
    "0::/init.scope\n": None,
    "0::/\n": None,
}


@pytest.mark.parametrize(("text", "unit"), GROUPS.items())
def test_it_names_the_service_that_a_process_belongs_to(
    make_host: Callable[..., Host], text: str, unit: str | None
) -> None:
    wanted = "/etc/systemd/system/multi-user.target.wants"
    people = "hanako:x:1000:1000::/home/hanako:/bin/sh\n"
    names = ("postgresql@15-main.service", "syncthing@hanako.service")
    links = {f"{wanted}/{name}": "/usr/lib/systemd/system/x@.service" for name in names}
    assert unit_of(make_host({"/proc/7/cgroup": text, "/etc/passwd": people}, links=links), 7) == unit


def test_a_process_without_a_visible_group_has_no_service(make_host: Callable[..., Host]) -> None:
    assert unit_of(make_host({"/proc/7/cgroup": ""}, denied=["/proc/7/cgroup"]), 7) is None
    assert unit_of(make_host({}), 7) is None


@linux
@pytest.mark.skipif(shutil.which("ss") is None, reason="needs ss as witness")
def test_it_agrees_with_ss() -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_INET6) as tcp6, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        tcp6.bind(("::1", 0))
        udp.bind(("127.0.0.1", 0))
        tcp.listen()
        tcp6.listen()
        own = {tcp.getsockname()[1], tcp6.getsockname()[1]}
        found = _listening(ports_linux(collect.live_host(None)))
        out = subprocess.run(["ss", "-H", "-lntu"], capture_output=True, text=True, check=True).stdout
        again = _listening(ports_linux(collect.live_host(None)))
    assert own <= {it.port for it in found}
    name = next(it.process for it in found if it.port in own)
    assert name == open(f"/proc/{os.getpid()}/comm").read().strip()  # noqa: PTH123, SIM115
    steady = {_key(it) for it in found} & {_key(it) for it in again}
    assert steady <= _of_ss(out)
    low, high = (int(text) for text in open("/proc/sys/net/ipv4/ip_local_port_range").read().split())  # noqa: PTH123, SIM115
    expected = {it for it in _of_ss(out) if it[0] == "tcp" or not low <= it[2] <= high}
    assert expected <= {_key(it) for it in found} | {_key(it) for it in again}


def _listening(found: Ports) -> tuple[ListeningPort, ...]:
    assert not isinstance(found.listening, type(UNSET))
    return found.listening


def _key(port: ListeningPort) -> tuple[str, str, int]:
    return port.protocol, port.address, port.port


def _of_ss(text: str) -> set[tuple[str, str, int]]:
    rows = re.findall(r"^(tcp|udp)\s+\S+\s+\d+\s+\d+\s+(\S+):(\d+)\s", text, re.MULTILINE)
    return {
        (kind, {"*": "::"}.get(address, re.sub(r"%.*|[\[\]]", "", address)), int(port)) for kind, address, port in rows
    }
