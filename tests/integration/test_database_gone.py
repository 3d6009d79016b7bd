"""The disk is full or the database is gone: nothing is acknowledged, nothing is lost, and it recovers by itself."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from secmon.app import Collector
from secmon.ingest import apply
from secmon.ingest.host_states import host_states
from secmon.store.schema import contacts, hosts, section_versions, transitions
from secmon_agent import facts, wire
from tests.support.office import linux
from tests.support.running import Answer, BareAgent, running


def big() -> dict[str, facts.Software]:
    """A section that needs pages of its own."""
    packages = tuple(facts.Package(name=f"package-{number}", version="1.0") for number in range(2000))
    return {"software": facts.Software(packages=packages)}


def is_busy(answer: Answer) -> bool:
    return (answer.status, answer.problem.type) == (503, wire.PROBLEM_PREFIX + "busy")


def stored(collector: Collector) -> int:
    with collector.database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(section_versions)).scalar_one()


def wait_for_mail(folder: Path) -> None:
    end = time.monotonic() + 120
    while not any((folder / "mail").glob("*.eml")):
        assert time.monotonic() < end, "no mail came after the outage"
        time.sleep(0.1)


@contextmanager
def full_disk(collector: Collector) -> Iterator[None]:
    """SQLite may use no more pages than it has."""

    def bound(connection: sqlite3.Connection, *_: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    def unbound(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA max_page_count = 4294967294")

    sa.event.listen(collector.database.engine, "checkout", bound)
    yield
    sa.event.remove(collector.database.engine, "checkout", bound)
    sa.event.listen(collector.database.engine, "checkout", unbound)


@contextmanager
def gone_server(admin: sa.Engine, name: str) -> Iterator[None]:
    """PostgreSQL lets nobody in, and those who were are thrown out."""
    with admin.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        terminate(connection, name)
    yield
    with admin.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def terminate(connection: sa.Connection, name: str) -> None:
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
    connection.execute(sa.text(query), {"name": name})


def test_it_keeps_nothing_of_a_report_that_the_disk_has_no_room_for(tmp_path: Path) -> None:
    with running(tmp_path) as collector:
        agent = BareAgent(collector)
        assert agent.enroll().status == 200
        before = agent.send(linux())
        body = agent.seal(agent.report({**linux(), **big()}))
        sections = stored(collector)

        with full_disk(collector):
            answers = [agent.post("/v1/reports", body) for _ in range(3)]
            assert stored(collector) == sections

        assert before.status == 200
        assert all(is_busy(answer) and answer.headers["retry-after"] for answer in answers)
        assert agent.post("/v1/reports", body).ack.sequence == 2
        assert stored(collector) == sections + 1
        wait_for_mail(tmp_path)


def test_it_recovers_when_the_server_comes_back(
    tmp_path: Path, postgres_url: str, postgres_template: tuple[sa.Engine, str]
) -> None:
    admin, name = postgres_template[0], str(sa.make_url(postgres_url).database)
    with running(tmp_path, postgres_url) as collector:
        agent, stranger = BareAgent(collector), BareAgent(collector, "pc2")
        token = stranger.token()
        assert agent.enroll().status == 200
        first = agent.seal(agent.report(linux()))

        with gone_server(admin, name):
            during = [agent.post("/v1/reports", first), stranger.enroll(token), stranger.send(linux())]

        assert [is_busy(answer) for answer in during] == [True, True, True]
        assert agent.post("/v1/reports", first).ack.sequence == 1
        assert stranger.enroll(token).status == 200
        wait_for_mail(tmp_path)
        with collector.database.read() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(contacts)).scalar_one() == 1
            assert connection.execute(sa.select(sa.func.count()).select_from(hosts)).scalar_one() == 2


def test_it_applies_each_report_once_though_the_server_throws_it_out_again_and_again(
    tmp_path: Path, postgres_url: str, postgres_template: tuple[sa.Engine, str]
) -> None:
    admin, name = postgres_template[0], str(sa.make_url(postgres_url).database)
    with running(tmp_path, postgres_url) as collector, admin.connect() as killer:
        agent = BareAgent(collector)
        assert agent.enroll().status == 200
        for number in range(12):
            body = agent.seal(agent.report(linux(str(number))))
            for _ in range(50):
                terminate(killer, name)
                if agent.post("/v1/reports", body).status == 200:
                    break
            else:
                raise AssertionError("it never recovered")

        with collector.database.read() as connection:
            sequence = connection.execute(sa.select(contacts.c.sequence)).scalar_one()
            versions = connection.execute(
                sa.select(sa.func.count()).where(section_versions.c.section == "os")
            ).scalar_one()
            first = connection.execute(
                sa.select(sa.func.count()).where(transitions.c.event == "first_state")
            ).scalar_one()
    assert (sequence, versions, first) == (12, 12, 1)


def test_it_does_not_let_one_report_take_the_others_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path) as collector:
        agents = [BareAgent(collector, f"pc{number}") for number in range(8)]
        assert {agent.enroll().status for agent in agents} == {200}
        assert {agent.send(linux()).status for agent in agents} == {200}
        poison = bytes.fromhex(agents[3].key_id)

        def states(connection: sa.Connection, key_ids: list[bytes]) -> dict[bytes, sa.Row[tuple[object, ...]]]:
            if poison in key_ids:
                raise OverflowError("date value out of range")
            return host_states(connection, key_ids)

        monkeypatch.setattr(apply, "host_states", states)
        with ThreadPoolExecutor(8) as pool:
            with collector.database.write():  # the writer waits with the first, and the others gather behind it
                waiting = []
                for agent in agents:
                    waiting.append(pool.submit(agent.send, linux()))
                    time.sleep(0.2)
            answers = [each.result() for each in waiting]

    assert [answer.status for answer in answers] == [200, 200, 200, 503, 200, 200, 200, 200]
