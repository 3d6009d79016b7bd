"""A collector as a whole: what it takes while it runs, and that whatever fails leaves nothing half-done behind."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from secmon import app, rejudging
from secmon.app import Collector
from secmon.config import Config, Console, Ingest, Rules
from secmon.errors import Failure
from secmon.resources import rules_dir
from secmon.store.schema import hosts
from tests.support.office import linux
from tests.support.running import BareAgent, running


def test_it_judges_by_new_rules_once_the_database_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "rules"
    shutil.copytree(rules_dir(), folder)
    monkeypatch.setattr(app, "WATCH_S", 0.05)
    with running(tmp_path / "data", rules=Rules(folder=str(folder))) as collector:
        agent = BareAgent(collector)
        agent.enroll()
        assert agent.send(linux()).status == 200
        before, repair, full = collector.rulebook.current.version, rejudging.repair, [True, True]

        def fails_at_first(*arguments: object) -> int:
            if full:
                full.pop()
                raise sa.exc.OperationalError("UPDATE", {}, Exception("database or disk is full"))
            return repair(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(app, "repair", fails_at_first)
        check = folder / "checks" / "access" / "ssh-root-login.yaml"
        check.write_text(
            check.read_text(encoding="utf-8").replace("severity: medium", "severity: low"), encoding="utf-8"
        )

        end = time.monotonic() + 120
        while (judged := _judged_by(collector)) == before:
            assert time.monotonic() < end, "the silent machine was never judged anew"
            time.sleep(0.05)

    assert judged == collector.rulebook.current.version
    assert not full


def _judged_by(collector: Collector) -> str:
    with collector.database.read() as connection:
        return str(connection.execute(sa.select(hosts.c.judged_ruleset)).scalar_one())


def test_it_leaves_no_thread_and_no_port_when_it_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> int:
        raise Failure("the database is full")

    monkeypatch.setattr(app, "repair", fails)
    before = set(threading.enumerate())
    config = Config(
        data_dir=str(tmp_path), ingest=Ingest(address="127.0.0.1:0"), console=Console(address="127.0.0.1:0")
    )
    collector = Collector(config)
    with pytest.raises(Failure):
        collector.start()

    collector.stop()

    assert set(threading.enumerate()) == before
    Collector(config).stop()  # the data folder is free again


def test_it_says_of_a_full_disk_one_line_and_of_a_fault_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    raised: list[Exception] = [sa.exc.OperationalError("INSERT", {}, Exception("disk is full")), ValueError("odd")]
    monkeypatch.setattr(app, "WAKE_S", 0.05)

    def fails(_: Collector) -> None:
        if raised:
            raise raised.pop(0)

    monkeypatch.setattr(Collector, "deliver", fails)
    with running(tmp_path):
        end = time.monotonic() + 120
        while raised and time.monotonic() < end:
            time.sleep(0.05)

    said = [record for record in caplog.records if record.message.startswith("deliveries could not")]
    assert [bool(record.exc_info) for record in said] == [False, True]
    assert said[0].message.endswith("disk is full")
