"""Who is let in: tokens, collisions, decisions of people."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from secmon.app import Collector
from secmon.errors import Failure
from secmon.ingest import enrollment
from secmon.store import life
from secmon.store.hosts import link_asset
from secmon.store.life import Act
from secmon.store.schema import (
    assets,
    audit,
    enrollment_tokens,
    host_assets,
    host_attributes,
    hosts,
    stream_window,
    streams,
)
from secmon_agent import wire
from tests.support.office import linux
from tests.support.running import Answer, BareAgent, running


@pytest.fixture
def collector(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Collector]:
    url = database_url if database_url.startswith("postgresql") else ""
    with running(tmp_path_factory.mktemp("collector"), url) as up:
        yield up


def refused(answer: Answer) -> str:
    assert answer.status == 403
    return answer.problem.type.removeprefix(wire.PROBLEM_PREFIX)


def names(collector: Collector) -> list[str]:
    with collector.database.read() as connection:
        return sorted(connection.execute(sa.select(hosts.c.name)).scalars())


def test_it_enrolls_a_new_machine_into_the_tokens_zone(collector: Collector) -> None:
    agent = BareAgent(collector, "pc1")

    answer = wire.read_answer(agent.enroll().body)

    assert (answer.status, answer.collector_id) == ("enrolled", collector.identity[0].bytes)
    with collector.database.read() as connection:
        assert connection.execute(sa.select(host_attributes.c.name, host_attributes.c.value)).all() == [
            ("zone", "lgwan")
        ]


def test_it_lets_only_one_of_many_in_that_claim_one_serial_number_at_once(collector: Collector) -> None:
    agents = [BareAgent(collector, f"pc{number}") for number in range(8)]
    tokens = [agent.token() for agent in agents]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda agent, token: agent.enroll(token, serial="SN-0815").status, agents, tokens))

    assert sorted(answers) == [200] + [202] * 7


def test_it_counts_one_use_however_often_the_same_key_asks(collector: Collector) -> None:
    agent = BareAgent(collector, "pc1")
    token = agent.token(uses=2)

    assert [agent.enroll(token).status for _ in range(3)] == [200, 200, 200]

    with collector.database.read() as connection:
        assert connection.execute(sa.select(enrollment_tokens.c.uses_left)).scalar_one() == 1
    assert names(collector) == ["pc1"]


def test_it_says_what_is_wrong_with_a_token(collector: Collector) -> None:
    first, second = BareAgent(collector, "pc1"), BareAgent(collector, "pc2")
    used = first.token()
    assert first.enroll(used).status == 200

    assert refused(second.enroll(used)) == "token-used-up"
    assert refused(second.enroll("no-such-token-anywhere")) == "token-unknown"
    assert refused(second.enroll(second.token(valid_for=timedelta(0)))) == "token-expired"
    assert refused(second.enroll(second.token(networks=["192.0.2.0/24"]))) == "token-network"
    assert names(collector) == ["pc1"]


def test_it_keeps_only_the_hash_of_a_token(collector: Collector) -> None:
    token = BareAgent(collector).token()

    with collector.database.read() as connection:
        kept = str(connection.execute(sa.select(enrollment_tokens)).all())
        kept += str(connection.execute(sa.select(audit)).all())
    assert token not in kept


@pytest.mark.parametrize(
    ("hostname", "fields"),
    [("PC1", {}), ("other", {"serial": "ABC123"}), ("other", {"machine_id": b"m" * 32})],
)
def test_it_lets_a_colliding_machine_wait(collector: Collector, hostname: str, fields: dict[str, object]) -> None:
    BareAgent(collector, "pc1").enroll(serial="ABC123", machine_id=b"m" * 32)
    newcomer = BareAgent(collector, hostname)

    answer = newcomer.enroll(**fields)

    assert answer.status == 202
    assert "same" in wire.read_answer(answer.body).reason
    assert names(collector) == ["pc1"]
    assert newcomer.send(linux()).status == 401


def test_it_takes_no_machine_for_another_that_was_made_from_the_same_image(collector: Collector) -> None:
    """An image copies the machine id; a serial number is the hardware's own."""
    fields = {"machine_id": b"m" * 32}

    answers = [BareAgent(collector, name).enroll(serial=name, **fields).status for name in ("pc1", "pc2")]

    assert answers == [200, 200]
    assert BareAgent(collector, "pc3").enroll(**fields).status == 202


def test_it_proposes_the_old_record_for_hardware_that_was_set_up_anew(collector: Collector) -> None:
    old, namesake = BareAgent(collector, "pc1"), BareAgent(collector, "desktop-7")
    old.enroll(serial="ABC123")
    old.send(linux())
    namesake.enroll(serial="DEF456")
    with collector.database.write() as connection:
        first = connection.execute(sa.select(hosts.c.host_id).where(hosts.c.name == "pc1")).scalar_one()
        link_asset(connection, first, "2023-0042", collector.clock())
    again = BareAgent(collector, "desktop-7")  # the installer's name for it is another machine's
    token = again.token()

    answer = wire.read_answer(again.enroll(token, serial="abc123", asset_number="2023-0042").body)

    assert answer.reason == "same serial number and asset number as pc1; same host name as desktop-7"
    with collector.database.write() as connection:
        (row,) = enrollment.pending(connection)
        assert enrollment.approve(connection, str(row.enrollment_id), as_new=False, actor="test",
                                  now=collector.clock()) == "pc1"  # fmt: skip
    assert again.send(linux()).status == 200
    assert old.send(linux()).status == 401
    with collector.database.read() as connection:
        spoke = connection.execute(sa.select(streams.c.stream).where(streams.c.host_id == first)).scalars()
        assert set(spoke) == {old.stream, again.stream}, "the history goes on"


@pytest.mark.parametrize("serial", ["To be filled by O.E.M.", "Default string", "System Serial Number", "0000000", "-"])
def test_it_takes_no_placeholder_for_a_serial_number(collector: Collector, serial: str) -> None:
    assert [BareAgent(collector, name).enroll(serial=serial).status for name in ("pc1", "pc2")] == [200, 200]
    with collector.database.read() as connection:
        assert set(connection.execute(sa.select(hosts.c.serial)).scalars()) == {None}


def test_it_links_a_new_machine_to_its_row_of_the_ledger_and_makes_none(collector: Collector) -> None:
    with collector.database.write() as connection:
        connection.execute(sa.insert(assets).values(asset_id=uuid.uuid4(), asset_number="A-1",
                                                    recorded_at=collector.clock()))  # fmt: skip

    assert BareAgent(collector, "pc1").enroll(asset_number="A-1").status == 200
    assert BareAgent(collector, "pc2").enroll(asset_number="A-l").status == 200

    with collector.database.read() as connection:
        linked = sa.select(hosts.c.name).join(host_assets, host_assets.c.host_id == hosts.c.host_id)
        assert list(connection.execute(linked).scalars()) == ["pc1"]
        assert list(connection.execute(sa.select(assets.c.asset_number)).scalars()) == ["A-1"]


def test_it_lets_an_approved_machine_go_on_as_the_host_it_was(collector: Collector) -> None:
    old, again = BareAgent(collector, "pc1"), BareAgent(collector, "pc1")
    old.enroll()
    old.send(linux())
    token = again.token()
    again.enroll(token)
    with collector.database.write() as connection:
        (row,) = enrollment.pending(connection)
        name = enrollment.approve(
            connection, str(row.enrollment_id)[:8], as_new=False, actor="test", now=collector.clock()
        )

    assert name == "pc1"
    assert again.enroll(token).status == 200
    assert again.send(linux()).status == 200
    assert old.send(linux()).status == 401
    assert names(collector) == ["pc1"]


def test_it_continues_no_record_that_was_retired_meanwhile(collector: Collector) -> None:
    BareAgent(collector, "pc1").enroll()
    again = BareAgent(collector, "pc1")
    again.enroll(again.token())
    with collector.database.write() as connection:
        life.retire(connection, "pc1", Act(actor="test", now=collector.clock()), reason="worn out")
        (row,) = enrollment.pending(connection)
        with pytest.raises(Failure, match="--as-new"):
            enrollment.approve(connection, str(row.enrollment_id), as_new=False, actor="test", now=collector.clock())


def test_it_lets_an_approved_machine_in_as_a_new_host(collector: Collector) -> None:
    BareAgent(collector, "pc1").enroll()
    second = BareAgent(collector, "pc1")
    second.enroll()
    with collector.database.write() as connection:
        (row,) = enrollment.pending(connection)
        enrollment.approve(connection, str(row.enrollment_id), as_new=True, actor="test", now=collector.clock())

    assert names(collector) == ["pc1", "pc1-2"]
    assert second.send(linux()).status == 200


def test_it_goes_on_under_one_record_when_two_were_merged_while_it_ran(collector: Collector) -> None:
    old, again = BareAgent(collector, "pc1"), BareAgent(collector, "pc1")
    old.enroll()
    old.send(linux("11"))
    again.enroll()
    with collector.database.write() as connection:
        (row,) = enrollment.pending(connection)
        enrollment.approve(connection, str(row.enrollment_id), as_new=True, actor="test", now=collector.clock())
    assert again.send(linux("11")).status == 200
    with collector.database.write() as connection:
        life.merge(connection, "pc1", "pc1-2", Act(actor="test", now=collector.clock()))

    answers = [again.send(linux("12")), again.send(linux("12")), old.send(linux())]

    assert [answer.status for answer in answers] == [200, 200, 401]
    with collector.database.read() as connection:
        heard = connection.execute(
            sa.select(hosts.c.name, stream_window.c.sequence)
            .join(hosts, hosts.c.host_id == stream_window.c.host_id)
            .where(stream_window.c.stream == again.stream)
            .order_by(stream_window.c.sequence)
        ).all()
    assert [tuple(row) for row in heard] == [("pc1-2", 1), ("pc1", 2), ("pc1", 3)]


def test_it_refuses_a_machine_that_was_turned_away(collector: Collector) -> None:
    BareAgent(collector, "pc1").enroll()
    second = BareAgent(collector, "pc1")
    token = second.token()
    second.enroll(token)
    with collector.database.write() as connection:
        (row,) = enrollment.pending(connection)
        enrollment.refuse(connection, str(row.enrollment_id), reason="not ours", actor="test", now=collector.clock())

    answer = second.enroll(token)

    assert refused(answer) == "enrollment-refused"
    assert answer.problem.detail == "not ours"


def test_it_wants_the_request_signed_by_the_key_that_it_brings(collector: Collector) -> None:
    agent, other = BareAgent(collector, "pc1"), BareAgent(collector, "pc2")
    request = wire.EnrollmentRequest(
        public_key=bytes(other.key.verify_key), token=agent.token(), hostname="pc1", agent_version="1", family="linux"
    )

    answer = agent.post("/v1/enrollments", wire.seal(wire.ENROLLMENT_TYPE, request, agent.key))

    assert answer.status == 401
    assert names(collector) == []
