"""Whatever stands around it, what is known to be personal goes, the same becomes the same, and twice is once."""

from __future__ import annotations

import string
import struct
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon_agent.capture.addresses import Addresses
from secmon_agent.capture.learn import Own, Secret, learn, says_something
from secmon_agent.capture.redact import Redactor
from secmon_agent.capture.tables import connection
from secmon_agent.capture.tape import Tape
from secmon_agent.probes.proxies_windows import parse_connection
from secmon_agent.probes.removable_windows import serial_of
from secmon_agent.system import Socket

DOCUMENTATION = [IPv4Network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15")]
PUBLIC4 = st.ip_addresses(v=4).filter(
    lambda it: (
        not (it.is_loopback or it.is_link_local or it.is_multicast or it.is_unspecified) and 1 <= int(it) >> 24 < 224
    )
)
NAMES = st.text(string.ascii_lowercase, min_size=5, max_size=12).filter(lambda it: says_something(it, "person"))
AROUND = st.text(string.ascii_letters + " .:/=\"'[]-\n\t田", max_size=15)


@given(AROUND, NAMES, AROUND, st.sampled_from([str.lower, str.upper, str.title]))
def test_a_known_name_goes_wherever_it_stands(before: str, name: str, after: str, case: object) -> None:
    written = case(name) if callable(case) else name
    redactor = Redactor(learn(Tape(), Own(persons=(name,))))
    assert name not in redactor.text(f"{before}{written}{after}").lower().replace("person1", "")
    assert redactor.left(redactor.text(f"{before}{written}{after}").encode()) is None or name in "person1"


@given(NAMES, st.sampled_from(["utf-8", "utf-16-le", "cp932"]))
def test_a_known_name_goes_from_bytes_and_their_length_stays(name: str, encoding: str) -> None:
    data = b"\x00\x01" + name.encode(encoding) + b"\x00\xff"
    redactor = Redactor([Secret("person", name, "person1")])
    new = redactor.binary(data)
    assert len(new) == len(data)
    assert name.encode(encoding) not in new or set(name) == {"x"}


@given(AROUND, PUBLIC4)
def test_every_address_becomes_one_of_the_documentation(before: str, address: IPv4Address) -> None:
    new = Addresses().text(f"{before} {address}/24").rpartition(" ")[2].removesuffix("/24")
    assert any(IPv4Address(new) in net for net in DOCUMENTATION)


@given(PUBLIC4, st.integers(0, 255), st.integers(0, 255))
def test_neighbours_stay_neighbours_and_strangers_strangers(address: IPv4Address, one: int, other: int) -> None:
    addresses = Addresses()
    net = int(address) >> 8 << 8
    first, second = (addresses.ipv4(IPv4Address(net | host)) for host in (one, other))
    assert int(first) >> 8 == int(second) >> 8
    assert (first == second) == (one == other)
    stranger = IPv4Address(net ^ (1 << 8))
    if not any(it in documentation for it in (address, stranger) for documentation in DOCUMENTATION):
        assert int(addresses.ipv4(stranger)) >> 8 != int(first) >> 8


@given(st.ip_addresses(v=6))
def test_every_ipv6_address_becomes_one_of_the_documentation(address: IPv6Address) -> None:
    new = Addresses().ipv6(address)
    nobodys = address in IPv6Network("fec0:0:0:ffff::/64")
    if address.is_multicast or int(address) < 1 << 16 or address.is_link_local or address.ipv4_mapped or nobodys:
        return
    assert new in IPv6Network("2001:db8::/32")


@given(st.binary(min_size=6, max_size=6), st.sampled_from(":-"))
def test_every_card_becomes_one_of_the_documentation(raw: bytes, separator: str) -> None:
    new = Addresses().text(f"link/ether {raw.hex(separator)} brd")
    if set(raw.hex()) not in ({"0"}, {"f"}):
        assert new.removeprefix("link/ether ").replace("-", ":").startswith("00:00:5e:00:53:")


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1 0.0.0.0 255.255.255.0 224.0.0.251 169.254.1.1 ::1 :: ff02::1",
        "fec0:0:0:ffff::1 fec0:0:0:ffff::2",
        "http://[2001:db8::1]:8080/a@b http://example.jp:8080/a@b",
        "openssl 3.0.11-1~deb12u2, libc 2.36.9.1-9, foo-1.2.3.4",
        "Acquire::http::Proxy",
        "getty@tty1.service user@0.service",
        "chacha20-poly1305@openssh.com",
        "passwd: files systemd",
        "password requisite pam_pwquality.so retry=3 minlen=12",
        "PasswordAuthentication yes",
        "PasswordComplexity = 1",
        "LoadCredential=passwd.hashed-password.root",
        "http://deb.debian.org/debian bookworm main",
        "/etc/rc.local",
        "12:34:56",
    ],
)
def test_it_leaves_alone_what_is_nobodys(text: str) -> None:
    assert Redactor([]).text(text) == text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("http://hanako:s3cret@proxy:8080/", "s3cret"),
        ("http://hanako:s3/cret@proxy.town.local:8080/", "hanako"),
        ("http://hanako:s3/cret@proxy.town.local:8080/", "s3"),
        ("http://SV-WSUS01:8530", "SV-WSUS01"),
        ('psk="yakuba-2026"', "yakuba-2026"),
        ("    password: yakuba-2026", "yakuba-2026"),
        ("wep-key0=0123456789", "0123456789"),
        ("x $6$saltsalt$Zm9vYmFyYmF6 y", "Zm9vYmFyYmF6"),
        ("password_pbkdf2 root grub.pbkdf2.sha512.10000.ABCDEF.012345", "ABCDEF"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n-----END OPENSSH PRIVATE KEY-----", "b3BlbnNzaC1r"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 hanako@pc", "hanako"),
        ("XKY4K-2NRWR-8F6P2-448RF-CRYQH", "448RF"),
        ("NTP=ntp.town.lg.jp", "town"),
        ("owner S-1-5-21-1004336348-1177238915-682003330-1107", "1004336348"),
        ("mail=hanako@town.example", "hanako"),
        ("192.168.0.5-192.168.0.9", "192.168"),
        ("host_10.20.30.40:8080_debian", "10.20.30"),
    ],
)
def test_it_replaces_what_can_be_known_by_its_shape(text: str, secret: str) -> None:
    redactor = Redactor([])
    once = redactor.text(text)
    assert secret not in once
    assert redactor.text(once) == once
    assert Redactor([]).text(once) == once


@given(st.lists(AROUND | PUBLIC4.map(str) | NAMES, max_size=8), NAMES)
def test_twice_is_once(parts: list[str], name: str) -> None:
    once = Redactor([Secret("person", name, "person1")]).text(" ".join(parts))
    if name not in "person1":
        assert Redactor([Secret("person", name, "person1")]).text(once) == once


@pytest.mark.parametrize("login", ["", "hanako:pw@", "hanako:p/w@", "hanako:p@w@"])
def test_a_host_becomes_the_same_whatever_stands_before_it(login: str) -> None:
    redactor = Redactor([])
    assert redactor.text("proxy.town.local:8080") == "site1.example.jp:8080"
    assert redactor.text(f"http://{login}proxy.town.local:8080/") == "http://site1.example.jp:8080/"


def test_proxies_in_binary_settings_become_what_they_become_elsewhere() -> None:
    redactor = Redactor([Secret("domain", "town.local", "example1.jp")])
    texts = [b"http=proxy.town.local:8080", b"*.town.local", b"http://wpad.town.local/proxy.pac"]
    head, tail = struct.pack("<3I", 70, 3, 7), bytes(32)
    new = connection(head + b"".join(struct.pack("<I", len(it)) + it for it in texts) + tail, redactor.text)
    assert parse_connection(new) == (7, "http=proxy.example1.jp:8080")
    assert b"town" not in new
    assert b"http://wpad.example1.jp/proxy.pac" in new
    assert (new[:12], new[-32:]) == (head, tail)


@given(st.binary(max_size=60))
def test_binary_settings_of_another_form_stay_as_they_are(raw: bytes) -> None:
    assert connection(raw, lambda text: text) == raw


@pytest.mark.parametrize(
    ("instance", "expected", "has_serial"),
    [("4C530001&0", "SERIAL1&0", True), ("7&1f2e3d4c&0&_&0", "7&SERIAL1&0&_&0", False)],
)
def test_what_windows_made_up_for_a_serial_number_is_still_none(instance: str, expected: str, has_serial: bool) -> None:
    tape = Tape()
    key = rf"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Enum\USBSTOR\Disk&Ven_Generic\{instance}"
    tape.keys[key] = {}
    new = Redactor(learn(tape)).path(key).rpartition("\\")[2]
    assert new == expected
    assert bool(serial_of(new)) is has_serial


def test_the_serial_number_that_the_firmware_answered_goes_from_everywhere() -> None:
    tape = Tape()
    tape.answers["smbios"] = b'{"status":"ok","value":{"serial":"R9X00123","chassis":10}}'
    assert Redactor(learn(tape)).text("PC-R9X00123") == "PC-SERIAL1"


def test_whose_program_waits_at_a_port_is_not_told() -> None:
    tape = Tape()
    path = r"C:\Users\yamadah\AppData\Local\vnc.exe"
    tape.system["sockets"] = [Socket(protocol="tcp", address="0.0.0.0", port=5900, path=path)]
    assert "yamadah" not in Redactor(learn(tape)).text(path)


def test_a_common_word_is_no_name() -> None:
    assert (
        learn(Tape(), Own(persons=("admin", "user"), hosts=("server",), serials=("To be filled by O.E.M.", "0"))) == []
    )
