"""`secmon finding` and `secmon baseline` as a person types them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from secmon.commands import baseline, findings
from secmon.exceptions.model import Scope
from secmon.japanese import is_working_day
from secmon.store.followup import SPREAD_DAYS
from secmon.store.schema import audit
from tests.secmon.alerts.desk import Desk, listening
from tests.secmon.exceptions.conftest import NOW, Terminal
from tests.secmon.exceptions.registry import TELNET, enter, state_of
from tests.secmon.metrics.page import page
from tests.support.office import START


@pytest.fixture(autouse=True)
def _the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (baseline, findings):
        monkeypatch.setattr(module, "now_utc", lambda: NOW)


def listed(terminal: Terminal, *words: str) -> Mapping[str, dict[str, Any]]:
    """Findings of the check by item."""
    return {each["item"]: each for each in terminal.json("finding", "list", "--check", TELNET, *words)}


def acts(terminal: Terminal) -> list[tuple[str, str]]:
    with terminal.office.database.read() as connection:
        query = sa.select(audit.c.action, audit.c.subject).order_by(audit.c.audit_id)
        return [(action, subject) for action, subject in connection.execute(query)]


def test_it_lists_what_is_open_in_words(terminal: Terminal) -> None:
    enter(terminal.office, Scope(check=TELNET, item="tcp/21"), START)
    assert terminal("finding", "list", "--check", TELNET) == 0
    first, second = terminal.said.splitlines()
    assert "  高  例外 2026-E01  2026-11-09  PC-01  危険な通信ポートの公開 [tcp/21]  -" in first
    assert "  高  未対応  2026-11-09  PC-01  危険な通信ポートの公開 [tcp/23]  -" in second
    assert set(listed(terminal, "--overdue")) == {"tcp/23"}
    assert set(listed(terminal, "--state", "excepted")) == {"tcp/21"}
    assert set(listed(terminal, "--zone", "lgwan", "--department", "総務課")) == {"tcp/21", "tcp/23"}
    assert not listed(terminal, "--zone", "internet")


def test_it_acknowledges_by_the_beginning_of_the_id(terminal: Terminal) -> None:
    finding = listed(terminal)["tcp/23"]
    assert terminal("finding", "acknowledge", finding["id"][:8]) == 0
    assert terminal.said == "1 件を確認済みにしました\n"
    after = listed(terminal)["tcp/23"]
    assert after["state"] == "acknowledged"
    assert after["acknowledged_by"].startswith("cli")
    assert state_of(terminal.office, "tcp/21") == "open"
    assert page(terminal.office, NOW).sum("findings", state="acknowledged", severity="high") == 1
    assert terminal("finding", "acknowledge", finding["id"][:8]) == 0
    assert terminal.said == "0 件を確認済みにしました\n"
    assert acts(terminal)[0] == ("finding.acknowledge", "PC-01")


def test_it_assigns_posts_and_not_persons(terminal: Terminal) -> None:
    assert terminal("finding", "assign", "--host", "PC-01", "--check", TELNET, "--owner", "町民課 情報担当") == 0
    assert {each["owner"] for each in listed(terminal).values()} == {"町民課 情報担当"}
    assert terminal("finding", "assign", "--host", "PC-01", "--owner", "yamada@town.example.lg.jp") == 2
    assert "職名" in terminal.complaint
    assert terminal("finding", "assign", "--host", "PC-01", "--owner", "") == 0
    assert {each["owner"] for each in listed(terminal).values()} == {None}


def test_it_sets_a_due_date_to_the_end_of_the_day(terminal: Terminal) -> None:
    assert terminal("finding", "due", "--host", "PC-01", "--check", TELNET, "--date", "2027-01-29") == 0
    assert "令和9年1月29日（金）" in terminal.said
    assert {each["due"] for each in listed(terminal).values()} == {"2027-01-29"}
    assert not listed(terminal, "--overdue")
    assert terminal("finding", "due", "--host", "PC-01", "--date", "2026-11-27") == 2


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "対象の指摘を"),
        (("ffffffff",), "ffffffff という未解消の指摘はありません"),
        (("xyz1",), "16 進数"),
        (("--zone", "internet"), "該当する指摘はありません"),
    ],
)
def test_it_never_changes_everything_or_nothing_by_mistake(
    terminal: Terminal, words: tuple[str, ...], complaint: str
) -> None:
    assert terminal("finding", "acknowledge", *words) in (1, 2)
    assert complaint in terminal.complaint
    assert acts(terminal) == []


# ── the beginning ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_says_what_accepting_would_do_and_does_nothing(terminal: Terminal) -> None:
    before = listed(terminal)
    plan = terminal.json("baseline", "accept", "--dry-run")
    assert plan["dry_run"] is True
    (high,) = [line for line in plan["severities"] if line["severity"] == "high"]
    assert (high["findings"], high["machines"]) == (2, 1)
    assert listed(terminal) == before
    assert acts(terminal) == []
    terminal("baseline", "accept", "--dry-run")
    assert "重要度 高：2 件（1 台）" in terminal.said
    assert "何も変えていません" in terminal.complaint


def test_it_leaves_findings_open_and_spreads_their_due_dates(terminal: Terminal) -> None:
    for number in range(2, 12):
        host = terminal.office.add_host(f"PC-{number:02}", zone="lgwan")
        terminal.office.report(host, listening(22, 23), START)
    assert terminal("baseline", "accept") == 0
    entries = terminal.json("finding", "list")
    assert {each["state"] for each in entries} == {"open"}
    assert all(each["baseline_at"] for each in entries)
    today = NOW.date()
    days = [date.fromisoformat(each["due"]) for each in entries if each["severity"] == "high"]
    assert all(is_working_day(day) for day in days)
    assert today < min(days)
    assert max(days) <= today + timedelta(days=SPREAD_DAYS["high"] + 7)
    assert len(set(days)) >= 8
    assert not [each for each in entries if datetime.fromisoformat(each["baseline_at"]) != NOW]


def test_it_accepts_once(terminal: Terminal) -> None:
    terminal("baseline", "accept")
    before = terminal.json("finding", "list")
    assert terminal("baseline", "accept") == 0
    assert "新しく既知とするものはありません" in terminal.complaint
    assert terminal.json("finding", "list") == before
    assert acts(terminal) == [("baseline.accept", "")]


def test_it_accepts_one_zone_or_one_machine(terminal: Terminal) -> None:
    other = terminal.office.add_host("IN-01", zone="internet")
    terminal.office.report(other, listening(22, 23), START)
    terminal("baseline", "accept", "--zone", "internet")
    known = {each["host"] for each in terminal.json("finding", "list") if each["baseline_at"]}
    assert known == {"IN-01"}
    terminal("baseline", "accept", "--host", "PC-01")
    assert all(each["baseline_at"] for each in terminal.json("finding", "list"))
    assert acts(terminal) == [("baseline.accept", "internet"), ("baseline.accept", "PC-01")]


def test_it_leaves_what_is_excepted_alone(terminal: Terminal) -> None:
    enter(terminal.office, Scope(check=TELNET, item="tcp/21"), START)
    terminal("baseline", "accept")
    assert listed(terminal)["tcp/21"]["baseline_at"] is None
    assert listed(terminal)["tcp/21"]["due"] == "2026-11-09"


def test_it_notifies_only_what_is_new_afterwards(terminal: Terminal) -> None:
    office = terminal.office
    desk = Desk(office)
    (host,) = desk.settled("PC-02")
    before = len(desk.mails())
    office.report(host, listening(22, 23), desk.later(hours=1))
    assert json.loads(json.dumps(terminal.json("baseline", "accept")))["unsent"] > 0
    assert desk.dispatch() == 0
    office.report(host, listening(21, 22, 23), desk.later(hours=1))
    assert desk.dispatch() == 1
    assert len(desk.mails()) == before + 1
