"""The agent changes its key: real agents, killed at each step of it, against the real collector over TLS."""

from __future__ import annotations

import hashlib
import signal
import subprocess  # noqa: TID251 — the processes that are killed here are real ones
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from secmon.app import Collector, now_utc
from secmon.ingest.rotation import PAUSE, ask
from secmon.store.schema import agent_keys, contacts, hosts, section_versions, streams
from secmon_agent import identity, keys, wire
from secmon_agent.invitation import Invitation
from tests.support.running import BareAgent, running


class Clock:
    ahead = timedelta()

    def __call__(self) -> datetime:
        return now_utc() + self.ahead


CLOCK = Clock()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    CLOCK.ahead = timedelta()
    with running(tmp_path / "collector", clock=CLOCK) as up:
        yield up


@pytest.fixture
def folder(collector: Collector, tmp_path: Path) -> Path:
    """The state folder of an enrolled agent."""
    host, port = collector.started.ingest
    ca = hashlib.sha256(collector.certificates.ca_der).digest()
    string = Invitation(host=host, port=port, ca_sha256=ca, token=BareAgent(collector).token())
    made = tmp_path / "agent"
    done = secmon_agent(made, "enroll", "-", said=str(string))
    assert done.returncode == 0, done.stderr
    return made


def secmon_agent(folder: Path, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "secmon_agent", "--state-dir", str(folder), *arguments]
    return subprocess.run(command, input=said, capture_output=True, text=True, check=False, timeout=240)


def secmon(collector: Collector, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "secmon.cli", *arguments, "--data-dir", str(collector.config.folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


def host_of(collector: Collector) -> str:
    with collector.database.read() as connection:
        return str(connection.execute(sa.select(hosts.c.name)).scalar_one())


def dying(folder: Path, moment: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.integration.dying_agent", str(folder), str(moment)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


def request(collector: Collector) -> None:
    """An hour after the last change: somebody asks for another one."""
    CLOCK.ahead += PAUSE + timedelta(minutes=1)
    host = host_of(collector)
    with collector.database.write() as connection:
        ask(connection, host, actor="test", now=CLOCK())


def present(folder: Path) -> str:
    key = keys.load(folder)
    assert key is not None
    return wire.key_id(bytes(key.verify_key)).hex()


def known(collector: Collector) -> set[str]:
    """Ids of the keys that are not ended."""
    with collector.database.read() as connection:
        rows = connection.execute(sa.select(agent_keys.c.key_id).where(agent_keys.c.revoked_at.is_(None)))
        return {row.key_id.hex() for row in rows}


def test_the_agent_changes_its_key_when_somebody_asks(collector: Collector, folder: Path) -> None:
    first = present(folder)
    assert secmon_agent(folder, "once").stdout == "1 delivered\n"
    asked = secmon(collector, "agent", "rotate", host_of(collector))
    assert (asked.returncode, f"until then: {first} (since " in asked.stdout) == (0, True)

    assert secmon_agent(folder, "once").stdout == "1 delivered, 1 key changed\n"

    second = present(folder)
    assert known(collector) == {first, second}
    assert secmon_agent(folder, "once").stdout == "1 delivered\n"
    assert known(collector) == {second}
    assert f"key: {second}" in secmon_agent(folder, "status").stdout
    assert secmon(collector, "agent", "rotate", second).returncode == 0
    nobody = secmon(collector, "agent", "rotate", first)
    assert (nobody.returncode, "no agent speaks" in nobody.stderr) == (1, True)


def test_killed_at_any_step_it_ends_with_a_key_that_the_collector_knows(collector: Collector, folder: Path) -> None:
    """Nothing is lost, and nothing is applied twice."""
    assert dying(folder, -1).returncode == 0
    for moment in range(100):
        request(collector)
        died = dying(folder, moment)
        if died.returncode == 0:
            break
        assert died.returncode == -signal.SIGKILL, died.stderr
        after = [dying(folder, -1) for _ in range(2)]
        assert [each.returncode for each in after] == [0, 0], after
        where = identity.load(folder)
        assert where is not None
        assert known(collector) == {present(folder)} == {where.key_id.hex()}
    assert moment == 20
    with collector.database.read() as connection:
        contact = connection.execute(sa.select(contacts)).one()
        assert connection.execute(sa.select(sa.func.count()).select_from(streams)).scalar_one() == 1
        reasons = connection.execute(
            sa.select(section_versions.c.reason).where(section_versions.c.section == "boot")
        ).scalars()
        told = [reason for reason in reasons if reason != "number -1"]
    assert len(told) == len(set(told)) >= moment - 2
    assert not list((folder / "damaged").iterdir()) + list((folder / "rejected").iterdir())
    assert contact.sequence >= 2 * moment


def test_it_is_known_again_by_a_collector_of_an_older_backup(collector: Collector, folder: Path) -> None:
    """What the backup lacks is taken out of the running one's database."""
    assert secmon_agent(folder, "once").returncode == 0
    before = present(folder)
    request(collector)
    for _ in range(2):
        assert secmon_agent(folder, "once").returncode == 0
    with collector.database.write() as connection:
        connection.execute(sa.delete(agent_keys).where(agent_keys.c.succeeds.is_not(None)))
        connection.execute(sa.update(agent_keys).values(revoked_at=None))
        connection.execute(sa.update(contacts).values(sequence=1))
    collector._ingest._app._keys._keys.clear()  # a restart forgets them
    assert known(collector) == {before}

    assert secmon_agent(folder, "once").stdout == "1 delivered\n"

    assert known(collector) == {present(folder)}
