"""What holds of the wire for any message at all."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial

import msgspec
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from secmon_agent import facts, wire
from secmon_agent.skim import skim
from tests.agents.make_vectors import KEY, PUBLIC_KEY, encoded, full, heartbeat, packed, sealed

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

settings.register_profile("wire", max_examples=60, deadline=None, database=None)
settings.load_profile("wire")

TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1)).map(lambda when: when.replace(tzinfo=UTC))  # noqa: DTZ001
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
PORTS = st.builds(
    facts.ListeningPort,
    protocol=st.sampled_from(["tcp", "udp"]),
    address=TEXT,
    port=st.integers(0, 65535),
    reach=st.sampled_from(["loopback", "network"]),
    process=TEXT | st.just(UNSET),
)
UPDATES = st.builds(
    facts.PendingUpdate, package=TEXT, security=st.booleans() | st.just(UNSET), pending_since=TIMES | st.just(UNSET)
)
FACTS = st.one_of(
    st.builds(facts.Ports, listening=st.lists(PORTS, max_size=8).map(tuple) | st.just(UNSET)),
    st.builds(facts.Patches, pending=st.lists(UPDATES, max_size=8).map(tuple), lists_updated_at=TIMES | st.just(UNSET)),
    st.builds(facts.Os, family=st.just("linux"), name=TEXT, build=st.integers(-(2**63), 2**64 - 1)),
)
SECTIONS = st.one_of(
    st.builds(wire.ok_section, FACTS, TIMES),
    st.builds(wire.other_section, TEXT.map(lambda text: text or "failed"), TEXT, TIMES),
)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=30,
)


def outcome(read: Callable[[], object]) -> object:
    """What `read` answers, or the status of its WireError; any other exception is a failure."""
    try:
        return read()
    except wire.WireError as error:
        return error.status


@st.composite
def reports(draw: st.DrawFn) -> wire.Report:
    listed = draw(st.dictionaries(NAMES, SECTIONS, max_size=6))
    return wire.Report(
        stream=draw(st.binary(min_size=16, max_size=16)),
        sequence=draw(st.integers(1, 2**62)),
        boot_id=draw(st.binary(max_size=16)),
        collected_at=draw(TIMES),
        interval_s=draw(st.integers(1, wire.MAX_INTERVAL_S)),
        state=wire.state_digest(listed),
        offset_s=draw(st.floats(allow_nan=False) | st.just(UNSET)),
        machine_id=draw(st.binary(max_size=32) | st.just(UNSET)),
        sections=listed,
        vitals=draw(st.dictionaries(TEXT, st.floats(allow_nan=False), max_size=4) | st.just(UNSET)),
    )


@given(reports())
def test_it_opens_what_it_sealed(report: wire.Report) -> None:
    body = wire.seal(wire.REPORT_TYPE, report, KEY)
    assert wire.open_envelope(body, PUBLIC_KEY) == report
    assert wire.from_line(wire.to_line(body)) == body


@given(st.sampled_from([heartbeat(), full()]), st.data())
def test_it_answers_mutated_bytes_with_a_wire_error_only(report: wire.Report, data: st.DataObject) -> None:
    body = bytearray(wire.seal(wire.REPORT_TYPE, report, KEY))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    opened = outcome(lambda: wire.open_envelope(bytes(body), PUBLIC_KEY))
    assert opened in (400, 401, 413, report)  # the report, where nothing signed was touched


@given(st.sampled_from([heartbeat(), full()]), st.data())
def test_it_answers_a_rightly_signed_but_mutated_report_with_a_wire_error_only(
    report: wire.Report, data: st.DataObject
) -> None:
    payload = bytearray(encoded(report))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    for body in (sealed(bytes(payload)), packed(bytes(payload))):
        opened = outcome(partial(wire.open_envelope, body, PUBLIC_KEY))
        assert isinstance(opened, wire.Report) or opened in (400, 413)


@given(st.binary(max_size=300))
def test_it_answers_any_bytes_with_a_wire_error_only(noise: bytes) -> None:
    for read in (wire.read_envelope, wire.from_line, wire.read_ack, wire.read_answer):
        with pytest.raises(wire.WireError):
            read(noise)


@given(st.binary(max_size=300))
def test_it_answers_any_section_content_with_a_wire_error_only(noise: bytes) -> None:
    for name in facts.SECTIONS:
        decoded = outcome(partial(wire.decode_facts, name, noise))
        assert isinstance(decoded, facts.Fact) or decoded in (400, 413)


@given(st.lists(PORTS, max_size=10), st.randoms(use_true_random=False))
def test_it_takes_lists_for_sets(found: list[facts.ListeningPort], rng: random.Random) -> None:
    shuffled = list(found)
    rng.shuffle(shuffled)
    assert wire.encode_facts(facts.Ports(listening=tuple(found))) == wire.encode_facts(
        facts.Ports(listening=tuple(shuffled))
    )


@given(FACTS)
def test_it_reads_facts_as_they_were_up_to_the_order_of_lists(section: facts.Section) -> None:
    name = next(name for name, kind in facts.SECTIONS.items() if kind is type(section))
    decoded = wire.decode_facts(name, wire.encode_facts(section))
    assert wire.encode_facts(decoded) == wire.encode_facts(section)


@given(reports(), st.dictionaries(NAMES.map("x_".__add__), PLAIN, min_size=1, max_size=4))
def test_it_passes_over_fields_of_a_later_version(report: wire.Report, novelties: dict[str, object]) -> None:
    plain = dict(msgspec.to_builtins(report, builtin_types=(datetime, bytes)))
    assert wire.open_envelope(packed(encoded({**plain, **novelties})), PUBLIC_KEY) == report


@given(reports(), NAMES, PLAIN, st.text(min_size=1, max_size=32))
def test_it_takes_sections_and_statuses_of_a_later_version(
    report: wire.Report, name: str, content: object, status: str
) -> None:
    data = encoded(content)
    earlier = wire.other_section("failed", "", datetime.now(UTC))
    novelty = replace(wire.ok_section(facts.Os(), report.collected_at), data=data, digest=hashlib.sha256(data).digest())
    assert report.sections is not UNSET
    listed = {**report.sections, name: novelty, f"{name}_2": replace(earlier, status="x" + status[:31])}
    later = replace(report, sections=listed, state=wire.state_digest(listed))
    assert wire.open_envelope(wire.seal(wire.REPORT_TYPE, later, KEY), PUBLIC_KEY) == later


@given(PLAIN)
def test_it_skims_whatever_msgpack_there_is_and_nothing_else(value: object) -> None:
    data = encoded(value)
    assert skim(data, max_list=100, max_total=1000, max_depth=16) >= 1
    for broken in (data + b"\xc0", data[:-1]):
        with pytest.raises(ValueError, match="byte"):
            skim(broken, max_list=100, max_total=1000, max_depth=16)


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)), st.integers(-720, 720))  # noqa: DTZ001
def test_it_keeps_the_instant_whatever_zone_it_was_written_in(when: datetime, minutes: int) -> None:
    instant = when.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    report = replace(heartbeat(), collected_at=instant)
    assert wire.open_envelope(wire.seal(wire.REPORT_TYPE, report, KEY), PUBLIC_KEY).collected_at == instant
