"""The order of rpm versions, headers of the rpm database, and lists of repositories that are cut anywhere."""

from __future__ import annotations

import shutil
import struct
import subprocess  # noqa: TID251 - rpm is the witness
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon_agent import collect
from secmon_agent.host import Host
from secmon_agent.probes import rpm_header
from secmon_agent.probes.repodata import elements
from secmon_agent.probes.rpm_version import part_key, text_key

parts = st.text("01ab.~^_+", min_size=1, max_size=8)
realistic = st.from_regex(
    r"[0-9]{1,3}(\.[0-9]{1,4}){0,3}((~|\^)(rc|git)[0-9]{0,8})?(\.el[89](_[0-9])?)?", fullmatch=True
)
pairs = st.lists(st.tuples(parts, parts) | st.tuples(realistic, realistic), min_size=1, max_size=60)


def _order(left: str, right: str) -> int:
    low, high = part_key(left), part_key(right)
    return (low > high) - (low < high)


@pytest.mark.skipif(shutil.which("rpm") is None, reason="needs rpm as witness")
@settings(max_examples=15, deadline=None)
@given(pairs)
def test_it_orders_versions_as_rpm_does(found: list[tuple[str, str]]) -> None:
    calls = ",".join(f'rpm.vercmp("{left}","{right}")' for left, right in found)
    code = f'%{{lua:print(table.concat({{{calls}}}," "))}}'
    out = subprocess.run(["rpm", "--eval", code], capture_output=True, text=True, check=True).stdout
    assert [_order(left, right) for left, right in found] == [int(word) for word in out.split()]


@settings(max_examples=200, deadline=None)
@given(parts, parts, parts)
def test_the_order_is_one(a: str, b: str, c: str) -> None:
    assert _order(a, b) == -_order(b, a)
    assert not (_order(a, b) <= 0 and _order(b, c) <= 0 and _order(a, c) > 0)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1.0-1", "1:0.1-1"),
        ("1.0~rc1-1", "1.0-1"),
        ("1.0-1", "1.0^git1-1"),
        ("4.18.0-553.el8_10", "4.18.0-553.5.1.el8_10"),
        ("5.14.0-70.el9", "5.14.0-362.8.1.el9_3"),
        ("1.0-1.el9", "1.0-1.el9_3"),
    ],
)
def test_it_knows_the_corners(left: str, right: str) -> None:
    assert text_key(left) < text_key(right)


def _header(entries: list[tuple[int, int, bytes]]) -> bytes:
    index, data = b"", b""
    for tag, kind, value in entries:
        index += struct.pack(">IIiI", tag, kind, len(data), 1)
        data += value
    return struct.pack(">II", len(entries), len(data)) + index + data


WHOLE = _header([(1000, 6, b"tool\0"), (1003, 4, struct.pack(">I", 7)), (1001, 6, b"1.0\0"), (1011, 9, b"a\0b\0")])


def test_it_reads_a_header() -> None:
    assert rpm_header.values(WHOLE, [1000, 1001, 1003, 1011]) == {1000: "tool", 1003: 7, 1001: "1.0", 1011: "a"}


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(WHOLE)), st.integers(0, 255), st.integers(0, len(WHOLE)))
def test_a_damaged_header_is_read_or_refused(position: int, byte: int, length: int) -> None:
    damaged = bytearray(WHOLE[:length])
    if position < length:
        damaged[position] = byte
    try:
        found = rpm_header.values(bytes(damaged), [1000, 1001, 1003])
    except ValueError:
        return
    assert all(isinstance(value, (int, str)) for value in found.values())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.lists(st.integers(1, 9), max_size=20))
def test_elements_do_not_depend_on_how_the_bytes_arrive(data: bytes, sizes: list[int]) -> None:
    text, cut, rest = data.replace(b"\0", b"</p>"), [], data.replace(b"\0", b"</p>")
    for size in sizes:
        cut.append(rest[:size])
        rest = rest[size:]
    assert list(elements([*cut, rest], b"</p>")) == text.split(b"</p>")


@pytest.mark.parametrize(
    ("files", "software", "patches"),
    [
        ({}, "absent", "absent"),
        ({"/var/lib/rpm/.rpm.lock": ""}, "failed", "unsupported"),
        ({"/var/lib/rpm/.rpm.lock": "", "/var/lib/dpkg/status": ""}, "failed", "unsupported"),
        ({"/var/lib/rpm/.rpm.lock": "", "/var/lib/dpkg/status": "Package: a\n"}, "ok", "ok"),
    ],
)
def test_the_package_manager_that_knows_of_packages_counts(
    files: dict[str, str], software: str, patches: str, make_host: Callable[..., Host]
) -> None:
    found = collect.collect(make_host(files), ["software", "patches"])
    assert (found["software"].status, found["patches"].status) == (software, patches)
