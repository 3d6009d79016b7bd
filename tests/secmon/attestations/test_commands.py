"""`secmon attest` as a person types it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from secmon.config import Config
from secmon.store.retention import purge
from secmon.store.schema import attestations, audit
from secmon_agent import facts
from tests.secmon.attestations.conftest import NOW, Terminal
from tests.support.office import linux

WHO = ("--post", "総務課長", "--name", "山田 太郎")
ADD = ("attest", "add", "training", "--answer", "yes", *WHO)


def test_it_enters_an_answer_until_the_end_of_the_fiscal_year(terminal: Terminal) -> None:
    assert terminal(*ADD, "--evidence", "研修簿 R8-12") == 0
    assert terminal.said == "2026-A01 を登録しました：職員研修「できている」（2026-11-28 確認、2027-03-31 まで有効）\n"

    (entry,) = [each for each in terminal.json("attest", "list") if each["question"] == "training"]
    assert (entry["state"], entry["answer"], entry["attested_on"]) == ("held", "yes", "2026-11-28")
    assert (entry["due_on"], entry["post"], entry["name"]) == ("2027-03-31", "総務課長", "山田 太郎")
    assert entry["evidence"] == "研修簿 R8-12"
    assert "全職員が研修を受け" in entry["asked"], "the words as they were put"


def test_it_lists_every_question_and_what_is_due(terminal: Terminal) -> None:
    terminal(*ADD)
    terminal("attest", "add", "account-review", "--answer", "partly", *WHO, "--until", "2026-12-10")

    terminal("attest", "list")
    lines = terminal.said.splitlines()
    assert "training  職員研修  有効  できている  2026-11-28  総務課長 山田 太郎  2027-03-31 まで  2026-A01" in lines
    assert "policy  セキュリティポリシー  未確認" in lines
    due = {each["question"]: each["state"] for each in terminal.json("attest", "list", "--due")}
    assert "training" not in due
    assert (due["account-review"], due["policy"]) == ("due_soon", "missing")

    terminal.now = NOW + timedelta(days=130)
    states = {each["question"]: each["state"] for each in terminal.json("attest", "list")}
    assert (states["training"], states["account-review"]) == ("overdue", "overdue")


def test_a_later_answer_replaces_the_one_before_and_withdrawing_it_brings_that_back(terminal: Terminal) -> None:
    terminal("attest", "add", "training", "--answer", "no", *WHO, "--on", "2026-11-01")
    terminal(*ADD)
    history = terminal.json("attest", "list", "--all")
    assert [(each["number"], each["state"]) for each in history] == [("2026-A01", "replaced"), ("2026-A02", "held")]

    assert terminal("attest", "withdraw", "2026-a02", "--reason", "研修の日を間違えた") == 0
    assert terminal.said == ("2026-A02 を取り消しました。2026-A01（2027-03-31 まで）が直近の確認になります\n")
    history = terminal.json("attest", "list", "--all")
    assert [(each["number"], each["state"]) for each in history] == [("2026-A01", "held"), ("2026-A02", "withdrawn")]
    assert history[1]["withdrawn_reason"] == "研修の日を間違えた"
    assert terminal("attest", "withdraw", "2026-A02", "--reason", "もう一度") == 1
    assert "すでに取り消されています" in terminal.complaint
    assert terminal("attest", "withdraw", "2026-A09", "--reason", "x") == 1
    assert terminal("attest", "withdraw", "2026-A01", "--reason", "これも") == 0
    assert "この質問は未確認に戻りました" in terminal.said


def test_it_shows_a_question_with_what_rests_on_it(terminal: Terminal) -> None:
    terminal(*ADD, "--evidence", "研修簿 R8-12")
    terminal("attest", "show", "training")

    for words in ("この1年のうちに、全職員が研修を受け", "12か月", "soumu-guideline 5.2", "根拠：研修簿 R8-12"):
        assert words in terminal.said
    told = terminal.json("attest", "show", "training")
    assert told["controls"] == ["soumu-guideline 5.2"]
    assert [each["number"] for each in told["attestations"]] == ["2026-A01"]


def test_it_writes_every_change_to_the_audit_log(terminal: Terminal) -> None:
    terminal(*ADD)
    terminal("attest", "withdraw", "2026-A01", "--reason", "誤り")
    with terminal.office.database.read() as connection:
        rows = connection.execute(sa.select(audit).order_by(audit.c.audit_id)).all()

    assert [(row.action, row.subject) for row in rows] == [
        ("attestation.add", "2026-A01"),
        ("attestation.withdraw", "2026-A01"),
    ]
    told = json.loads(rows[0].detail)
    assert (told["question"], told["answer"], told["due_on"]) == ("training", "yes", "2027-03-31")
    assert (told["post"], told["name"]) == ("総務課長", "山田 太郎")
    assert json.loads(rows[1].detail) == {"reason": "誤り"}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--on", "2026-11-29"), "確認した日は"),
        (("--on", "2025-03-31"), "確認した日は"),
        (("--until", "2026-11-27"), "期限は"),
        (("--until", "2028-04-01"), "期限は"),
        (("--until", "来年"), "日付は"),
        (("--name", " "), "--name を書いてください"),
        (("--post", "山田さん"), "職名を書いてください"),
        (("--evidence", "a\x1b[31m"), "control character"),
    ],
)
def test_it_refuses_what_cannot_be(terminal: Terminal, words: tuple[str, ...], complaint: str) -> None:
    assert terminal(*ADD, *words) == 2
    assert complaint in terminal.complaint
    assert terminal.json("attest", "list", "--all") == []


def test_it_takes_the_last_day_that_may_be_and_names_questions_that_are_not_there(terminal: Terminal) -> None:
    assert terminal(*ADD, "--on", "2025-04-01", "--until", "2027-03-31") == 0
    assert terminal.said.startswith("2025-A01 ")
    assert terminal.complaint == ""
    assert terminal(*ADD, "--on", "2025-04-01") == 0
    assert "期限（2026-03-31）はすでに過ぎている" in terminal.complaint
    assert terminal("attest", "add", "weather", "--answer", "yes", *WHO) == 2
    assert "weather という質問はありません" in terminal.complaint


def test_it_forgets_what_is_older_than_the_office_keeps(terminal: Terminal) -> None:
    terminal(*ADD, "--on", "2025-04-01", "--until", "2026-03-31")
    terminal(*ADD)

    def left(years: int) -> int:
        with terminal.office.database.write() as connection:
            purge(connection, Config(), NOW + timedelta(days=365 * years))
            return len(connection.execute(sa.select(attestations)).all())

    assert [left(years) for years in (5, 6, 7)] == [2, 1, 0]


def test_the_framework_tells_of_each_control_what_covers_it(terminal: Terminal) -> None:
    for name, running in (("PC-1", True), ("PC-2", False), ("PC-3", False), ("PC-4", None)):
        host = terminal.office.add_host(name)
        if running is not None:
            clock = facts.TimeSync(client="chrony", running=running, servers=("10.1.0.1",))
            terminal.office.report(host, linux(time_sync=clock), NOW)
    terminal(*ADD)
    terminal("framework", "show", "soumu-guideline")

    head, total, answers, by_hand, also, *controls, honest = terminal.said.splitlines()
    assert head == "soumu-guideline  ガイドライン (1)"
    assert total == "  全4件：点検 1件、人の確認のみ 2件、確かめる手段なし 1件"
    assert answers == "    点検：要対応 1件"
    assert by_hand == "    人の確認のみ：できている 1件・未確認 1件"
    assert also.endswith("人の確認も要るもの 1件（未確認・期限切れがあるもの 1件）")
    unverified = " [番号は公表された本文と未照合]"
    assert controls == [
        f"  5.2 研修 [第9条]{unverified}",
        "    人が確認  職員研修  できている（2026-11-28 総務課長 山田 太郎、2027-03-31 まで）2026-A01",
        "  7.1 時刻",
        "    time.synchronized  時計合わせ  要対応 2・確認不能 1・適合 1",
        "    人が確認  ログの確認  未確認  `secmon attest add log-review …` で登録してください",
        f"  9.1 監査{unverified}",
        "    人が確認  監査  未確認  `secmon attest add audit …` で登録してください",
        f"  9.9 天気{unverified}",
        "    確かめる手段がありません。",
    ]
    assert "証明にはなりません" in honest

    terminal.now = NOW + timedelta(days=130)
    terminal("framework", "show", "soumu-guideline", "--lang", "en")
    assert "  by hand  Training  overdue  yes (2026-11-28, 総務課長 山田 太郎, until 2027-03-31)" in terminal.said
    assert "    by hand alone: 1 overdue, 1 not attested" in terminal.said


def test_it_tells_what_bears_on_a_threat(terminal: Terminal) -> None:
    host = terminal.office.add_host("PC-1")
    clock = facts.TimeSync(client="none", running=False)
    terminal.office.report(host, linux(time_sync=clock), NOW)
    terminal(*ADD)

    terminal("framework", "threats")
    assert terminal.said.splitlines() == [
        "ipa  脅威 [順位と名称は公表資料と未照合]",
        "  1 改ざん  点検 2件：要対応 1件・対象外 1件  人が確認：職員研修 できている  人が確認：バックアップ 未確認",
        "  2 停電  当てはまる点検なし",
        "関係する点検と人の確認を挙げたものです。すべて適合でも、脅威がなくなるわけではありません。",
    ]
    terminal("framework", "threats", "1", "--lang", "en")
    assert "    time.synchronized  The clock is kept right  fail 1\n" in terminal.said
    assert "2 Darkness" not in terminal.said
    (told,) = terminal.json("framework", "threats", "1")
    assert [(each["id"], each["means"]) for each in told["threats"]] == [("1", "checks")]
    assert terminal("framework", "threats", "11") == 2
    assert terminal.complaint == "secmon: there is no threat '11'; there are 1, 2\n"


def test_an_answer_of_no_or_partly_is_told_as_such(terminal: Terminal) -> None:
    terminal("attest", "add", "training", "--answer", "partly", *WHO)
    terminal("attest", "add", "audit", "--answer", "no", *WHO)

    (told,) = terminal.json("framework", "show", "soumu-guideline")
    assert told["totals"]["kept"] == {"not_yes": 2}
    assert [each["means"] for each in told["controls"]] == ["hand", "checks", "hand", "none"]
    (training,) = told["controls"][0]["attested"]
    assert (training["answer"], training["state"], training["due_on"]) == ("partly", "held", "2027-03-31")


def test_the_settings_name_the_articles_of_the_office(terminal: Terminal) -> None:
    terminal.settings('[articles.soumu-guideline]\n"9.1" = "第40条第2項"\n')
    terminal("framework", "show", "soumu-guideline")
    assert "  9.1 監査 [第40条第2項]" in terminal.said
    assert "  5.2 研修 [第9条]" in terminal.said, "what the rules say stays where the settings say nothing"

    terminal.settings('[articles.soumu-guideline]\n"9.8" = "第41条"\n')
    assert terminal("framework", "show") == 2
    assert "[articles.soumu-guideline]:1: there is no control '9.8'" in terminal.complaint


def test_a_question_in_the_offices_own_folder_is_asked_like_any_other(terminal: Terminal) -> None:
    own = terminal.office.config.folder / "rules" / "attestations"
    own.mkdir(parents=True)
    asked = "questions:\n  - {id: keys, title: {ja: 鍵, en: Keys}, question: {ja: 数えましたか。, en: Counted?}}\n"
    (own / "town.yaml").write_text(asked, encoding="utf-8")

    assert terminal("attest", "add", "keys", "--answer", "yes", *WHO) == 0
    assert terminal.json("attest", "list")[-1]["asked"] == "数えましたか。"
