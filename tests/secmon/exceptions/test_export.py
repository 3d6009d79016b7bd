"""What leaves the office of a disputed answer: the facts that decided, and no name."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import sqlalchemy as sa

from secmon.exceptions.export import chosen
from secmon.exceptions.model import Scope
from secmon.store import attestations
from secmon.store.attestations import Wanted
from secmon.store.schema import audit
from secmon_agent import facts
from tests.secmon.exceptions.conftest import Terminal
from tests.secmon.exceptions.registry import TELNET, enter
from tests.support.office import START, linux

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def test_it_keeps_what_lies_on_the_paths_and_nothing_else() -> None:
    stored = {"listening": [{"port": 23, "address": "10.1.2.3"}, {"port": 22}], "truncated": False}
    assert chosen(stored, [["listening"], ["listening[]", "port"]]) == {"listening": [{"port": 23}, {"port": 22}]}
    assert chosen(stored, [["listening"]]) == {"listening": [{}, {}]}
    assert chosen(stored, [["absent", "deeper"]]) == {}
    assert chosen({"ssh": {"permit_root_login": "yes", "port": 22}}, [["ssh"], ["ssh", "permit_root_login"]]) == {
        "ssh": {"permit_root_login": "yes"}
    }


def test_it_exports_the_facts_that_the_check_read(terminal: Terminal, tmp_path: Path) -> None:
    words = ("dispute", "add", "--check", TELNET, "--host", "PC-01", "--reason", "PC-01 の 10.1.2.3 は試験用です")
    assert terminal(*words) == 0
    assert terminal("dispute", "export", "2026-D01", "--out", str(tmp_path / "dispute.json")) == 0
    assert "読んで確かめてください" in terminal.complaint
    text = (tmp_path / "dispute.json").read_text(encoding="utf-8")
    for name in ("PC-01", "10.1.2.3", "総務課", "LGWAN接続系", "inetd"):
        assert name not in text
    exported = json.loads(text)
    assert exported["check"] == TELNET
    (machine,) = exported["machines"]
    assert machine["status"] == "fail"
    assert {item["key"] for item in machine["items"]} == {"tcp/21", "tcp/23"}
    assert {"port": 23, "protocol": "tcp", "reach": "network"} in machine["sections"]["ports"]["facts"]["listening"]
    with terminal.office.database.read() as connection:
        assert connection.execute(sa.select(audit.c.action).order_by(audit.c.audit_id.desc())).first() == (
            "dispute.export",
        )


def test_it_replaces_sites_in_the_facts(terminal: Terminal) -> None:
    office = terminal.office
    host = office.add_host("SV-02", zone="lgwan")
    clock = facts.TimeSync(client="chrony", running=True, servers=("ntp1.town.kita.lg.jp", "10.1.0.9"))
    office.report(host, linux(time_sync=clock), START)
    enter(office, Scope(check="time.synchronized"), NOW, kind="dispute")
    office.report(host, linux(time_sync=facts.TimeSync(client="", running=False, servers=clock.servers)), NOW)
    assert terminal("dispute", "export", "2026-D01") == 0
    assert "town.kita" not in terminal.said
    assert "10.1.0.9" not in terminal.said
    assert "site1.example.jp" in terminal.said


def test_it_names_nobody_who_attested_something(terminal: Terminal) -> None:
    wanted = Wanted(
        question="training", asked="?", answer="yes", attested_on=date(2026, 11, 1), due_on=date(2027, 3, 31),
        post="総務課長", name="山田 太郎",
    )  # fmt: skip
    with terminal.office.database.write() as connection:
        attestations.add(connection, wanted, actor="test", now=NOW)
    terminal("dispute", "add", "--check", TELNET, "--host", "PC-01", "--reason", "試験用と山田課長から聞いています")

    assert terminal("dispute", "export", "2026-D01") == 0
    assert "試験用と" in terminal.said
    assert "山田" not in terminal.said


def test_it_says_that_nothing_is_covered(terminal: Terminal) -> None:
    enter(terminal.office, Scope(check=TELNET, zone="internet"), NOW, kind="dispute")
    assert terminal("dispute", "export", "2026-D01") == 1
    assert "今当たる指摘はありません" in terminal.complaint
