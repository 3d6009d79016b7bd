"""Another key for an agent: taken once, from the right state, and the end of the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from msgspec import UNSET
from msgspec.structs import replace
from nacl.signing import SigningKey

from secmon.app import Collector, now_utc
from secmon.errors import Failure
from secmon.ingest.enrollment import revoke_host
from secmon.ingest.rotation import PAUSE, STREAMS, WITHIN, ask
from secmon.store import life
from secmon.store.schema import agent_keys, audit, contacts
from secmon_agent import wire
from tests.support.office import linux
from tests.support.running import Answer, BareAgent, running

PATH = "/v1/rotations"


class Clock:
    ahead = timedelta()

    def __call__(self) -> datetime:
        return now_utc() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def agent(tmp_path: Path, clock: Clock) -> Iterator[BareAgent]:
    """It has reported once."""
    yield from reported(tmp_path, "", clock)


@pytest.fixture
def agent_on_both(tmp_path: Path, database_url: str, clock: Clock) -> Iterator[BareAgent]:
    """The same on SQLite and on PostgreSQL in turn."""
    yield from reported(tmp_path, database_url, clock)


def reported(folder: Path, database_url: str, clock: Clock) -> Iterator[BareAgent]:
    with running(folder, database_url, clock) as collector:
        found = BareAgent(collector)
        assert found.enroll().status == 200
        assert found.send(linux()).status == 200
        yield found


def next_key(agent: BareAgent, number: int = 1) -> SigningKey:
    return SigningKey(hashlib.sha256(bytes(agent.key) + bytes([number])).digest())


def offer(agent: BareAgent, following: SigningKey, stream: bytes = b"", sequence: int = 0) -> Answer:
    body = wire.rotation(agent.key, following, stream or agent.stream, sequence or agent.sequence)
    return agent.post(PATH, body)


def problem(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.problem.type.removeprefix(wire.PROBLEM_PREFIX)


def heartbeat(agent: BareAgent) -> Answer:
    now = agent.collector.clock()
    built = {name: wire.ok_section(each, now) for name, each in linux().items()}  # type: ignore[arg-type]
    report = replace(agent.report(), sections=UNSET, state=wire.state_digest(built), collected_at=now)
    return agent.post("/v1/reports", agent.seal(report))


def follows(agent: BareAgent, key: SigningKey) -> BareAgent:
    """The same agent by another key."""
    other = BareAgent(agent.collector, agent.hostname, key)
    other.stream, other.sequence = agent.stream, agent.sequence
    return other


def revoked(collector: Collector) -> set[str]:
    with collector.database.read() as connection:
        rows = connection.execute(sa.select(agent_keys.c.key_id).where(agent_keys.c.revoked_at.is_not(None)))
        return {row.key_id.hex() for row in rows}


def acts(collector: Collector) -> list[str]:
    with collector.database.read() as connection:
        rows = connection.execute(sa.select(audit.c.action).where(audit.c.action.like("agent.%")).order_by(audit.c.at))
        return list(rows.scalars())


@pytest.mark.parametrize("short", [True, False])
def test_the_first_report_by_the_new_key_ends_the_old_one(agent_on_both: BareAgent, short: bool) -> None:
    """Also on the short way that heartbeats take."""
    agent = agent_on_both
    new = follows(agent, next_key(agent))

    taken = offer(agent, new.key)

    assert wire.read_rotation_answer(taken.body).key_id.hex() == new.key_id
    assert heartbeat(agent).status == 200
    assert revoked(agent.collector) == set()
    new.sequence = agent.sequence
    assert (heartbeat(new) if short else new.send(linux())).status == 200
    assert revoked(agent.collector) == {agent.key_id}
    refused = heartbeat(agent)
    assert problem(refused) == (401, "revoked-key")
    assert "newer key" in refused.problem.detail
    assert [heartbeat(new).status, new.send(linux()).status] == [200, 200]
    assert acts(agent.collector) == ["agent.rotation", "agent.key-ended"]
    with agent.collector.database.read() as connection:
        assert connection.execute(sa.select(contacts.c.sequence)).scalar_one() == new.sequence


def test_the_same_key_offered_again_is_answered_as_before(agent: BareAgent) -> None:
    following = next_key(agent)
    bodies = [offer(agent, following).body for _ in range(3)]
    assert {wire.read_rotation_answer(body).key_id for body in bodies} == {wire.key_id(bytes(following.verify_key))}
    assert heartbeat(agent).status == 200
    assert offer(agent, following, sequence=1).status == 200
    assert acts(agent.collector) == ["agent.rotation"]


def test_it_refuses_an_older_state_of_the_agent(agent: BareAgent) -> None:
    assert heartbeat(agent).status == 200
    behind = offer(agent, next_key(agent), sequence=agent.sequence - 1)
    before, agent.stream, agent.sequence = agent.stream, b"another stream 1", 0
    assert agent.send(linux()).status == 200
    superseded = offer(agent, next_key(agent), before, sequence=99)
    assert [problem(each) for each in (behind, superseded)] == [(409, "rotation-refused")] * 2
    assert offer(agent, next_key(agent)).status == 200


def test_it_takes_one_from_a_stream_of_after_the_backup(agent: BareAgent) -> None:
    assert offer(agent, next_key(agent), b"never heard here", 70).status == 200


def test_it_refuses_while_two_machines_may_use_the_key(agent: BareAgent, clock: Clock) -> None:
    for number in range(STREAMS):
        agent.stream, agent.sequence = b"another stream %d" % number, 0
        assert agent.send(linux()).status == 200
    refused = offer(agent, next_key(agent))
    assert problem(refused) == (409, "rotation-refused")
    assert "two machines" in refused.problem.detail
    clock.ahead = WITHIN + timedelta(minutes=1)
    assert offer(agent, next_key(agent)).status == 200


def test_it_refuses_a_second_key_within_an_hour(agent: BareAgent, clock: Clock) -> None:
    assert offer(agent, next_key(agent)).status == 200
    assert problem(offer(agent, next_key(agent, 2))) == (409, "rotation-refused")
    clock.ahead = PAUSE + timedelta(seconds=1)
    lost, kept = follows(agent, next_key(agent)), follows(agent, next_key(agent, 2))
    assert offer(agent, kept.key).status == 200
    assert heartbeat(kept).status == 200
    assert revoked(agent.collector) == {agent.key_id, lost.key_id}
    assert problem(heartbeat(lost)) == (401, "revoked-key")


def test_it_refuses_a_key_that_is_somebody_elses(agent: BareAgent) -> None:
    other = BareAgent(agent.collector, "pc2")
    assert other.enroll().status == 200
    waiting = BareAgent(agent.collector, "pc2")
    assert waiting.enroll().status == 202
    assert [problem(offer(agent, each.key)) for each in (other, waiting, agent)] == [(409, "key-taken")] * 3


def test_it_refuses_a_key_without_its_proof(agent: BareAgent) -> None:
    """Or whoever signs could take the name of a key that he does not have."""
    theirs = bytes(next_key(agent).verify_key)
    genuine = wire.read_rotation(wire.read_envelope(wire.rotation(agent.key, next_key(agent, 2), agent.stream, 1)))
    forged = wire.Rotation(public_key=theirs, stream=agent.stream, sequence=1, proof=genuine.proof)
    assert problem(agent.post(PATH, wire.seal(wire.ROTATION_TYPE, forged, agent.key))) == (401, "bad-signature")


def test_a_proof_for_one_key_is_none_for_another(agent: BareAgent) -> None:
    other = BareAgent(agent.collector, "pc2")
    assert other.enroll().status == 200
    genuine = wire.read_rotation(wire.read_envelope(wire.rotation(other.key, next_key(agent), agent.stream, 1)))
    assert problem(agent.post(PATH, wire.seal(wire.ROTATION_TYPE, genuine, agent.key))) == (401, "bad-signature")


def test_it_refuses_bad_messages(agent: BareAgent) -> None:
    good = wire.rotation(agent.key, next_key(agent), agent.stream, 1)
    thief = BareAgent(agent.collector, "thief")
    answers = {
        "unknown-key": thief.post(PATH, good),
        "bad-signature": agent.post(PATH, good[:-1] + bytes([good[-1] ^ 1])),
        "malformed": agent.post(PATH, agent.seal(agent.report(linux()))),
        "too-large": agent.post(PATH, b"\0" * (wire.MAX_ROTATION_BYTES + 1)),
    }
    assert {name: problem(answer)[1] for name, answer in answers.items()} == {name: name for name in answers}
    assert problem(agent.post("/v1/reports", good)) == (400, "malformed")
    assert len(good) < wire.MAX_ROTATION_BYTES / 8


def test_revocation_ends_both_keys(agent: BareAgent) -> None:
    new = follows(agent, next_key(agent))
    assert offer(agent, new.key).status == 200
    with agent.collector.database.write() as connection:
        revoke_host(connection, agent.hostname, reason="stolen", actor="test", now=agent.collector.clock())
    answers = [heartbeat(agent), heartbeat(new), offer(agent, new.key), offer(new, next_key(new))]
    assert {problem(answer) for answer in answers} == {(401, "revoked-key")}


def test_an_ack_asks_for_another_key_until_there_is_one(agent: BareAgent, clock: Clock) -> None:
    assert heartbeat(agent).ack.rotate is False
    with agent.collector.database.write() as connection:
        name, key = ask(connection, agent.hostname, actor="test", now=agent.collector.clock())
    assert (name, key.key_id.hex()) == (agent.hostname, agent.key_id)
    assert [heartbeat(agent).ack.rotate, agent.send(linux()).ack.rotate] == [True, True]
    new = follows(agent, next_key(agent))
    assert offer(agent, new.key).status == 200
    new.sequence = agent.sequence
    assert [heartbeat(new).ack.rotate, heartbeat(new).ack.rotate] == [False, False]
    clock.ahead = PAUSE
    with agent.collector.database.write() as connection:
        assert ask(connection, new.key_id, actor="test", now=agent.collector.clock())[1].key_id.hex() == new.key_id
    assert heartbeat(new).ack.rotate is True


@pytest.mark.parametrize("nobody", ["pc7", "00" * 16, "zz", ""])
def test_nobody_is_asked_by_a_name_that_nobody_has(agent: BareAgent, nobody: str) -> None:
    with agent.collector.database.write() as connection, pytest.raises(Failure, match="secmon host list"):
        ask(connection, nobody, actor="test", now=agent.collector.clock())


def test_an_ack_that_asks_for_nothing_says_nothing_of_it(agent: BareAgent) -> None:
    """Agents of before know no such field."""
    assert b"rotate" not in heartbeat(agent).body


def standing(agent: BareAgent) -> str:
    connection = agent.connection()
    connection.request("GET", "/v1/key", headers={wire.KEY_ID_HEADER: agent.key_id})
    answer = connection.getresponse().read()
    connection.close()
    return wire.read_key_answer(answer).status


def test_it_says_how_a_key_stands_as_of_now(agent_on_both: BareAgent) -> None:
    agent = agent_on_both
    new = follows(agent, next_key(agent))
    assert [standing(each) for each in (agent, new)] == ["known", "unknown"]
    assert offer(agent, new.key).status == 200
    assert [standing(each) for each in (agent, new)] == ["known", "known"]
    assert heartbeat(new).status == 200
    assert [standing(each) for each in (agent, new)] == ["ended", "known"]
    with agent.collector.database.write() as connection:
        revoke_host(connection, agent.hostname, reason="stolen", actor="test", now=agent.collector.clock())
    assert [standing(each) for each in (agent, new)] == ["revoked", "revoked"]
    with agent.collector.database.write() as connection:
        life.retire(connection, agent.hostname, life.Act(actor="test", now=agent.collector.clock()), reason="old")
    assert standing(new) == "retired"
