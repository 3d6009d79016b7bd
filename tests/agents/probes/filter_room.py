"""Two network namespaces of a test's own: a machine with a packet filter, and its neighbours who knock at its ports."""

from __future__ import annotations

import json
import shutil
import subprocess  # noqa: TID251 - the filter is loaded and tried by real programs
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

MISSING: Final = [name for name in ("nft", "iptables", "ip", "unshare") if shutil.which(name) is None]
_CAN: Final = (
    not MISSING and subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0
)
NEEDS: Final = [
    pytest.mark.skipif(bool(MISSING), reason=f"needs {' '.join(MISSING)} as witness"),
    pytest.mark.skipif(not _CAN, reason="needs the right to a network namespace"),
]

PORTS: Final = (22, 80, 8080, 5432)
SOURCES: Final = {"in0": ("192.0.2.2", "10.1.2.3", "10.2.0.9"), "in1": ("198.51.100.2",)}
"""Who knocks, by the interface of the machine where he comes in."""
ADDRESSES: Final = {"in0": "192.0.2.1", "in1": "198.51.100.1"}

_ROOM: Final = """
import ctypes, json, os, select, socket, subprocess, sys, time
paths, ports, sources, addresses = json.loads(sys.argv[1])
sys.path[:] = paths
from ipaddress import ip_address
from secmon_agent import collect
from secmon_agent.probes.filter_linux import filter_rules
from secmon_agent.probes.filter_model import Knock
from secmon_agent.probes.filter_verdict import fate
from secmon_agent.probes.ports_linux import ports_linux

libc = ctypes.CDLL(None, use_errno=True)
def run(*argv): return subprocess.run(argv, check=True, capture_output=True)
def enter(namespace):
    if libc.setns(namespace, 0x40000000): raise OSError(ctypes.get_errno(), "setns")

here = os.open("/proc/self/ns/net", os.O_RDONLY)
libc.unshare(0x40000000)
there = os.open("/proc/self/ns/net", os.O_RDONLY)
outside = f"/proc/{os.getpid()}/fd/{there}"
run("ip", "link", "set", "lo", "up")
enter(here)
run("mount", "-t", "sysfs", "sysfs", "/sys")
run("ip", "link", "set", "lo", "up")
keeper = subprocess.Popen(["nsenter", f"--net={outside}", "sleep", "600"], stdin=subprocess.DEVNULL)
beyond = ["nsenter", f"--net={outside}"]
while os.readlink(f"/proc/{keeper.pid}/ns/net") == os.readlink("/proc/self/ns/net"): time.sleep(0.01)
for number, (interface, own) in enumerate(addresses.items()):
    run("ip", "link", "add", interface, "type", "veth", "peer", "name", f"out{number}", "netns", str(keeper.pid))
    open(f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6", "w").write("1")
    run("ip", "address", "add", own + "/24", "dev", interface)
    run("ip", "link", "set", interface, "up")
    run(*beyond, "ip", "link", "set", f"out{number}", "up")
    for source in sources[interface]:
        run(*beyond, "ip", "address", "add", source + "/24", "dev", f"out{number}")
        run("ip", "route", "replace", source + "/32", "dev", interface)
listeners = {("tcp", port): socket.create_server(("0.0.0.0", port), backlog=64) for port in ports}
for port in ports:
    it = listeners["udp", port] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    it.bind(("0.0.0.0", port))
    it.setblocking(False)

def knocked(ports, wait_s):
    enter(there)
    calls = {}
    for interface in sources:
        for source in sources[interface]:
            for port in ports:
                call = calls["tcp", port, interface, source] = socket.socket()
                call.setblocking(False)
                call.bind((source, 0))
                call.connect_ex((addresses[interface], port))
                send = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                send.bind((source, 0))
                try: send.sendto(f"{port} {interface} {source}".encode(), (addresses[interface], port))
                except OSError: pass
                send.close()
    enter(here)
    waiting, came, end = dict(calls), set(), time.monotonic() + wait_s
    while waiting and (left := end - time.monotonic()) > 0:
        ready = select.select([], list(waiting.values()), [], left)[1]
        for key in [key for key, call in waiting.items() if call in ready]:
            if waiting.pop(key).getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0: came.add(key)
    for port in ports:
        while True:
            try: to, interface, source = listeners["udp", port].recv(100).decode().split()
            except BlockingIOError: break
            came.add(("udp", int(to), interface, source))
    for call in calls.values(): call.close()
    for (protocol, port), listener in listeners.items():
        while protocol == "tcp" and select.select([listener], [], [], 0)[0]: listener.accept()[0].close()
    return calls, came

def told(commands, ports):
    for program in ("iptables-legacy", "iptables-nft"):
        for table in ("filter", "nat", "mangle", "raw"):
            if program == "iptables-legacy" and table not in open("/proc/net/ip_tables_names").read().split(): continue
            subprocess.run([program, "-t", table, "-F"], capture_output=True)
            subprocess.run([program, "-t", table, "-P", "INPUT", "ACCEPT"], capture_output=True)
    run("nft", "flush", "ruleset")
    loaded = subprocess.run(["sh", "-ec", commands], capture_output=True, text=True)
    if loaded.returncode: return {"refused": loaded.stderr}
    calls, came = knocked(ports, 0.12)
    host = collect.live_host(None)
    rules = filter_rules(host)
    knocks = []
    for key in [(p, *it[1:]) for it in calls for p in ("tcp", "udp")]:
        protocol, port, interface, source = key
        redirected = any(a <= port <= b for table in rules.tables for a, b in table.redirected_to)
        knock = Knock(protocol=protocol, port=port, family=4, interface=interface, target="host", redirected=redirected)
        found, number = fate(rules.tables, knock), int(ip_address(source))
        holds = lambda ranges: any(a <= number <= b for a, b in ranges)
        says = True if holds(found.surely) else None if holds(found.possibly) else False
        knocks.append([*key, key in came, says])
    verdicts = [[it.protocol, it.port, it.firewall or None] for it in ports_linux(host).listening]
    return {"knocks": knocks, "verdicts": verdicts}

for line in sys.stdin:
    print(json.dumps(told(*json.loads(line))), flush=True)
keeper.kill()
"""


class Room:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tried(self, commands: str, ports: tuple[int, ...] = PORTS) -> Any:
        """What came in and what the agent says: `knocks` as (protocol, port, interface, source, came in, said), and
        `verdicts` as (protocol, port, verdict); or why the rules were `refused`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([commands, ports]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def entered() -> Iterator[Room]:
    path = [str(Path(__file__).parents[3] / "agents"), *sys.path]
    command = [
        "unshare",
        "--net",
        "--mount",
        sys.executable,
        "-c",
        _ROOM,
        json.dumps([path, PORTS, SOURCES, ADDRESSES]),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Room(process)
        process.stdin.close()  # type: ignore[union-attr]
