"""The wire against its golden vectors, its limits, and its two forms."""

from __future__ import annotations

import ast
import hashlib
import re
import sys
import tracemalloc
import zlib
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from secmon_agent import facts, skim, wire
from tests.agents import make_vectors
from tests.agents.make_vectors import FOLDER, KEY, PUBLIC_KEY, WHEN, Vector, encoded, heartbeat, packed, sections

FILES = sorted(path.name for path in FOLDER.glob("*.json"))
VALID = [name for name in FILES if name.startswith("valid-")]
INVALID = [name for name in FILES if name.startswith("invalid-")]


def read(name: str) -> Vector:
    return msgspec.json.decode((FOLDER / name).read_bytes(), type=Vector)


def fault(body: bytes) -> wire.WireError:
    return make_vectors.fault("report", body)


def place(detail: str) -> str:
    """What is at fault and where, without a library's wording of it."""
    path = re.search(r"at `.*", detail)
    return detail.partition(":")[0] + (path[0] if path else "")


def test_it_has_a_file_for_every_vector_and_no_other() -> None:
    names = [f"valid-{name}.json" for name in make_vectors.SEALED | make_vectors.LATER]
    assert sorted(names + [f"invalid-{name}.json" for name in make_vectors.INVALID]) == FILES


@pytest.mark.parametrize("name", VALID)
def test_it_opens_a_valid_vector(name: str) -> None:
    vector = read(name)
    message = make_vectors.opened(vector.kind, bytes.fromhex(vector.envelope))
    assert make_vectors.told(message) == vector.message


@pytest.mark.parametrize("name", INVALID)
def test_it_refuses_an_invalid_vector(name: str) -> None:
    vector = read(name)
    error = fault(bytes.fromhex(vector.envelope))
    assert (error.status, place(error.detail)) == (vector.status, place(vector.detail))


@pytest.mark.parametrize("name", list(make_vectors.SEALED))
def test_it_seals_to_the_bytes_of_the_vector(name: str) -> None:
    """Byte for byte before compression; a compressor may find another form of the same bytes."""
    _, type_, message = make_vectors.SEALED[name]
    golden = wire.read_envelope(bytes.fromhex(read(f"valid-{name}.json").envelope))
    made = wire.read_envelope(wire.seal(type_, message, KEY))
    assert (made.key_id, made.type) == (golden.key_id, golden.type)
    assert inflated(made) == inflated(golden)
    wire.verify(made, PUBLIC_KEY)


def inflated(envelope: wire.Envelope) -> bytes:
    return zlib.decompress(envelope.payload) if envelope.type.endswith(wire.ZLIB_SUFFIX) else envelope.payload


def test_it_answers_401_for_a_fault_of_the_signature_and_413_for_one_of_size() -> None:
    statuses = {name: read(name).status for name in INVALID}
    signature = {
        f"invalid-{name}.json"
        for name in ("flipped-signature", "flipped-payload", "wrong-key", "wrong-key-right-id", "other-type-signed")
    }
    assert {name for name, status in statuses.items() if status == 401} == signature
    assert "invalid-zlib-bomb.json" in {name for name, status in statuses.items() if status == 413}
    assert set(statuses.values()) == {400, 401, 413, 415}


def test_it_checks_the_signature_before_it_looks_inside() -> None:
    bomb = wire.read_envelope(bytes.fromhex(read("invalid-zlib-bomb.json").envelope))
    assert fault(encoded(replace(bomb, signature=b"s" * 64))).status == 401


def test_it_keeps_memory_flat_under_a_bomb() -> None:
    body = packed(b"\xc6" + (1 << 30).to_bytes(4, "big") + bytes(64 << 20))
    assert len(body) < 100_000
    tracemalloc.start()
    try:
        assert fault(body).status == 413
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * wire.MAX_PAYLOAD_BYTES


def test_it_refuses_absurd_counts_without_reserving_for_them() -> None:
    tracemalloc.start()
    try:
        for count in (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"):
            assert fault(packed(count)).status in (400, 413)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_it_refuses_an_envelope_or_line_over_the_limit() -> None:
    with pytest.raises(wire.WireError, match="1048577 bytes") as caught:
        wire.read_envelope(bytes(wire.MAX_WIRE_BYTES + 1))
    assert caught.value.status == 413
    with pytest.raises(wire.WireError) as caught:
        wire.from_line(b" " * (2 * wire.MAX_WIRE_BYTES + 1))
    assert caught.value.status == 413


def test_it_does_not_seal_what_nobody_would_open() -> None:
    noise = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(1 << 15))
    for data in (noise, bytes(wire.MAX_PAYLOAD_BYTES)):
        large = replace(make_vectors.full(), sections={"os": replace(sections()["os"], data=data)})
        with pytest.raises(wire.WireError) as caught:
            wire.seal(wire.REPORT_TYPE, large, KEY)
        assert caught.value.status == 413


def test_it_carries_an_envelope_as_one_line_of_json() -> None:
    for name in VALID:
        body = bytes.fromhex(read(name).envelope)
        line = wire.to_line(body)
        assert b"\n" not in line
        assert wire.from_line(line) == body


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[]", b"{", b'{"key_id":"AA=="}', b"\xff", b'{"key_id":1,"type":"x"}', b"[" * 100_000]
)
def test_it_refuses_a_line_that_is_no_envelope(line: bytes) -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.from_line(line)
    assert caught.value.status == 400


def test_it_gives_a_heartbeat_at_most_400_bytes_in_the_worst_case() -> None:
    worst = replace(
        heartbeat(),
        stream=hashlib.sha256(b"stream").digest()[:16],
        boot_id=hashlib.sha256(b"boot").digest()[:16],
        sequence=1_000_000,
        interval_s=wire.MAX_INTERVAL_S,
        collected_at=WHEN + timedelta(seconds=1),
        offset_s=-12345.678,
        vitals={"uptime_s": 123456789, "disk_free_bytes": (1 << 41) + 1, "memory_available_bytes": (1 << 36) + 1},
        rejected=20,
    )
    assert len(wire.seal(wire.REPORT_TYPE, worst, KEY)) <= 400


def test_it_gives_equal_facts_equal_digests_in_whatever_order_they_were_found() -> None:
    first = facts.ListeningPort(protocol="tcp", address="::", port=22, reach="network")
    second = facts.ListeningPort(protocol="udp", address="::", port=53, reach="network")
    one = wire.ok_section(facts.Ports(listening=(first, second)), WHEN)
    other = wire.ok_section(facts.Ports(listening=(second, first)), WHEN + timedelta(days=1))
    assert (one.digest, one.data) == (other.digest, other.data)
    assert wire.state_digest({"ports": one}) == wire.state_digest({"ports": other})


def test_it_tells_states_apart_by_name_status_and_content() -> None:
    section = wire.other_section("absent", "why", WHEN)
    states = [
        {"boot": section},
        {"os": section},
        {"boot": replace(section, status="failed")},
        {"boot": wire.other_section("absent", "why not", WHEN)},
        {"boot": section, "os": section},
        {},
    ]
    assert len({wire.state_digest(state) for state in states}) == len(states)


def test_it_leaves_out_what_could_not_be_determined() -> None:
    assert wire.encode_facts(facts.Os(family="linux")) == encoded({"family": "linux"})


def test_it_decodes_facts_of_a_later_version_as_far_as_it_knows_them() -> None:
    decoded = wire.decode_facts("os", encoded({"family": "linux", "novelty": [1, 2]}))
    assert decoded == facts.Os(family="linux")


@pytest.mark.parametrize(
    ("name", "data"),
    [("novelty", b"\x80"), ("os", b"\x81\xa6family\x01"), ("os", b"\x80\x80"), ("os", encoded({"family": "beos"}))],
)
def test_it_says_so_when_it_cannot_decode_a_section(name: str, data: bytes) -> None:
    with pytest.raises(wire.WireError, match=name):
        wire.decode_facts(name, data)


def test_it_gives_every_problem_a_body() -> None:
    for name, title in wire.PROBLEMS.items():
        problem = msgspec.json.decode(wire.problem(name, 400, "where"), type=wire.Problem)
        assert (problem.type, problem.title, problem.detail) == (wire.PROBLEM_PREFIX + name, title, "where")


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\xd9", b"\xd9\x05abc", b"\x91", b"\xc7\x03\x01ab", b"\x01\x02", b"\xdc"]
)
def test_it_does_not_skim_past_the_end(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"byte|marker"):
        skim.skim(data, max_list=10, max_total=10, max_depth=3)


FACTS = sorted(path.stem for path in Path(facts.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("module", ["wire", "skim", "limits", *(f"facts/{name}" for name in FACTS)])
def test_it_imports_nothing_but_the_standard_library_msgspec_and_pynacl(module: str) -> None:
    source = (Path(wire.__file__).parent / f"{module}.py").read_text("utf-8")
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    names = {name for name in names if not name.startswith("secmon_agent.facts")}
    own = {"secmon_agent.limits", "secmon_agent.skim.TooManyError", "secmon_agent.skim.skim"}
    roots = {name.split(".")[0] for name in names - own}
    assert roots - sys.stdlib_module_names <= {"msgspec", "nacl"}
