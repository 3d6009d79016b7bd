"""Enrollment: what is trusted, what is sent, and what a person is told."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from msgspec.structs import replace

from secmon_agent import durable, enroll, facts, identity, keys, state, wire
from secmon_agent.config import Config
from secmon_agent.errors import AgentError, ConfigError
from secmon_agent.identity import Identity
from tests.agents.desk import Desk
from tests.agents.server import CA, TLS, TOKEN, Collector, refuse

HOST = facts.Host(hostname="pc-0042", serial="SN-1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "fresh"
    durable.private_directory(path)
    return path


def test_it_enrolls_and_remembers_collector_ca_and_interval(folder: Path, collector: Collector) -> None:
    collector.interval_s = 900
    enrolled = enroll.enroll(folder, Config(), collector.invitation(), HOST)
    key = keys.load(folder)
    assert key is not None
    assert enrolled.status == "enrolled"
    assert collector.keys == {wire.key_id(bytes(key.verify_key)): bytes(key.verify_key)}
    assert collector.paths == ["/v1/ca", "/v1/enrollments"]
    stored = identity.load(folder)
    assert stored == enrolled
    assert (stored.ca, stored.token, stored.collector_id) == (CA, "", b"c" * 16)
    begun = state.load(folder)
    assert begun is not None
    assert (begun.interval_s, begun.generation, begun.sequence) == (900, 1, 0)


def test_it_sends_nothing_to_a_collector_with_another_ca(folder: Path, collector: Collector) -> None:
    invitation = collector.invitation()
    collector.ca = ssl.PEM_cert_to_DER_cert(
        (TLS / "server.pem").read_text("ascii").split("-----END PRIVATE KEY-----")[1].strip()
    )
    with pytest.raises(AgentError, match=r"another CA certificate .* nothing was sent"):
        enroll.enroll(folder, Config(), invitation, HOST)
    assert collector.paths == ["/v1/ca"]
    assert identity.load(folder) is None


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [("other-ca.pem", "certificate is not accepted"), ("other-name.pem", "certificate is not accepted: .*127.0.0.1")],
)
def test_it_keeps_the_token_from_a_server_that_the_ca_does_not_vouch_for(
    folder: Path, certificate: str, reason: str
) -> None:
    with Collector(certificate) as impostor:
        with pytest.raises(AgentError, match=reason):
            enroll.enroll(folder, Config(), impostor.invitation(), HOST)
        assert impostor.paths == ["/v1/ca"]


def test_it_accepts_a_server_by_its_name_too(folder: Path, collector: Collector) -> None:
    assert (
        enroll.enroll(folder, Config(), collector.invitation("localhost"), HOST).address
        == f"localhost:{collector.port}"
    )


def test_it_repeats_a_pending_enrollment_with_the_same_key(folder: Path, collector: Collector) -> None:
    collector.pending = True
    waiting = enroll.enroll(folder, Config(), collector.invitation(), HOST)
    assert (waiting.status, waiting.reason, waiting.token) == ("pending", "the name is taken", TOKEN)
    before = keys.load_or_create(folder)
    assert state.load(folder) is None
    collector.pending = False
    enrolled = enroll.ask(folder, Config(), waiting, before, HOST)
    assert enrolled.status == "enrolled"
    assert enrolled.token == ""
    assert list(collector.keys) == [wire.key_id(bytes(before.verify_key))]
    assert collector.paths.count("/v1/ca") == 1


@pytest.mark.parametrize("problem", list(enroll.WHAT_TO_DO))
def test_it_says_what_to_do_when_it_is_refused(folder: Path, collector: Collector, problem: str) -> None:
    collector.script = [refuse(problem, 403, "the detail\nof it")]
    with pytest.raises(AgentError) as caught:
        enroll.enroll(folder, Config(), collector.invitation(), HOST)
    line = str(caught.value)
    assert wire.PROBLEMS[problem] in line
    assert enroll.WHAT_TO_DO[problem] in line
    assert "\n" not in line
    assert identity.load(folder) is None


def test_it_knows_an_advice_for_every_refusal_of_an_enrollment() -> None:
    needed = {name for name in wire.PROBLEMS if "token" in name or "enrollment" in name} | {
        "revoked-key",
        "unknown-format",
    }
    assert set(enroll.WHAT_TO_DO) == needed


def test_it_stays_enrolled_where_it_was_when_another_collector_refuses(desk: Desk, collector: Collector) -> None:
    with Collector() as other:
        other.script = [refuse("token-used-up", 403)]
        with pytest.raises(AgentError):
            enroll.enroll(desk.folder, Config(), other.invitation(), HOST)
    assert identity.load(desk.folder) == desk.identity
    assert desk.agent().cycle().delivered == 1


def test_it_sends_full_state_to_another_collector(desk: Desk, collector: Collector) -> None:
    desk.agent().cycle()
    collector.generation = 7
    desk.identity = enroll.enroll(desk.folder, Config(), collector.invitation(), HOST)
    desk.agent().cycle()
    assert collector.received[-1].sections
    assert collector.received[-1].stream != collector.received[0].stream


def test_it_continues_its_stream_when_it_enrolls_again_where_it_is(desk: Desk, collector: Collector) -> None:
    desk.agent().cycle()
    desk.identity = enroll.enroll(desk.folder, Config(), collector.invitation(), HOST)
    desk.agent().cycle()
    assert collector.received[-1].stream == collector.received[0].stream
    assert not collector.received[-1].sections


def test_it_trusts_the_office_s_own_file_instead_of_fetching(
    folder: Path, tmp_path: Path, collector: Collector
) -> None:
    file = tmp_path / "own.pem"
    file.write_bytes((TLS / "ca.pem").read_bytes() * 2)
    enroll.enroll(folder, Config(ca_file=str(file)), collector.invitation(), HOST)
    assert collector.paths == ["/v1/enrollments"]
    file.write_bytes(CA)
    assert identity.certificates(file) == [CA]


def test_it_refuses_an_own_file_that_does_not_hold_the_ca(folder: Path, tmp_path: Path, collector: Collector) -> None:
    file = tmp_path / "own.pem"
    file.write_bytes((TLS / "ca.pem").read_bytes())
    invitation = replace(collector.invitation(), ca_sha256=b"x" * 32)
    with pytest.raises(AgentError, match="does not hold the CA"):
        enroll.enroll(folder, Config(ca_file=str(file)), invitation, HOST)
    with pytest.raises(ConfigError, match="does not exist"):
        enroll.enroll(folder, Config(ca_file=str(file) + "x"), invitation, HOST)
    assert collector.paths == []


def test_it_brings_the_machine_s_name_and_serial_number(folder: Path) -> None:
    key = keys.load_or_create(folder)
    waiting = Identity(
        host="127.0.0.1", port=1, ca_sha256=b"", ca=b"", status="pending", token="t" * 20, asset_number="2023-0042"
    )
    request = enroll.request(waiting, key, HOST)
    assert (request.hostname, request.serial, request.asset_number) == ("pc-0042", "SN-1", "2023-0042")
    assert request.family in {"linux", "windows"}
    body = wire.seal(wire.ENROLLMENT_TYPE, request, key)
    assert wire.read_enrollment(wire.read_envelope(body)) == request


def test_it_shows_a_damaged_key_instead_of_replacing_it(folder: Path) -> None:
    (folder / keys.KEY_FILE).write_bytes(b"short")
    with pytest.raises(AgentError, match="5 bytes"):
        keys.load_or_create(folder)
    assert (folder / keys.KEY_FILE).read_bytes() == b"short"
