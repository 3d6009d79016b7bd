"""kill -9 of the collector and of the agent at random instants: nothing acknowledged is lost, nothing counts twice."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket
import subprocess  # noqa: TID251 — the processes that are killed here are real ones
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.alerts.model import FLAPPING_CHANGES
from secmon.ingest.streams import WINDOW
from secmon.store.database import Database, sqlite_url
from secmon.store.schema import (
    contacts,
    deliveries,
    dispatches,
    findings,
    hosts,
    results,
    section_versions,
    stream_window,
    transitions,
)

COLLECTOR_KILLS, AGENT_KILLS = 20, 80
CHECKOUT = Path(__file__).parents[2]


class Rig:
    """`secmon serve` and a looping agent as processes that are killed and started again on the same data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.config = folder / "secmon.toml"
        self.config.write_text(
            f'data_dir = "data"\n[ingest]\naddress = "127.0.0.1:{self.port}"\n'
            f'[console]\naddress = "127.0.0.1:{_free_port()}"\n'
        )
        self.state_dir = folder / "agent"
        self.acks = folder / "acks"
        self._log = (folder / "log").open("ab")
        self.collector = self.start_collector()
        self.agent: subprocess.Popen[bytes] | None = None

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(self.folder / "pycache"), "PYTHONDONTWRITEBYTECODE": ""}
        return subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=CHECKOUT, stdout=self._log, stderr=self._log, env=environment
        )

    def start_collector(self) -> subprocess.Popen[bytes]:
        process = self._start("secmon.cli", "serve", "--config", str(self.config))
        end = time.monotonic() + 300
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return process
            assert process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)
        raise AssertionError("the collector does not listen")

    def start_agent(self) -> None:
        self.agent = self._start("tests.integration.looping_agent", str(self.state_dir), str(self.acks))

    def enroll(self) -> None:
        string = subprocess.run(
            [sys.executable, "-m", "secmon.cli", "enroll", "--config", str(self.config)],
            cwd=CHECKOUT, check=True, capture_output=True,
        ).stdout  # fmt: skip
        subprocess.run(
            [sys.executable, "-m", "secmon_agent", "--state-dir", str(self.state_dir), "enroll", "-"],
            input=string, check=True, capture_output=True,
        )  # fmt: skip

    def acknowledged(self) -> list[tuple[bytes, int, bytes]]:
        """(stream, sequence, state) in the order of the acknowledgements."""
        if not self.acks.exists():
            return []
        lines = [line.split() for line in self.acks.read_text().splitlines()]
        return [(bytes.fromhex(stream), int(number), bytes.fromhex(state)) for stream, number, state in lines]

    def wait_for_acks(self, more: int) -> None:
        wanted = len(self.acknowledged()) + more
        end = time.monotonic() + 300
        while len(self.acknowledged()) < wanted:
            assert time.monotonic() < end, (self.folder / "log").read_text()[-3000:]
            time.sleep(0.01)

    def end(self) -> None:
        for process in (self.agent, self.collector):
            if process is not None:
                process.kill()
                process.wait()
        self._log.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    built = Rig(tmp_path)
    yield built
    built.end()


def test_it_keeps_its_word_through_a_hundred_kills(rig: Rig) -> None:
    rig.enroll()
    rig.start_agent()
    rig.wait_for_acks(1)
    rng = random.Random(20261123)  # noqa: S311 — repeatable
    kills = ["collector"] * COLLECTOR_KILLS + ["agent"] * AGENT_KILLS
    rng.shuffle(kills)

    for victim in kills:
        rig.wait_for_acks(rng.randint(0, 2))
        time.sleep(rng.random() * 0.1)
        process = rig.collector if victim == "collector" else rig.agent
        assert process is not None
        assert process.poll() is None, (rig.folder / "log").read_text()[-3000:]
        process.kill()
        process.wait()
        if victim == "collector":
            rig.collector = rig.start_collector()
        else:
            rig.start_agent()
    rig.wait_for_acks(3)
    assert rig.agent is not None
    rig.agent.kill()
    rig.agent.wait()

    database = Database(sqlite_url(rig.folder / "data" / "secmon.db"))
    _wait_until_told(database)
    rig.collector.terminate()
    assert rig.collector.wait(timeout=60) == 0
    with database.read() as connection:
        _everything_acknowledged_is_there(connection, rig.acknowledged())
        _nothing_is_applied_twice(connection)
        _every_transition_is_told(connection, rig.folder / "data" / "mail")
    database.close()


def _everything_acknowledged_is_there(connection: Connection, acknowledged: list[tuple[bytes, int, bytes]]) -> None:
    contact = connection.execute(sa.select(contacts)).one()
    window = {
        (row.stream, row.sequence)
        for row in connection.execute(sa.select(stream_window.c.stream, stream_window.c.sequence))
    }
    assert len({stream for stream, _, _ in acknowledged}) == 1, "a stream was given up"
    newest = max(sequence for _, sequence, _ in acknowledged)
    assert contact.sequence >= newest
    missing = [
        sequence
        for stream, sequence, _ in acknowledged
        if sequence > contact.sequence - WINDOW and (stream, sequence) not in window
    ]
    assert missing == []
    host = connection.execute(sa.select(hosts)).one()
    if contact.sequence == newest:
        assert host.state == next(state for _, sequence, state in acknowledged if sequence == newest)
    assert (host.judged_state, host.resyncing) == (host.state, False)


def _nothing_is_applied_twice(connection: Connection) -> None:
    """Neighbouring versions and answers differ, intervals meet without gap, and one of each is open."""
    for table, name in ((section_versions, "section"), (results, "check_id")):
        told = defaultdict(list)
        for row in connection.execute(sa.select(table).order_by(table.c.revision)):
            told[getattr(row, name)].append(row)
        for key, rows in told.items():
            for before, after in itertools.pairwise(rows):
                assert before.observed_to == after.observed_from, key
                same = "digest" if table is section_versions else "status"
                items = table is results and before.items != after.items
                assert items or getattr(before, same) != getattr(after, same), key
            assert [row.observed_to for row in rows].count(None) == 1, key
    events = defaultdict(list)
    for row in connection.execute(sa.select(transitions).order_by(transitions.c.transition_id)):
        events[row.check_id, row.item].append(row.event)
    assert len(_telnet(events)) > 10
    for place, told_events in events.items():
        opened = [event in ("opened", "reopened", "first_state") for event in told_events]
        assert opened == [number % 2 == 0 for number in range(len(opened))], place
    unresolved = {
        (row.check_id, row.item)
        for row in connection.execute(sa.select(findings).where(findings.c.resolved_at.is_(None)))
    }
    assert unresolved == {place for place, said in events.items() if place[0] and said[-1] != "resolved"}


def _telnet(events: dict[tuple[str, str], list[str]]) -> list[str]:
    return next(said for (check, item), said in events.items() if check == "ports.exposed-high-risk" and "23" in item)


def _every_transition_is_told(connection: Connection, mails: Path) -> None:
    undecided = connection.execute(_undecided()).all()
    assert undecided == []
    rows = connection.execute(sa.select(deliveries)).all()
    assert {row.status for row in rows} == {"sent"}
    assert len(rows) == len(list(mails.glob("*.eml")))
    assert len(rows) == len({row.message_id for row in rows})


def _undecided() -> sa.Select[tuple[int]]:
    """Transitions without a decision, besides the last change of what flaps: it waits until that has calmed down."""
    other = transitions.alias()
    same = [other.c[name] == transitions.c[name] for name in ("host_id", "check_id", "item")]
    newer = sa.exists().where(*same, other.c.transition_id > transitions.c.transition_id)
    changes = sa.select(sa.func.count()).select_from(other).where(*same).scalar_subquery()
    return (
        sa.select(transitions.c.transition_id)
        .outerjoin(dispatches, dispatches.c.transition_id == transitions.c.transition_id)
        .where(dispatches.c.transition_id.is_(None), ~sa.and_(~newer, changes > FLAPPING_CHANGES))
    )


def _wait_until_told(database: Database) -> None:
    """Until nothing is left to tell, and still is a little later: the last report may have been under way."""
    end = time.monotonic() + 300
    calm = 0
    while time.monotonic() < end:
        with database.read() as connection:
            open_ = connection.execute(sa.select(sa.func.count()).select_from(_undecided().subquery())).scalar_one()
            pending = connection.execute(
                sa.select(sa.func.count()).select_from(deliveries).where(deliveries.c.status == "pending")
            ).scalar_one()
        calm = calm + 1 if not open_ and not pending else 0
        if calm > 10:
            return
        time.sleep(0.2)
    raise AssertionError(f"{open_} transitions undecided, {pending} deliveries pending")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
