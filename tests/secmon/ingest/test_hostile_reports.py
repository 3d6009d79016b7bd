"""Reports that are rightly signed, but whose values break whoever trusts them; and requests to enroll of that kind."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from secmon.app import Collector
from secmon.store.schema import contacts, hosts, section_versions
from secmon_agent import wire
from tests.support.office import linux
from tests.support.running import Answer, BareAgent, running


@pytest.fixture
def collector(tmp_path: Path, database_url: str) -> Iterator[Collector]:
    with running(tmp_path, "" if database_url.startswith("sqlite") else database_url) as up:
        yield up


@pytest.fixture
def agent(collector: Collector) -> BareAgent:
    found = BareAgent(collector)
    assert found.enroll().status == 200
    return found


def contact(collector: Collector) -> sa.Row[tuple[object, ...]]:
    with collector.database.read() as connection:
        return connection.execute(sa.select(contacts)).one()


def sealed(agent: BareAgent, said: object) -> bytes:
    """A rightly signed envelope around anything."""
    payload = msgspec.msgpack.encode(said)
    signature = agent.key.sign(wire.pre_authentication_encoding(wire.REPORT_TYPE, payload)).signature
    key_id = wire.key_id(bytes(agent.key.verify_key))
    return msgspec.msgpack.encode(
        wire.Envelope(key_id=key_id, type=wire.REPORT_TYPE, payload=payload, signature=signature)
    )


def send(agent: BareAgent, **sections: wire.Section) -> Answer:
    report = msgspec.structs.replace(agent.report(), sections=sections, state=wire.state_digest(sections))
    return agent.post("/v1/reports", agent.seal(report))


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-12:00"])
def test_it_refuses_a_time_that_no_clock_shows(agent: BareAgent, at: str) -> None:
    said = msgspec.to_builtins(agent.report(linux()), builtin_types=(bytes,))
    of_section = {**said, "sections": {**said["sections"], "os": {**said["sections"]["os"], "collected_at": at}}}

    answers = [agent.post("/v1/reports", sealed(agent, each)) for each in ({**said, "collected_at": at}, of_section)]

    assert [answer.status for answer in answers] == [400, 400]
    assert "at `$.collected_at`" in answers[0].problem.detail
    assert "at `$.sections.os.collected_at`" in answers[1].problem.detail
    assert agent.send(linux()).status == 200


def test_it_observes_nothing_before_the_machine_was_enrolled(collector: Collector, agent: BareAgent) -> None:
    assert agent.send(linux(), collected_at=datetime(1970, 1, 1, tzinfo=UTC)).status == 200

    with collector.database.read() as connection:
        created_at = connection.execute(sa.select(hosts.c.created_at)).scalar_one()
    assert (contact(collector).observed_at, contact(collector).clamped) == (created_at, True)


@pytest.mark.parametrize("offset", [math.nan, math.inf, -math.inf, 1e300, -8e13])
def test_it_takes_an_absurd_offset_as_none_or_clamps_it(collector: Collector, agent: BareAgent, offset: float) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)

    assert agent.send(linux(), offset_s=offset).status == 200

    found = contact(collector)
    assert before <= found.observed_at <= found.received_at
    assert found.offset_s is None or math.isfinite(found.offset_s)


def test_it_takes_text_with_nul_and_numbers_beyond_all_columns(collector: Collector, agent: BareAgent) -> None:
    failed = wire.other_section("failed", "embedded\0null", datetime.now(UTC))
    report = agent.report(agent_version="0.1\0", rejected=2**63, vitals={"a\0b": 1.0})
    sections = {"ports": failed}
    report = msgspec.structs.replace(report, sections=sections, state=wire.state_digest(sections))

    assert agent.post("/v1/reports", agent.seal(report)).status == 200

    with collector.database.read() as connection:
        assert connection.execute(sa.select(section_versions.c.reason)).scalar_one() == "embedded\ufffdnull"
    assert (contact(collector).agent_version, contact(collector).rejected) == ("0.1\ufffd", 2**31 - 1)


def test_it_refuses_a_status_that_is_no_word(agent: BareAgent) -> None:
    answer = send(agent, ports=wire.other_section("fail\0ed", "", datetime.now(UTC)))

    assert (answer.status, answer.problem.type) == (400, wire.PROBLEM_PREFIX + "malformed")


def test_it_forgets_refused_reports_when_the_agent_names_none(collector: Collector, agent: BareAgent) -> None:
    agent.send(linux(), rejected=3)
    said = agent.report(linux())
    heartbeat = msgspec.structs.replace(said, sections=msgspec.UNSET)
    assert contact(collector).rejected == 3

    assert agent.post("/v1/reports", agent.seal(heartbeat)).status == 200

    assert contact(collector).rejected is None


def test_it_does_not_call_a_time_clamped_for_want_of_sections(collector: Collector, agent: BareAgent) -> None:
    agent.send(linux(), collected_at=datetime.now(UTC) - timedelta(minutes=10), offset_s=600.0)
    with collector.database.write() as connection:
        long_ago = datetime.now(UTC) - timedelta(hours=5)
        connection.execute(sa.update(contacts).values(observed_at=long_ago))
    bare = wire.Section(status="ok", digest=bytes(32), collected_at=datetime.now(UTC))

    assert send(agent, os=bare).ack.want == ("os",)

    assert (contact(collector).observed_at, contact(collector).clamped) == (long_ago, False)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("hostname", "pc\0"),
        ("hostname", "pc\n1"),
        ("hostname", "\x1b[2Jpc1"),
        ("hostname", "pc\u202e1"),
        ("hostname", "  "),
        ("agent_version", "0\0"),
        ("family", "linux\0"),
        ("serial", "A\0B"),
    ],
)
def test_it_enrolls_only_what_can_be_shown(collector: Collector, field: str, text: str) -> None:
    agent = BareAgent(collector)
    fields = {"hostname": "pc1", "agent_version": "0.1.0", "family": "linux", field: text}
    request = wire.EnrollmentRequest(public_key=bytes(agent.key.verify_key), token=agent.token(), **fields)  # type: ignore[arg-type]

    answer = agent.post("/v1/enrollments", wire.seal(wire.ENROLLMENT_TYPE, request, agent.key))

    assert (answer.status, answer.problem.type) == (400, wire.PROBLEM_PREFIX + "malformed")
    assert f"at `$.{field}`" in answer.problem.detail


def test_it_gives_the_longest_names_another_each(collector: Collector) -> None:
    name = "あ" * 255
    assert BareAgent(collector, name).enroll().status == 200
    with collector.database.write() as connection:
        connection.execute(sa.update(hosts).values(hostname="renamed"))

    assert BareAgent(collector, name).enroll().status == 200

    with collector.database.read() as connection:
        names = connection.execute(sa.select(hosts.c.name)).scalars().all()
    assert sorted(names) == sorted([name, "あ" * 253 + "-2"])
