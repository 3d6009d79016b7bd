"""The packet filter's rules and what it does: the kernel is the witness, in network namespaces of the test's own.

nft and iptables load the rules; what the probe makes of nft's own JSON (or of iptables-save) is compared with whether a
connection that nobody asked for comes through.
"""

from __future__ import annotations

import json
import shutil
import subprocess  # noqa: TID251 - the filter is loaded and tried by real programs
import sys
from pathlib import Path

import pytest

MISSING = [name for name in ("nft", "iptables", "ip", "unshare") if shutil.which(name) is None]
ALONE = ["unshare", "--net"]
CAN = not MISSING and subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"needs {' '.join(MISSING)} as witness"),
    pytest.mark.skipif(not CAN, reason="needs the right to a network namespace"),
]

_MACHINE = """
import json, os, socket, subprocess, sys, time
sys.path[:] = json.loads(sys.argv[1])
from secmon_agent import collect
from secmon_agent.probes.firewall_linux import firewall

def run(*argv): subprocess.run(argv, check=True, capture_output=True)

def told():
    run("ip", "link", "add", "in0", "type", "veth", "peer", "name", "out0", "netns", str(other.pid))
    open("/proc/sys/net/ipv6/conf/in0/disable_ipv6", "w").write(sys.argv[3])
    run("ip", "address", "add", "192.0.2.1/24", "dev", "in0")
    run("ip", "link", "set", "in0", "up")
    run("ip", "link", "set", "lo", "up")
    run(*there, "ip", "address", "add", "192.0.2.2/24", "dev", "out0")
    run(*there, "ip", "link", "set", "out0", "up")
    run("sh", "-ec", sys.argv[2])
    listener = socket.create_server(("0.0.0.0", 33333))
    knock = "import socket, sys; sys.exit(socket.socket().connect_ex(('192.0.2.1', 33333)) != 0)"
    tried = subprocess.run([*there, "timeout", "2", sys.executable, "-I", "-S", "-c", knock])
    found = firewall(collect.live_host(None))
    filtering = found.filtering if type(found.filtering) is bool else None
    return {"filtering": filtering, "backend": found.backend, "came_through": tried.returncode == 0}

other = subprocess.Popen(["unshare", "--net", "sleep", "60"])
there = ["nsenter", "--net", "--target", str(other.pid)]
try:
    while os.readlink(f"/proc/{other.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
        time.sleep(0.01)
    print(json.dumps(told()))
finally:
    other.kill()
"""


def tried(rules: str, *, ipv6: bool = False) -> tuple[bool | None, str, bool]:
    """What the probe says, where the rules are, and whether a knock at an open port came through."""
    path = [str(Path(__file__).parents[3] / "agents"), *sys.path]
    command = [*ALONE, sys.executable, "-c", _MACHINE, json.dumps(path), rules, "0" if ipv6 else "1"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert out.returncode == 0, out.stderr
    said = json.loads(out.stdout)
    return said["filtering"], said["backend"], said["came_through"]


def nft(*rules: str, policy: str = "accept", family: str = "inet") -> str:
    """Commands that make a table with these rules for what comes in."""
    base = f"chain entry {{ type filter hook input priority 0; policy {policy}; {'; '.join(rules)}; }}"
    return f"nft -f - <<'END'\ntable {family} t {{\nchain deny {{ drop; }}\nchain note {{ log; }}\n{base}\n}}\nEND"


NFT = {
    "closed": nft("tcp dport 22 accept", policy="drop"),
    "closed at the end": nft("ct state established accept", "tcp dport 22 accept", "counter drop"),
    "refused at the end": nft("tcp dport 22 accept", "reject with icmpx type admin-prohibited"),
    "closed in another chain": nft("tcp dport 22 accept", "jump note", "jump deny"),
    "open": nft("tcp dport 22 accept"),
    "open before the policy": nft("tcp dport 22 accept", "accept", policy="drop"),
    "one port closed": nft("tcp dport 23 drop"),
    "nothing": "true",
}


@pytest.mark.parametrize("name", NFT)
def test_it_says_of_nft_what_the_kernel_does(name: str) -> None:
    filtering, backend, came_through = tried(NFT[name])
    assert filtering is (None if name == "one port closed" else not came_through)
    assert backend == ("none" if name == "nothing" else "nftables")
    assert came_through is not name.startswith(("closed", "refused"))


IPTABLES = {
    "closed": "iptables -A INPUT -p tcp --dport 22 -j ACCEPT; iptables -P INPUT DROP",
    "refused at the end": "iptables -A INPUT -p tcp --dport 22 -j ACCEPT; iptables -A INPUT -j REJECT",
    "open": "iptables -A INPUT -p tcp --dport 22 -j ACCEPT",
}


@pytest.mark.parametrize("name", IPTABLES)
def test_it_says_of_iptables_what_the_kernel_does(name: str) -> None:
    filtering, _, came_through = tried(IPTABLES[name])
    assert filtering is not came_through
    assert came_through is (name == "open")


def test_it_does_not_call_a_machine_closed_that_is_open_over_ipv6() -> None:
    filtering, _, came_through = tried(IPTABLES["closed"], ipv6=True)
    assert (filtering, came_through) == (False, False)
    both = IPTABLES["closed"] + "; ip6tables -P INPUT DROP"
    assert tried(both, ipv6=True)[0] is True
