"""Copies of an agent's state folder, each with the real agent, against the real collector over TLS."""

from __future__ import annotations

import hashlib
import shutil
import subprocess  # noqa: TID251 — the agents are processes, as on two machines
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from secmon.app import Collector
from secmon.ingest import enrollment
from secmon.store.schema import audit, findings, hosts
from secmon_agent.invitation import Invitation
from tests.support.running import BareAgent, running


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with running(tmp_path / "collector") as up:
        yield up


@pytest.fixture
def original(collector: Collector, tmp_path: Path) -> Path:
    """The state folder of a machine that has reported."""
    folder = tmp_path / "original"
    done = agent(folder, "enroll", "-", said=string(collector))
    assert done.returncode == 0, done.stderr
    assert agent(folder, "once").returncode == 0
    return folder


def string(collector: Collector) -> str:
    host, port = collector.started.ingest
    found = collector.certificates.ca_der
    token = BareAgent(collector).token(uses=5)
    return str(Invitation(host=host, port=port, ca_sha256=hashlib.sha256(found).digest(), token=token))


def agent(folder: Path, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "secmon_agent", "--state-dir", str(folder), *arguments]
    return subprocess.run(command, input=said, capture_output=True, text=True, check=False, timeout=120)


def findings_of_clones(collector: Collector) -> int:
    with collector.database.read() as connection:
        rows = connection.execute(sa.select(findings).where(findings.c.check_id == "zone.clone")).all()
        entries = connection.execute(sa.select(audit).where(audit.c.action == "agent.clone")).all()
    assert len(rows) == len(entries)
    return len(rows)


def test_one_of_two_copies_is_set_aside_and_the_other_goes_on(
    collector: Collector, original: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(original, copy)

    ended = [(agent(original, "once"), agent(copy, "once")) for _ in range(4)]

    assert [first.returncode for first, _ in ended] == [0, 0, 0, 0]
    assert "copy of another one" in ended[-1][1].stderr
    assert {path.name for path in copy.iterdir()} == {"agent.key.clone", "clone.json", "lock", "memory"}
    assert (original / "agent.key").exists()
    assert findings_of_clones(collector) == 1
    doctor = agent(copy, "doctor")
    assert "複製です" in doctor.stdout
    assert "新しい登録文字列" in doctor.stdout

    assert agent(copy, "enroll", "-", said=string(collector)).returncode == 0
    with collector.database.write() as connection:
        (asked,) = enrollment.pending(connection)
        enrollment.approve(connection, str(asked.enrollment_id), as_new=True, actor="test", now=collector.clock())
    assert [agent(folder, "once").returncode for folder in (copy, original, copy, original)] == [0, 0, 0, 0]
    with collector.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(hosts)).scalar_one() == 2
    assert findings_of_clones(collector) == 1


def test_copies_of_a_generalized_machine_become_machines_of_their_own(
    collector: Collector, original: Path, tmp_path: Path
) -> None:
    laid = tmp_path / "string"
    laid.write_text(string(collector))
    assert agent(original, "generalize", "--string-file", str(laid)).returncode == 0
    copies = [tmp_path / name for name in ("one", "two")]
    for copy in copies:
        shutil.copytree(original, copy)

    for copy in copies:  # both run on this one machine, so that they collide with it, and with each other
        assert "waits for approval" in agent(copy, "once").stderr
    with collector.database.write() as connection:
        asked = enrollment.pending(connection)
        for row in asked:
            enrollment.approve(connection, str(row.enrollment_id), as_new=True, actor="test", now=collector.clock())

    assert [agent(copy, "once").returncode for copy in copies * 3] == [0] * 6
    with collector.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(hosts)).scalar_one() == 3
    assert findings_of_clones(collector) == 0


def test_a_machine_that_is_given_back_an_older_state_is_not_accused(
    collector: Collector, original: Path, tmp_path: Path
) -> None:
    snapshot = tmp_path / "snapshot"
    shutil.copytree(original, snapshot)
    for _ in range(2):
        assert agent(original, "once").returncode == 0
        shutil.rmtree(original)
        shutil.copytree(snapshot, original)
        assert [agent(original, "once").returncode for _ in range(2)] == [0, 0]

    assert findings_of_clones(collector) == 0
