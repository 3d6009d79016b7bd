"""Agents of released versions, and of versions to come, at the present collector."""

from __future__ import annotations

import hashlib
import http.client
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from secmon.app import Collector
from secmon.config import Ingest
from secmon.store.schema import contacts, enrollments, hosts, results, section_versions
from secmon_agent import facts, wire
from tests.agents import released
from tests.agents.released import Exchange, Machine
from tests.agents.server import CA, TLS
from tests.support.office import linux
from tests.support.running import Answer, BareAgent, running

RECORDED = [
    (version.name, name) for version in released.FOLDER.glob("[0-9]*") for name in released.machines(version.name)
]
SERVER = str(TLS / "server.pem")
INGEST = Ingest(address="127.0.0.1:0", certificate=SERVER, key=SERVER, ca=str(TLS / "ca.pem"))


@contextmanager
def collector_at(folder: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A present collector whose clock stands where the recording began, and whose token is the recorded one."""
    begun = time.monotonic()
    with running(folder, clock=_clock(machine.at, begun), ingest=INGEST) as collector:
        monkeypatch.setattr("secmon.ingest.enrollment.secrets.token_urlsafe", lambda _: machine.token)
        BareAgent(collector).token()
        yield collector


def _clock(at: datetime, begun: float) -> Callable[[], datetime]:
    return lambda: at + timedelta(seconds=time.monotonic() - begun)


def said_again(collector: Collector, exchange: Exchange) -> tuple[int, bytes]:
    """Over TLS, with the headers as they are called since 0.1."""
    context = ssl.create_default_context(cadata=CA)
    connection = http.client.HTTPSConnection(*collector.started.ingest, context=context, timeout=30)
    headers = {"Content-Type": "application/vnd.secmon.envelope+msgpack", "secmon-key-id": exchange.key_id}
    try:
        connection.request("POST", exchange.path, exchange.body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(("version", "name"), RECORDED)
def test_it_takes_everything_that_a_released_agent_says(
    version: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = released.machine(version, name)
    exchanges = dict(machine.exchanges)
    with collector_at(tmp_path, machine, monkeypatch) as collector:
        status, body = said_again(collector, exchanges.pop("enrollment"))
        assert (status, wire.read_answer(body).status) == (200, "enrolled")
        for _ in ("first", "repeated, as when the answer was lost"):
            for exchange in exchanges.values():
                status, body = said_again(collector, exchange)
                recorded, ack = wire.read_ack(exchange.answer), wire.read_ack(body)
                assert (status, ack.stream, ack.sequence) == (200, recorded.stream, recorded.sequence)
                assert ack.want == ()
        stored(collector, machine)


def stored(collector: Collector, machine: Machine) -> None:
    """What the collector has of the machine is what the recorded reports said, and it was judged."""
    report = wire.read_report(wire.read_envelope(machine.exchanges["changed"].body))
    full = wire.read_report(wire.read_envelope(machine.exchanges["full"].body))
    assert isinstance(report.sections, dict)
    assert isinstance(full.sections, dict)
    current = section_versions.c.observed_to.is_(None)
    with collector.database.read() as connection:
        host = connection.execute(sa.select(hosts)).one()
        contact = connection.execute(sa.select(contacts)).one()
        rows = {row.section: row for row in connection.execute(sa.select(section_versions).where(current))}
        judged = connection.execute(sa.select(results.c.status).where(results.c.observed_to.is_(None))).scalars().all()
        asset_number = connection.execute(sa.select(enrollments.c.asset_number)).scalar_one()
    assert (host.name, host.state, host.resyncing) == (machine.facts["host"]["hostname"], report.state, False)
    assert (contact.stream, contact.sequence) == (report.stream, 4)
    assert asset_number.startswith("A-000")
    assert "pass" in judged
    assert {name: (row.status, row.digest) for name, row in rows.items()} == {
        name: (section.status, section.digest) for name, section in report.sections.items()
    }
    for name, row in rows.items():
        carried = report.sections[name].data or full.sections[name].data
        assert (row.data or msgspec.UNSET) == carried
        if row.status == "ok":
            told = msgspec.to_builtins(wire.decode_facts(name, row.data))
            assert is_within(machine.facts[name], told), name


def is_within(old: object, new: object) -> bool:
    """Whether everything that the old version understood still says the same; `new` may know more."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return all(key in new and is_within(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, (list, tuple)):
        return len(old) == len(new) and all(map(is_within, old, new))
    return old == new


@pytest.mark.parametrize(("version", "name"), RECORDED)
def test_it_reads_the_reports_of_a_released_agent_from_a_bundle(version: str, name: str) -> None:
    machine = released.machine(version, name)
    bodies = [exchange.body for exchange in machine.exchanges.values()][1:]
    assert [wire.from_line(line.encode()) for line in machine.lines] == bodies


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[BareAgent]:
    with running(tmp_path) as collector:
        bare = BareAgent(collector)
        assert bare.enroll().status == 200
        yield bare


def judged_of(agent: BareAgent) -> dict[str, str]:
    current = results.c.observed_to.is_(None)
    with agent.collector.database.read() as connection:
        return {row.check_id: row.status for row in connection.execute(sa.select(results).where(current))}


def send(agent: BareAgent, **sections: wire.Section) -> Answer:
    whole = {name: wire.ok_section(each, datetime.now(UTC)) for name, each in linux().items()} | sections  # type: ignore[arg-type]
    report = replace(agent.report(), sections=whole, state=wire.state_digest(whole))
    return agent.post("/v1/reports", agent.seal(report))


def later(content: object) -> wire.Section:
    data = msgspec.msgpack.encode(content)
    return wire.Section(status="ok", digest=hashlib.sha256(data).digest(), collected_at=datetime.now(UTC), data=data)


def test_it_keeps_a_section_that_only_a_later_agent_knows(agent: BareAgent) -> None:
    assert send(agent).ack.want == ()
    before = judged_of(agent)
    novelty = later({"anything": [1, {"at": "once"}]})

    assert send(agent, moon_phase=novelty).ack.want == ()

    assert judged_of(agent) == before
    with agent.collector.database.read() as connection:
        query = sa.select(section_versions.c.data).where(section_versions.c.section == "moon_phase")
        assert connection.execute(query).scalar_one() == novelty.data


def test_it_answers_unknown_where_a_later_agent_has_another_word_or_shape(agent: BareAgent) -> None:
    assert send(agent).ack.want == ()
    before = judged_of(agent)
    checks = {check for check in before if check.startswith("ports.") and before[check] in ("pass", "fail")}
    assert checks
    asleep = wire.other_section("asleep", "until tomorrow", datetime.now(UTC))
    for section in (asleep, later({"listening": "in another way"})):
        assert send(agent, ports=section).ack.want == ()
        judged = judged_of(agent)
        assert {judged[check] for check in checks} == {"unknown"}
        assert "pass" in judged.values()


def test_it_passes_over_fields_of_a_later_agent(agent: BareAgent) -> None:
    assert send(agent).ack.want == ()
    before = judged_of(agent)
    plain = msgspec.to_builtins(linux()["ports"])
    assert send(agent, ports=later({**plain, "weather": "fine"})).ack.want == ()
    assert judged_of(agent) == before


@pytest.mark.parametrize("type_", ["application/vnd.secmon.report.v2", "application/vnd.secmon.report.v1+brotli"])
def test_it_says_that_it_does_not_know_a_later_format_so_that_nothing_is_thrown_away(
    agent: BareAgent, type_: str
) -> None:
    payload = b"what a later version makes of it"
    signature = agent.key.sign(wire.pre_authentication_encoding(type_, payload)).signature
    said = wire.Envelope(key_id=bytes.fromhex(agent.key_id), type=type_, payload=payload, signature=signature)

    answer = agent.post("/v1/reports", msgspec.msgpack.encode(said))

    assert (answer.status, answer.problem.type) == (415, "urn:secmon:problem:unknown-format")
    assert type_ in answer.problem.detail
    assert agent.send({"os": facts.Os(family="linux")}).status == 200
