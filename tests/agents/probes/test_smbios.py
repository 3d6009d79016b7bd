"""What the firmware's tables say of the machine, and what they cannot say."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from secmon_agent import collect
from secmon_agent.host import Host, ProbeError, Programs
from secmon_agent.probes.host_windows import host_windows
from secmon_agent.questions import Answer, smbios
from secmon_agent.questions.smbios import Smbios, parse
from secmon_agent.recorded import recorded_host

HOSTS = Path(__file__).parents[2] / "hosts"
windows = pytest.mark.skipif(sys.platform != "win32", reason="asks a running Windows")


def structure(kind: int, body: bytes, *texts: bytes) -> bytes:
    return (
        bytes([kind, 4 + len(body), 0, 0]) + body + (b"\0".join(texts) if texts else b"\0") + b"\0" * (2 - (not texts))
    )


def tables(*structures: bytes) -> bytes:
    content = b"".join(structures)
    return bytes([0, 3, 2, 0]) + len(content).to_bytes(4, "little") + content


def system(serial: bytes, number: int = 3) -> bytes:
    return structure(1, bytes([1, 2, 0, number]) + bytes(19), b"FUJITSU", b"LIFEBOOK U9313", serial)


def case(kind: int) -> bytes:
    return structure(3, bytes([1, kind, 0, 0, 0]) + bytes(12), b"FUJITSU")


END = structure(127, b"")
BIOS = structure(0, bytes(20), b"Some firmware", b"2.31")


def test_it_reads_the_serial_and_the_kind_of_case() -> None:
    assert parse(tables(BIOS, system(b"R9X00123"), case(10), END)) == Smbios(serial="R9X00123", chassis=10)


def test_a_case_with_a_lock_is_of_the_same_kind() -> None:
    assert parse(tables(case(0x80 | 9), END)).chassis == 9


def test_the_first_of_several_counts_and_nothing_after_the_end_mark() -> None:
    found = parse(tables(structure(2, b"\0"), case(10), case(3), END, system(b"LATER")))
    assert found == Smbios(chassis=10)


@pytest.mark.parametrize(
    "table",
    [system(b"S1", 0), system(b"S1", 9), system(b"\xe7\x95"), system(b"S" * 200), structure(1, b"\x01"), system(b" ")],
)
def test_a_serial_that_is_none_is_left_out(table: bytes) -> None:
    assert parse(tables(table, END)).serial is UNSET


def test_tables_that_break_off_say_what_stands_before() -> None:
    whole = tables(system(b"S1"), case(10))
    cut = whole[8:-1]
    assert parse(bytes(4) + len(cut).to_bytes(4, "little") + cut) == Smbios(serial="S1")


@pytest.mark.parametrize("raw", [b"", bytes(7), tables(END)[:-1], bytes((1 << 20) + 1)])
def test_tables_of_an_impossible_size_are_a_failure(raw: bytes) -> None:
    with pytest.raises(ProbeError):
        parse(raw)


STRUCTURES = st.builds(lambda kind, body: structure(kind, body, b"text"), st.integers(0, 127), st.binary(max_size=40))


@given(st.binary(max_size=300) | st.lists(STRUCTURES, max_size=6).map(b"".join))
def test_whatever_the_firmware_holds_the_answer_is_plain_or_missing(content: bytes) -> None:
    found = parse(tables(content))
    assert found.serial is UNSET or (found.serial.isprintable() and 0 < len(found.serial) <= 128)
    assert found.chassis is UNSET or 0 <= found.chassis < 128


def _with(host: Host, answer: Smbios) -> Host:
    raw = msgspec.json.encode(Answer(status="ok", value=msgspec.Raw(msgspec.json.encode(answer))))
    host.programs = Programs(host.run, lambda question, timeout_s: raw)
    return host


@pytest.mark.parametrize(
    ("number", "word"), [(10, "laptop"), (31, "laptop"), (3, "desktop"), (23, "server"), (1, "other"), (2, UNSET)]
)
def test_the_kind_of_case_is_told_in_the_words_of_linux(number: int, word: object) -> None:
    assert host_windows(_with(recorded_host(HOSTS / "windows-11-ja"), Smbios(chassis=number))).chassis == word


@pytest.mark.parametrize("text", ["To be filled by O.E.M.", "System Serial Number", "Default string", "0"])
def test_a_placeholder_is_no_serial(text: str) -> None:
    assert host_windows(_with(recorded_host(HOSTS / "windows-11-ja"), Smbios(serial=text))).serial is UNSET


def test_without_the_tables_the_rest_of_the_section_stands(changed_host: Callable[..., Host]) -> None:
    found = host_windows(changed_host("windows-11-ja", answers={}))
    assert (found.hostname, found.serial, found.chassis) == ("SOUMU-PC012", UNSET, UNSET)


@windows
def test_a_running_windows_hands_over_its_tables_and_what_wine_makes_up_is_unknown() -> None:
    assert smbios.answer().chassis is not UNSET
    host = collect.live_host(None)
    found = host_windows(host)
    if smbios.answer().serial == "System Serial Number":
        assert (found.serial, found.chassis) == (UNSET, UNSET)
