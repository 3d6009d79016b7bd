"""How the machine is connected."""

from __future__ import annotations

import contextlib
import shutil
import socket
import struct
import subprocess  # noqa: TID251 - ip is the witness
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from secmon_agent import collect
from secmon_agent.host import Host
from secmon_agent.probes.interfaces_linux import interfaces_linux, parse_if_inet6, parse_ipv6_route, parse_route

linux = pytest.mark.skipif(sys.platform == "win32", reason="asks a running Linux")


@given(st.binary(min_size=16, max_size=16), st.integers(0, 128), st.booleans(), st.booleans())
def test_it_keeps_lasting_addresses_beyond_the_link(raw: bytes, prefix: int, link: bool, temporary: bool) -> None:
    line = f"{raw.hex()} 02 {prefix:02x} {'20' if link else '00'} {'01' if temporary else '80'}     eth0\n"
    expected = [] if link or temporary else [("eth0", f"{socket.inet_ntop(socket.AF_INET6, raw)}/{prefix}")]
    assert parse_if_inet6(line) == expected


@given(st.text(max_size=300))
def test_it_reads_or_refuses_any_routing_table(text: str) -> None:
    for parse in (parse_route, parse_ipv6_route, parse_if_inet6):
        with contextlib.suppress(ValueError, OSError):
            parse("header\n" + text)


def test_it_reads_default_routes_with_and_without_a_next_hop() -> None:
    head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    rows = "eth0 00000000 010AA8C0 0003 0 0 0 00000000 0 0 0\nppp0 00000000 00000000 0001 0 0 0 00000000 0 0 0\n"
    assert parse_route(head + rows + "eth0 000AA8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n") == [
        ("eth0", "192.168.10.1"),
        ("ppp0", ""),
    ]


@linux
@given(st.binary(max_size=200))
def test_it_reads_or_refuses_any_netlink_answer(data: bytes) -> None:
    from secmon_agent.system_linux import read_address_messages

    with contextlib.suppress(ValueError, OSError, struct.error):
        read_address_messages(data, [])


@linux
@pytest.mark.skipif(shutil.which("ip") is None, reason="needs ip as witness")
def test_it_agrees_with_ip() -> None:
    out = subprocess.run(["ip", "-o", "addr", "show"], capture_output=True, text=True, check=True).stdout
    theirs = {
        (row[1], row[3])
        for line in out.splitlines()
        if (row := line.split())[2] in ("inet", "inet6") and "temporary" not in row and "link" not in row
        and not row[3].startswith("169.254.") and not row[1].startswith("veth")
    }  # fmt: skip
    found = interfaces_linux(collect.live_host(None)).interfaces
    assert not isinstance(found, type(UNSET))
    assert {(it.name, address) for it in found for address in it.addresses or ()} == theirs


@pytest.mark.parametrize(("assigned", "expected"), [("0", "02:00:00:00:00:01"), ("3", UNSET), ("1", UNSET)])
def test_the_changing_address_of_an_idle_wireless_card_is_left_out(
    assigned: str, expected: object, make_host: Callable[..., Host]
) -> None:
    base = "/sys/class/net/wlan0"
    files = {
        f"{base}/address": "02:00:00:00:00:01\n",
        f"{base}/addr_assign_type": f"{assigned}\n",
        f"{base}/flags": "0x1003\n",
        f"{base}/uevent": "DEVTYPE=wlan\n",
    }
    found = interfaces_linux(make_host(files, system={"ipv4_addresses": []})).interfaces
    assert not isinstance(found, type(UNSET))
    assert [it.mac for it in found] == [expected]
