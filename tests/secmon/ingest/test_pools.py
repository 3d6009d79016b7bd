"""Machines that forget themselves at every start: one record for each seat, whoever sits there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from msgspec import Struct

from secmon.app import Collector
from secmon.ingest import enrollment
from secmon.rejudging import repair
from secmon.schedule import JOBS, Schedule
from secmon.store import life
from secmon.store.hosts import attributes_of, link_asset, set_attribute
from secmon.store.life import Act
from secmon.store.schema import (
    agents,
    assets,
    contacts,
    enrollment_tokens,
    findings,
    host_assets,
    host_attributes,
    hosts,
    results,
    transitions,
)
from secmon_agent import facts, wire
from tests.support.office import linux
from tests.support.running import Answer, BareAgent, running

IMAGE = b"i" * 32
"""The machine id that all of them have."""
DAY = timedelta(days=1)


@pytest.fixture
def collector(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Collector]:
    url = database_url if database_url.startswith("postgresql") else ""
    with running(tmp_path_factory.mktemp("collector"), url) as up:
        yield up


class Pool:
    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self.token = BareAgent(collector).token(uses=None, valid_for=timedelta(days=365))

    def start(self, hostname: str, **fields: object) -> BareAgent:
        """A machine is switched on: a new key, and whatever it says of itself."""
        agent = BareAgent(self.collector, hostname)
        answer = agent.enroll(self.token, machine_id=IMAGE, **fields)
        assert answer.status == 200, answer.body
        return agent


@pytest.fixture
def pool(collector: Collector) -> Pool:
    return Pool(collector)


def in_service(collector: Collector) -> list[str]:
    with collector.database.read() as connection:
        query = sa.select(hosts.c.name).where(hosts.c.retired_at.is_(None)).order_by(hosts.c.name)
        return list(connection.execute(query).scalars())


def records(collector: Collector) -> int:
    with collector.database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(hosts)).scalar_one()


def switched_off(collector: Collector, days: float = 2) -> int:
    """The nightly job, so many days later."""
    with collector.database.write() as connection:
        return life.retire_from_pools(connection, Act(actor="collector", now=collector.clock() + days * DAY))


def silent(collector: Collector) -> None:
    """As if all had enrolled and last spoken an hour ago."""
    before = collector.clock() - timedelta(hours=1)
    with collector.database.write() as connection:
        connection.execute(sa.update(contacts).values(received_at=before))
        connection.execute(sa.update(agents).values(enrolled_at=before))


def weak(root: str = "yes") -> dict[str, Struct]:
    server = facts.SshServer(permit_root_login=root)  # type: ignore[arg-type]
    return linux(remote_access=facts.RemoteAccess(ssh_installed=True, ssh=server))


def test_it_enrolls_however_often_until_the_string_expires(collector: Collector, pool: Pool) -> None:
    for number in range(5):
        pool.start(f"pc{number}", serial=f"SN{number}")

    assert in_service(collector) == [f"pc{number}" for number in range(5)]
    with collector.database.write() as connection:
        connection.execute(sa.update(enrollment_tokens).values(expires_at=collector.clock()))
    late: Answer = BareAgent(collector, "pc9").enroll(pool.token)
    assert late.problem.type.endswith("token-expired")


def test_a_seat_goes_on_as_one_machine_and_only_its_last_agent_speaks(collector: Collector, pool: Pool) -> None:
    before = pool.start("pc1", serial="SN1")
    assert before.send(linux()).status == 200

    again = pool.start("WIN-8F2K", serial="sn1")

    assert again.send(linux("11")).status == 200
    assert before.send(linux()).status == 401
    assert in_service(collector) == ["pc1"]
    with collector.database.read() as connection:
        rows = connection.execute(sa.select(host_attributes.c.name, host_attributes.c.value)).all()
    said = {row.name: row.value for row in rows}
    assert (said["zone"], set(said)) == ("lgwan", {"zone", "pool"})


def test_what_the_office_says_of_a_seat_stays(collector: Collector, pool: Pool) -> None:
    pool.start("pc1", serial="SN1")
    with collector.database.write() as connection:
        host = connection.execute(sa.select(hosts.c.host_id)).scalar_one()
        set_attribute(connection, host, "zone", "internet", collector.clock())
    pool.start("pc1", serial="SN1")
    with collector.database.read() as connection:
        assert attributes_of(connection, [host])[host]["zone"] == "internet"


def test_a_machine_without_a_serial_number_is_known_by_its_name(collector: Collector, pool: Pool) -> None:
    for _ in range(3):
        pool.start("vdi-01", serial="To be filled by O.E.M.")

    assert in_service(collector) == ["vdi-01"]


def test_a_desktop_that_is_made_anew_with_another_number_goes_on(collector: Collector, pool: Pool) -> None:
    pool.start("vdi-01", serial="VMware-1")
    silent(collector)

    pool.start("vdi-01", serial="VMware-2")

    assert in_service(collector) == ["vdi-01"]


def test_two_machines_of_one_name_that_are_on_at_once_are_two(collector: Collector, pool: Pool) -> None:
    first, second = pool.start("master", serial="SN1"), pool.start("master", serial="SN2")

    assert [each.send(linux()).status for each in (first, second)] == [200, 200]
    assert in_service(collector) == ["master", "master-2"]


@pytest.mark.parametrize("fields", [{"serial": "SN1"}, {}])
def test_a_machine_of_no_pool_is_taken_over_by_nobody(
    collector: Collector, pool: Pool, fields: dict[str, object]
) -> None:
    BareAgent(collector, "pc1").enroll(serial="SN1", machine_id=IMAGE)
    for _ in range(2):  # it waits over a restart
        newcomer = BareAgent(collector, "pc1" if not fields else "other")
        answer = newcomer.enroll(pool.token, machine_id=IMAGE, **fields)
        assert answer.status == 202
    assert "as pc1" in wire.read_answer(answer.body).reason
    with collector.database.write() as connection:
        (row,) = enrollment.pending(connection)
        enrollment.approve(connection, str(row.enrollment_id), as_new=True, actor="test", now=collector.clock())
    assert records(collector) == 2
    if fields:  # from now on it is a seat of the pool
        pool.start("other")
        assert records(collector) == 2


def test_the_image_s_machine_id_says_nothing(collector: Collector, pool: Pool) -> None:
    BareAgent(collector, "master").enroll(machine_id=IMAGE)
    pool.start("pc1", serial="SN1")
    assert in_service(collector) == ["master", "pc1"]


def test_what_is_off_for_a_day_is_retired_and_comes_back_without_a_word(collector: Collector, pool: Pool) -> None:
    seat, other = pool.start("pc1", serial="SN1"), BareAgent(collector, "pc2")
    other.enroll(serial="SN2")
    for agent in (seat, other):
        assert agent.send(weak()).status == 200
    with collector.database.write() as connection:
        host = connection.execute(sa.select(hosts.c.host_id).where(hosts.c.name == "pc1")).scalar_one()
        link_asset(connection, host, "2023-0042", collector.clock())
        told_before = connection.execute(sa.select(sa.func.count()).select_from(transitions)).scalar_one()

    assert [switched_off(collector, 0.9), switched_off(collector), switched_off(collector)] == [0, 1, 0]
    assert in_service(collector) == ["pc2"]
    assert seat.send(weak()).status == 401

    again = pool.start("pc1", serial="SN1")
    repair(collector.database, collector.rulebook.current, collector.config, collector.clock())
    assert again.send(weak()).status == 200

    assert in_service(collector) == ["pc1", "pc2"]
    with collector.database.read() as connection:
        told = connection.execute(sa.select(transitions).order_by(transitions.c.transition_id)).all()[told_before:]
        held = sa.select(assets.c.asset_number).join(host_assets, host_assets.c.asset_id == assets.c.asset_id)
        asset = connection.execute(held.where(host_assets.c.valid_to.is_(None))).scalar_one()
        answers = sa.select(sa.func.count()).where(results.c.observed_to.is_(None)).group_by(results.c.host_id)
        judged = list(connection.execute(answers).scalars())
        open_ = connection.execute(
            sa.select(sa.func.count()).where(findings.c.host_id == host, findings.c.resolved_at.is_(None))
        ).scalar_one()
    assert {each.cause for each in told} == {"attributes"}, "nobody is told of this one by one"
    assert {each.event for each in told} <= {"resolved", "opened", "reopened"}
    assert asset == "2023-0042"
    assert judged == [judged[0]] * 2, "all is judged again, as on the other machine"
    assert open_ > 0
    assert again.send(weak("no")).status == 200
    with collector.database.read() as connection:
        last = connection.execute(sa.select(transitions.c.cause).order_by(transitions.c.transition_id.desc()).limit(1))
        assert last.scalar_one() == "machine"


def test_one_that_has_just_enrolled_is_not_retired(collector: Collector, pool: Pool) -> None:
    pool.start("pc1", serial="SN1").send(linux())
    switched_off(collector)
    pool.start("pc1", serial="SN1")  # it has not reported yet
    with collector.database.write() as connection:
        connection.execute(sa.update(contacts).values(received_at=collector.clock() - 30 * DAY))
        connection.execute(sa.update(hosts).values(created_at=collector.clock() - 30 * DAY))

    assert switched_off(collector, 0.5) == 0
    assert switched_off(collector) == 1


def test_what_people_retired_does_not_come_back(collector: Collector, pool: Pool) -> None:
    pool.start("pc1", serial="SN1").send(linux())
    with collector.database.write() as connection:
        life.retire(connection, "pc1", Act(actor="test", now=collector.clock()), reason="worn out")

    pool.start("pc1", serial="SN1")

    assert in_service(collector) == ["pc1-2"]


def test_the_clock_retires_them(collector: Collector, pool: Pool) -> None:
    pool.start("pc1", serial="SN1").send(linux())
    schedule = Schedule(
        database=collector.database, config=collector.config, rules=collector.rulebook, clock=collector.clock,
        identity=collector.identity, table=[job for job in JOBS if job.name == "machines"],
    )  # fmt: skip

    (ran,) = schedule.run_due(collector.clock() + 3 * DAY)

    assert (ran.error, "1 of pools retired" in ran.detail) == ("", True)
    assert in_service(collector) == []
