"""Windows: how the machine is connected."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from secmon_agent import collect
from secmon_agent.adapters_windows import parse
from secmon_agent.facts import Interfaces, Proxy
from secmon_agent.host import Host
from secmon_agent.probes.interfaces_windows import interfaces_windows
from secmon_agent.probes.proxies_windows import parse_connection, proxies_windows
from secmon_agent.probes.proxy_address import proxy_address, proxy_list
from secmon_agent.registry import RecordedRegistry, Written
from secmon_agent.system import Adapter, RecordedSystem, Recording

NET = "{4D36E972-E325-11CE-BFC1-08002BE10318}"
SYSTEM = r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet"
CLASS, NETWORK = rf"{SYSTEM}\Control\Class\{NET}\0007", rf"{SYSTEM}\Control\Network\{NET}"
TCPIP = rf"{SYSTEM}\Services\Tcpip\Parameters"
SETTINGS = r"Microsoft\Windows\CurrentVersion\Internet Settings"
GUID = "{11111111-2222-3333-4444-555555555555}"
BASE = 0x7FF0_0000_0000
IN, IN6 = 2, 23
windows = pytest.mark.skipif(sys.platform != "win32", reason="asks a running Windows")

Keys = dict[str, Mapping[str, Written] | None]


class Laid:
    """A buffer as GetAdaptersAddresses lays it out."""

    def __init__(self) -> None:
        self.data = bytearray()

    def put(self, raw: bytes) -> int:
        """Its address."""
        self.data += bytes(-len(self.data) % 8)
        place = BASE + len(self.data)
        self.data += raw
        return place

    def point(self, place: int, offset: int, target: int) -> None:
        struct.pack_into("<Q", self.data, place - BASE + offset, target)

    def addresses(self, found: list[tuple[str, int, int]]) -> int:
        """Chain of (address, suffix origin, prefix); its own address, 0 for none."""
        first, before = 0, 0
        for address, origin, prefix in found:
            six = ":" in address
            raw = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, address)
            name = self.put(struct.pack("<HH", IN6 if six else IN, 0) + (bytes(4) if six else b"") + raw + bytes(8))
            row = struct.pack("<IIQQI4xIIIIIIB", 64, 0, 0, name, 28, 1, origin, 4, 0, 0, 0, prefix)
            place = self.put(row.ljust(64, b"\0"))
            if before:
                self.point(before, 8, place)
            first, before = first or place, place
        return first


def _laid(adapters: list[Adapter], temporary: str = "") -> bytes:
    """The first adapter lies at the beginning of the buffer, as Windows has it."""
    laid, before = Laid(), 0
    for adapter in adapters:
        place = laid.put(bytes(448))
        if before:
            laid.point(before, 8, place)
        before = place
        unicast = [(text.partition("/")[0], 1, int(text.partition("/")[2])) for text in adapter.addresses]
        pointers = {
            16: laid.put((adapter.guid or "").encode() + b"\0"),
            72: laid.put(adapter.name.encode("utf-16-le") + b"\0\0"),
            24: laid.addresses(unicast + ([(temporary, 5, 64)] if temporary else [])),
            48: laid.addresses([(it, 0, 0) for it in adapter.dns_servers]),
            208: laid.addresses([(it, 0, 0) for it in adapter.gateways]),
        }
        for offset, target in pointers.items():
            laid.point(place, offset, target)
        mac = bytes.fromhex((adapter.mac or "").replace(":", ""))
        laid.data[place - BASE + 80 : place - BASE + 80 + len(mac)] = mac
        for offset, value in {
            4: 7,
            88: len(mac),
            100: adapter.if_type or 0,
            104: 1 if adapter.up else 2,
            108: 9,
        }.items():
            struct.pack_into("<I", laid.data, place - BASE + offset, value)
    return bytes(laid.data)


ips = st.binary(min_size=4, max_size=4).map(lambda raw: socket.inet_ntop(socket.AF_INET, raw)) | st.binary(
    min_size=16, max_size=16
).map(lambda raw: socket.inet_ntop(socket.AF_INET6, raw))
"""As this system writes them."""
macs = st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex(":"))
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
adapters = st.builds(
    Adapter,
    name=names,
    up=st.booleans(),
    mac=macs,
    addresses=st.lists(st.builds("{}/{}".format, ips, st.integers(0, 128)), max_size=3).map(tuple),
    guid=st.uuids().map(lambda found: f"{{{found}}}".upper()),
    if_type=st.sampled_from([6, 24, 71, 243]),
    gateways=st.lists(ips, max_size=2, unique=True).map(tuple),
    dns_servers=st.lists(ips, max_size=2, unique=True).map(tuple),
)


@given(st.lists(adapters, max_size=4))
def test_it_reads_the_buffer_as_windows_lays_it(found: list[Adapter]) -> None:
    assert [(adapter, four, six) for adapter, four, six in parse(_laid(found), BASE)] == [(it, 7, 9) for it in found]


def test_a_temporary_address_is_left_out() -> None:
    adapter = Adapter(name="x", up=True, addresses=("2001:db8::5/64",))
    ((found, _, _),) = parse(_laid([adapter], temporary="2001:db8::bad"), BASE)
    assert found.addresses == ("2001:db8::5/64",)


@given(st.data())
def test_a_broken_buffer_is_an_error_and_never_a_crash(data: st.DataObject) -> None:
    adapter = Adapter(name="イーサネット", up=True, addresses=("10.0.0.1/8",), gateways=("10.0.0.2",))
    raw = bytearray(_laid([adapter, adapter]))
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        parse(bytes(raw[: data.draw(st.integers(0, len(raw)))]), BASE)


def test_adapters_that_point_in_a_circle_are_an_error() -> None:
    raw = bytearray(_laid([Adapter(name="x", up=True)]))
    struct.pack_into("<Q", raw, 8, BASE)
    with pytest.raises(ValueError, match="without an end"):
        parse(bytes(raw), BASE)


@pytest.fixture
def read(changed_host: Callable[..., Host]) -> Callable[..., Interfaces]:
    host = changed_host("windows-11-ja")

    def read_(keys: Keys, *found: Adapter) -> Interfaces:
        host.registry = RecordedRegistry(keys)
        host.system = RecordedSystem(Recording(adapters=found, running_services={}))
        return interfaces_windows(host)

    return read_


def _kind(found: Interfaces) -> object:
    assert not isinstance(found.interfaces, UnsetType)
    return found.interfaces[0].kind


@pytest.mark.parametrize(
    ("if_type", "component", "instance", "expected"),
    [
        (6, "pci\\ven_8086", "", "ethernet"),
        (6, "", r"USB\VID_0B95&PID_1790\000001", "ethernet"),
        (6, "bth\\ms_bthpan", "", "bluetooth"),
        (6, "", r"BTH\MS_BTHPAN\6&2A", "bluetooth"),
        (6, "", "", UNSET),
        (6, "vms_mp", "", "virtual"),
        (71, "", "", "wifi"),
        (243, "", "", "wwan"),
        (244, "", "", "wwan"),
        (23, "", "", "tunnel"),
        (131, "", "", "tunnel"),
        (24, "", "", "loopback"),
        (999, "", "", "other"),
        (UNSET, "pci\\ven_8086", "", UNSET),
    ],
)
def test_it_tells_what_kind_an_adapter_is(
    if_type: int | UnsetType, component: str, instance: str, expected: object, read: Callable[..., Interfaces]
) -> None:
    keys: Keys = {
        CLASS: {"NetCfgInstanceId": GUID.lower(), "ComponentId": component},
        rf"{NETWORK}\{GUID}\Connection": {"Name": "ローカル エリア接続", "PnpInstanceID": instance},
    }
    assert _kind(read(keys, Adapter(name="x", up=True, guid=GUID, if_type=if_type))) == expected


@pytest.mark.parametrize(
    ("router", "adapters", "expected"),
    [
        (0, (False, False), False),
        (0, (False, True), True),
        (1, (False, UNSET), True),
        (0, (False, UNSET), UNSET),
        (0, (), UNSET),
    ],
)
def test_forwarding_is_off_only_where_every_adapter_says_so(
    router: int, adapters: tuple[bool | UnsetType, ...], expected: object, read: Callable[..., Interfaces]
) -> None:
    found = [Adapter(name=str(number), up=True, forwarding=it) for number, it in enumerate(adapters)]
    assert read({TCPIP: {"IPEnableRouter": router}}, *found).forwarding is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("proxy.town.local:8080", "proxy.town.local:8080"),
        ("http://Proxy:8080/", "proxy:8080"),
        ("http://hanako:himitsu@proxy:8080", "proxy:8080"),
        ("http://hanako:pa/ss@w@proxy:8080/x", "proxy:8080"),
        ("[fd00::1]:3128", "[fd00::1]:3128"),
        ("hanako:himitsu", ""),
        ("DIRECT now", ""),
        ("", ""),
    ],
)
def test_an_address_of_a_proxy_bears_no_credentials(text: str, expected: str) -> None:
    assert proxy_address(text) == expected


@given(st.text(max_size=20), st.text(max_size=20))
def test_nothing_before_an_at_sign_travels(secret: str, host: str) -> None:
    assert proxy_address(f"http://user:{secret}@proxy:1") == "proxy:1"
    assert "@" not in proxy_address(host)


def test_every_protocols_proxy_is_told_once() -> None:
    assert proxy_list("http=a:1;https=a:1;ftp=b:2 c") == ("a:1", "b:2", "c")


@given(st.binary(max_size=40))
def test_any_bytes_are_settings_or_none(raw: bytes) -> None:
    assert parse_connection(raw).flags >= 0
    assert parse_connection("text") == (0, "")


def test_a_policy_goes_before_a_persons_own_proxy(changed_host: Callable[..., Host]) -> None:
    host = changed_host("windows-11-ja")
    person = r"HKEY_USERS\S-1-5-21-1-2-3-1001\Software"
    own: Keys = {rf"{person}\{SETTINGS}": {"ProxyEnable": 1, "ProxyServer": "own:1"}}
    host.registry = RecordedRegistry(own | {rf"{person}\Policies\{SETTINGS}": {"ProxyServer": "town:2"}})
    assert proxies_windows(host) == (
        Proxy(source="user", addresses=("town:2",), auto_config=False, auto_detect=False),
    )  # fmt: skip
    host.registry = RecordedRegistry({rf"{person}\{SETTINGS}": None})
    assert proxies_windows(host) == ()


def test_a_policy_may_give_everybody_one_proxy(changed_host: Callable[..., Host]) -> None:
    host = changed_host("windows-11-ja")
    machine: Keys = {rf"HKEY_LOCAL_MACHINE\SOFTWARE\{SETTINGS}": {"ProxyEnable": 1, "ProxyServer": "all:1"}}
    host.registry = RecordedRegistry(machine)
    assert proxies_windows(host) == ()
    policy: Keys = {rf"HKEY_LOCAL_MACHINE\SOFTWARE\Policies\{SETTINGS}": {"ProxySettingsPerUser": 0}}
    host.registry = RecordedRegistry(machine | policy)
    assert [(it.source, it.addresses) for it in proxies_windows(host)] == [("machine", ("all:1",))]


@windows
def test_a_running_windows_shows_its_loopback_and_an_address() -> None:
    found = interfaces_windows(collect.live_host(None)).interfaces
    assert not isinstance(found, UnsetType)
    (loopback,) = [it for it in found if it.kind == "loopback"]
    assert "127.0.0.1/8" in (loopback.addresses or ())
    assert all(it.kind is UNSET for it in found if it is not loopback)  # no driver is known here
