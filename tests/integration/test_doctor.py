"""The agent's self-test against the collector itself, over TLS: in order, stopped, and set up anew."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from secmon.app import Collector
from secmon.config import Ingest
from secmon.ingest.enrollment import new_token, revoke_host
from secmon.store.schema import hosts
from secmon_agent import cli, invitation
from secmon_agent.collect import live_host
from secmon_agent.doctor import main
from secmon_agent.doctor.sections import sections
from tests.support.running import running


def enrolled(collector: Collector, folder: Path) -> None:
    with collector.database.write() as connection:
        token = new_token(
            connection, now=collector.clock(), actor="test", uses=1, valid_for=timedelta(hours=1), zone="lgwan"
        )
    host, port = collector.started.ingest
    text = str(
        invitation.Invitation(
            host=host, port=port, ca_sha256=hashlib.sha256(collector.certificates.ca_der).digest(), token=token
        )
    )
    for arguments in (["enroll", text], ["once"]):
        with pytest.raises(SystemExit) as ended:
            cli.main([*arguments, "--state-dir", str(folder)])
        assert ended.value.code == 0


def marks(folder: Path) -> dict[str, str]:
    return {it.id: it.mark for it in main.examine(None, str(folder), live_host(None))}


def test_it_tells_a_collector_in_order_from_one_that_stopped_or_was_set_up_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "CHECKS", [check for check in main.CHECKS if check is not sections])
    agent = tmp_path / "agent"
    with running(tmp_path / "first") as collector:
        enrolled(collector, agent)
        well = marks(agent)
        host, port = collector.started.ingest
    own = ("enrollment", "key", "registration", "acknowledged")
    on_the_road = ("name", "connection", "certificate", "answer", "clock")
    assert {name: well[name] for name in own + on_the_road} == dict.fromkeys(own + on_the_road, "ok")
    assert marks(agent)["connection"] == "action"
    with running(tmp_path / "second", ingest=Ingest(address=f"{host}:{port}")):
        anew = marks(agent)
    assert (anew["connection"], anew["certificate"], "answer" in anew) == ("ok", "action", False)


def test_it_tells_that_the_key_was_revoked_as_soon_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "CHECKS", [check for check in main.CHECKS if check is not sections])
    agent = tmp_path / "agent"
    with running(tmp_path / "collector") as collector:
        enrolled(collector, agent)
        assert marks(agent)["registration"] == "ok"
        with collector.database.write() as connection:
            name = connection.execute(sa.select(hosts.c.name)).scalar_one()
            revoke_host(connection, name, reason="stolen", actor="test", now=collector.clock())
        said = {it.id: it for it in main.examine(None, str(agent), live_host(None))}["registration"]
    assert (said.mark, "失効しています" in said.said.ja) == ("action", True)
