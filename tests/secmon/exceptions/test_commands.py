"""`secmon exception` and `secmon dispute` as a person types them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from secmon.store.schema import audit
from tests.secmon.exceptions.conftest import NOW, Terminal
from tests.secmon.exceptions.registry import TELNET, state_of

ADD = ("exception", "add", "--check", TELNET, "--host", "PC-01")
SAID = ("--reason", "後継機の納品待ち", "--measure", "庁内からの通信に限定", "--approver", "総務課長")


def test_it_enters_an_exception_until_the_end_of_the_fiscal_year(terminal: Terminal) -> None:
    assert terminal(*ADD, "--item", "tcp/23", *SAID) == 0
    assert terminal.said == ("2026-E01 を登録しました（2026-11-28 から 2027-03-31 まで）。今当たる指摘は 1 件です\n")
    assert (state_of(terminal.office, "tcp/23"), state_of(terminal.office, "tcp/21")) == ("excepted", "open")
    (entry,) = terminal.json("exception", "list")
    assert entry["reason"] == "後継機の納品待ち"
    assert (entry["machines"], entry["item"], entry["approver"]) == ("PC-01", "tcp/23", "総務課長")
    assert (entry["state"], entry["start"], entry["until"]) == ("in_force", "2026-11-28", "2027-03-31")


def test_it_lists_and_shows_them_in_words(terminal: Terminal) -> None:
    terminal("exception", "add", "--check", TELNET, "--zone", "lgwan", "--department", "総務課", *SAID)
    terminal("exception", "list")
    assert terminal.said == (
        "2026-E01  有効  2027-03-31  LGWAN接続系・総務課  危険な通信ポートの公開  総務課長  後継機の納品待ち\n"
    )
    terminal("exception", "show", "2026-e01")
    for words in ("代替策: 庁内からの通信に限定", "期間: 2026-11-28 – 2027-03-31", "PC-01  tcp/21  2026-11-02"):
        assert words in terminal.said
    assert len(terminal.json("exception", "show", "2026-E01")["covers"]) == 2


def test_it_takes_one_back_and_keeps_it_in_the_list_of_all(terminal: Terminal) -> None:
    terminal(*ADD, *SAID)
    assert terminal("exception", "end", "2026-E01", "--reason", "更新した") == 0
    assert "未対応に戻った指摘は 2 件" in terminal.said
    assert terminal.json("exception", "list") == []
    (entry,) = terminal.json("exception", "list", "--all")
    assert (entry["state"], entry["ended_reason"]) == ("ended", "更新した")
    assert terminal("exception", "end", "2026-E01", "--reason", "もう一度") == 1
    assert terminal.complaint == "secmon: 2026-E01 はすでに終わっています\n"


def test_it_writes_every_change_to_the_audit_log(terminal: Terminal) -> None:
    terminal(*ADD, *SAID)
    terminal("exception", "end", "2026-E01", "--reason", "更新した")
    terminal("dispute", "add", "--check", TELNET, "--host", "PC-01", "--reason", "検知の誤り")
    with terminal.office.database.read() as connection:
        rows = connection.execute(sa.select(audit).order_by(audit.c.audit_id)).all()
    assert [(row.action, row.subject) for row in rows] == [
        ("exception.add", "2026-E01"), ("exception.end", "2026-E01"), ("dispute.add", "2026-D01"),
    ]  # fmt: skip
    assert json.loads(rows[0].detail)["approver"] == "総務課長"
    assert all(row.actor.startswith("cli") for row in rows)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        (("--until", "2026-11-27"), "--until 2026-11-27：終了日は開始日と今日（2026-11-28）より前にできません"),
        (("--until", "2027-02-29"), "--until 2027-02-29：日付は 2027-03-31 のように書いてください"),
        (("--until", "2028-04-01"), "--until 2028-04-01：期限は翌年度末（2028-03-31）までです"),
        (("--start", "2026-03-31"), "--start 2026-03-31：今年度（2026-04-01 以降）の日にしてください"),
        (("--approver", "佐藤様"), "--approver には職名を書いてください"),
        (("--reason", "  "), "--reason を書いてください"),
        (("--zone", "lgwam"), "--zone lgwam：設定にない系統です"),
        (("--check", "ports.exposed-highrisk"), "そのような点検項目はありません（似たもの：ports.exposed-high-risk"),
        (("--host", "PC-99"), "端末 PC-99 は使用中の端末にありません"),
        (("--all-machines",), "対象の端末を --host"),
    ],
)
def test_it_says_what_is_wrong(terminal: Terminal, changed: tuple[str, ...], complaint: str) -> None:
    assert terminal(*ADD, *SAID, *changed) in (1, 2)
    assert complaint in terminal.complaint
    assert terminal.json("exception", "list", "--all") == []


@pytest.mark.parametrize("missing", ["--reason", "--approver", "--check"])
def test_it_needs_check_reason_and_approver(terminal: Terminal, missing: str) -> None:
    words = [*ADD, *SAID]
    place = words.index(missing)
    assert terminal(*words[:place], *words[place + 2 :]) == 2
    assert missing in terminal.complaint


def test_it_speaks_english_on_request(terminal: Terminal) -> None:
    assert terminal(*ADD, *SAID, "--lang", "en") == 0
    assert terminal.said == "2026-E01 is recorded (2026-11-28 to 2027-03-31); it covers 2 findings now\n"


def test_it_warns_of_an_exception_that_covers_nothing(terminal: Terminal) -> None:
    assert terminal(*ADD, "--item", "23/tcp", *SAID) == 0
    assert "今は当たる指摘がありません" in terminal.complaint


def test_it_disputes_for_ninety_days_without_an_approver(terminal: Terminal) -> None:
    words = ("dispute", "add", "--check", TELNET, "--host", "PC-01", "--reason", "検知の誤り")
    assert terminal(*words, "--review", "2027-03-01") == 2
    assert "2027-02-26 まで" in terminal.complaint
    entry = terminal.json(*words)
    assert entry["until"] == (NOW.date() + timedelta(days=90)).isoformat()
    assert {each["item"] for each in entry["covers"]} == {"tcp/21", "tcp/23"}
    assert state_of(terminal.office, "tcp/23") == "disputed"
    assert terminal("exception", "show", "2026-D01") == 1
