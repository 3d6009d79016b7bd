"""Bad input at the door, over real TLS against a whole collector."""

from __future__ import annotations

import resource
import socket
import ssl
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from nacl.signing import SigningKey

from secmon.app import Collector
from secmon.ingest.enrollment import revoke_host
from secmon.store.schema import contacts, hosts, section_versions
from secmon_agent import wire
from tests.support.office import linux
from tests.support.running import BareAgent, running


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with running(tmp_path_factory.mktemp("collector")) as up:
        yield up


@pytest.fixture
def agent(collector: Collector, request: pytest.FixtureRequest) -> BareAgent:
    """An enrolled machine, another for each test."""
    found = BareAgent(collector, hostname=request.node.name[:60])
    assert found.enroll().status == 200
    return found


def counted(collector: Collector, outcome: str) -> float:
    for metric in collector.runtime.families():
        for sample in metric.samples:
            if sample.name == "secmon_reports_total" and sample.labels == {"outcome": outcome}:
                return sample.value
    raise AssertionError(outcome)


def stored(collector: Collector, hostname: str) -> int:
    with collector.database.read() as connection:
        return len(
            connection.execute(
                sa.select(section_versions.c.section)
                .join(hosts, hosts.c.host_id == section_versions.c.host_id)
                .where(hosts.c.hostname == hostname)
            ).all()
        )


def envelope(agent: BareAgent, payload: bytes, type_: str = wire.REPORT_TYPE) -> bytes:
    """A rightly signed envelope around any payload."""
    signature = agent.key.sign(wire.pre_authentication_encoding(type_, payload)).signature
    key_id = wire.key_id(bytes(agent.key.verify_key))
    return msgspec.msgpack.encode(wire.Envelope(key_id=key_id, type=type_, payload=payload, signature=signature))


def test_it_acknowledges_a_report_that_is_then_in_the_database(collector: Collector, agent: BareAgent) -> None:
    ack = agent.send(linux()).ack

    assert (ack.stream, ack.sequence, ack.want) == (agent.stream, 1, ())
    assert ack.collector_id == collector.identity[0].bytes
    assert stored(collector, agent.hostname) == len(linux())


def test_it_refuses_a_wrong_signature_and_stores_nothing(collector: Collector, agent: BareAgent) -> None:
    before = counted(collector, "unauthorized")
    body = bytearray(agent.seal(agent.report(linux())))
    body[-1] ^= 1

    answer = agent.post("/v1/reports", bytes(body))

    assert (answer.status, answer.problem.type) == (401, wire.PROBLEM_PREFIX + "bad-signature")
    assert stored(collector, agent.hostname) == 0
    assert counted(collector, "unauthorized") == before + 1


def test_it_refuses_a_report_signed_by_another_key_under_this_ones_name(agent: BareAgent) -> None:
    thief = BareAgent(agent.collector, agent.hostname, SigningKey.generate())
    forged = thief.seal(thief.report(linux()))

    answer = agent.post("/v1/reports", forged)

    assert (answer.status, answer.problem.type) == (401, wire.PROBLEM_PREFIX + "bad-signature")


@pytest.mark.parametrize("header", [{}, {wire.KEY_ID_HEADER: "zz"}, {wire.KEY_ID_HEADER: "00" * 16}])
def test_it_refuses_a_missing_or_unknown_key(agent: BareAgent, header: dict[str, str]) -> None:
    answer = agent.post("/v1/reports", agent.seal(agent.report(linux())), header)

    assert (answer.status, answer.problem.type) == (401, wire.PROBLEM_PREFIX + "unknown-key")


def test_it_refuses_an_unknown_key_before_the_body_is_read(collector: Collector) -> None:
    context = ssl.create_default_context(cadata=collector.certificates.ca_der)
    with (
        socket.create_connection(collector.started.ingest, timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(
            b"POST /v1/reports HTTP/1.1\r\nhost: x\r\nsecmon-key-id: "
            + b"ab" * 16
            + b"\r\ncontent-length: 900000\r\n\r\n"
        )
        first = tls.recv(100)

    assert first.startswith(b"HTTP/1.1 401 ")


def test_it_refuses_a_revoked_key(collector: Collector, agent: BareAgent) -> None:
    agent.send(linux())
    with collector.database.write() as connection:
        revoke_host(connection, agent.hostname, reason="stolen", actor="test", now=collector.clock())

    answer = agent.send(linux())

    assert (answer.status, answer.problem.type) == (401, wire.PROBLEM_PREFIX + "revoked-key")


def test_it_refuses_bodies_over_the_limit_by_their_length_alone(agent: BareAgent) -> None:
    answer = agent.post("/v1/reports", b"\x00" * (wire.MAX_WIRE_BYTES + 1))

    assert (answer.status, answer.problem.type) == (413, wire.PROBLEM_PREFIX + "too-large")


def test_it_stays_small_under_decompression_bombs_and_absurd_counts(collector: Collector, agent: BareAgent) -> None:
    bomb = envelope(agent, zlib.compress(b"\x00" * (600 << 20), 9), wire.REPORT_TYPE + wire.ZLIB_SUFFIX)
    counts = envelope(agent, b"\xdd\xff\xff\xff\xff")
    depth = envelope(agent, b"\x91" * 5000 + b"\xc0")
    agent.post("/v1/reports", bomb)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    statuses = [agent.post("/v1/reports", body).status for body in (bomb, counts, depth) for _ in range(4)]

    assert statuses == [413] * 12
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10  # KiB


def test_it_names_the_place_of_a_fault(agent: BareAgent) -> None:
    said = msgspec.to_builtins(agent.report(linux()), builtin_types=(bytes,))
    said["sections"]["os"]["status"] = 7

    answer = agent.post("/v1/reports", envelope(agent, msgspec.msgpack.encode(said)))

    assert (answer.status, answer.problem.type) == (400, wire.PROBLEM_PREFIX + "malformed")
    assert "`str`" in answer.problem.detail
    assert "sections" in answer.problem.detail


@pytest.mark.parametrize("body", [b"", b"\xc1", b"hello", b"\x80"])
def test_it_refuses_what_is_no_envelope(agent: BareAgent, body: bytes) -> None:
    assert agent.post("/v1/reports", body).status == 400


def test_it_refuses_sections_that_a_pc_may_not_send(agent: BareAgent) -> None:
    said = agent.report(linux())
    assert said.sections is not msgspec.UNSET
    smuggled = {"devices": said.sections["os"]}
    report = msgspec.structs.replace(said, sections=smuggled, state=wire.state_digest(smuggled))

    answer = agent.post("/v1/reports", agent.seal(report))

    assert (answer.status, answer.problem.type) == (400, wire.PROBLEM_PREFIX + "section-not-allowed")


def test_it_answers_409_fork_for_a_used_sequence(collector: Collector, agent: BareAgent) -> None:
    body = agent.seal(agent.report(linux()))
    assert agent.post("/v1/reports", body).status == 200
    assert agent.post("/v1/reports", body).ack.sequence == 1
    agent.sequence = 0

    answer = agent.send(linux("11"))

    assert (answer.status, answer.problem.type) == (409, wire.PROBLEM_PREFIX + "fork")
    with collector.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(contacts)).scalar_one() >= 1


def test_it_ends_a_body_that_does_not_come(agent: BareAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_BODY_S", 0.3)
    context = ssl.create_default_context(cadata=agent.collector.certificates.ca_der)
    with (
        socket.create_connection(agent.collector.started.ingest, timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        head = f"POST /v1/reports HTTP/1.1\r\nhost: x\r\nsecmon-key-id: {agent.key_id}\r\ncontent-length: 500\r\n\r\n"
        tls.sendall(head.encode() + b"abc")
        first = tls.recv(100)

    assert first.startswith(b"HTTP/1.1 408 ")


def test_it_counts_bodies_as_in_flight_until_they_are_answered(
    collector: Collector, agent: BareAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [agent.seal(agent.report(linux(str(number)))) for number in range(2)]
    monkeypatch.setattr(wire, "MAX_IN_FLIGHT_BYTES", len(bodies[0]) * 3 // 2)
    with ThreadPoolExecutor(1) as pool:
        with collector.database.write():  # the writer waits, and the first body with it
            first = pool.submit(agent.post, "/v1/reports", bodies[0])
            seen = []
            for _ in range(20):
                time.sleep(0.05)
                seen.append(agent.post("/v1/reports", bodies[1][:-1]).status)
        assert first.result().status == 200

    assert seen[-1] == 503
    assert agent.post("/v1/reports", bodies[1]).status == 200


def test_it_answers_a_problem_for_any_other_address(agent: BareAgent) -> None:
    assert agent.post("/v2/reports", b"").problem.type == wire.PROBLEM_PREFIX + "not-found"


def test_it_speaks_no_tls_below_1_2(collector: Collector) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=collector.certificates.ca_der)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    with (
        pytest.raises((ssl.SSLError, OSError)),
        socket.create_connection(collector.started.ingest, timeout=10) as plain,
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_it_keeps_private_files_private(collector: Collector) -> None:
    tls = Path(collector.config.data_dir) / "tls"
    assert {file.stat().st_mode & 0o777 for file in tls.iterdir()} == {0o600}
    assert tls.stat().st_mode & 0o777 == 0o700
