"""Rules are tried over what is stored; the machines that would answer otherwise are named, and nothing is written."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from secmon import cli
from secmon.evaluate.model import Machine, SectionState
from secmon.evaluate.ruleset import RuleSet, load_rules
from secmon.exceptions.model import Kind, Register, Scope
from secmon.resources import rules_dir
from secmon.store.schema import hosts, metadata
from secmon.whatif import machines as reading
from secmon.whatif.compare import changes, differing
from secmon.whatif.explain import explain, told
from secmon.whatif.machines import Stored, stored_machines
from secmon.whatif.tell import MAX_MACHINES, report
from secmon.whatif.trial import laid_over
from secmon_agent import facts
from tests.secmon.alerts.desk import listening
from tests.secmon.exceptions.registry import TELNET as TELNET_CHECK
from tests.secmon.exceptions.registry import enter
from tests.support.office import Office, linux, shipped_rules

NOW = datetime.now(UTC)
TELNET = facts.Ports(
    listening=(
        facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=22, reach="network", process="sshd"),
        facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=2323, reach="network", process="telnetd"),
    )
)
CHECK = """\
id: ports.%s
area: ports
title: {ja: 独自の検査, en: A check of the office}
when_absent: unknown
items: ports.listening.filter(port, port.reach == "network")
key: item.protocol + "/" + string(item.port)
pass: item.port != limits.forbidden
limits: {forbidden: {default: 2323, lgwan: 22, strictest: max}}
severity: low
why: {ja: 理由, en: A reason}
fix: {ja: [閉じる], en: [close it]}
examples:
  - {facts: {ports: {listening: []}}, expect: pass}
  - {facts: {ports: {listening: [{protocol: tcp, port: 2323, reach: network, address: 0.0.0.0}]}}, expect: %s}
"""


def check_file(folder: Path, name: str = "odd", expect: str = "fail") -> Path:
    file = folder / "my-check.yaml"
    file.write_text(CHECK % (name, expect), encoding="utf-8")
    return file


def stored(name: str, machine: Machine) -> Stored:
    return Stored(host_id=uuid.uuid4(), name=name, machine=machine)


def two_machines(office: Office) -> None:
    office.report(office.add_host("quiet"), linux(), NOW)
    office.report(office.add_host("talkative"), linux(ports=TELNET), NOW)


def run(office: Office, capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([*map(str, words), "--data-dir", office.config.data_dir])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


@pytest.fixture
def office(tmp_path: Path) -> Office:
    folder = tmp_path / "data"
    folder.mkdir()
    return Office(folder)


def everything(office: Office) -> list[Sequence[object]]:
    with office.database.read() as connection:
        return [tuple(row) for table in metadata.sorted_tables for row in connection.execute(sa.select(table))]


def test_it_names_the_machines_that_a_new_check_would_find_and_changes_nothing(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_machines(office)
    before = everything(office)

    status, out, _ = run(office, capsys, "rules", "try", check_file(tmp_path), "--json")

    told_ = json.loads(out)
    assert (status, told_["machines"], told_["checks_compared"]) == (0, 2, 1)
    assert [(each["host"], each["before"], each["after"], each["opened"]) for each in told_["changes"]] == [
        ("quiet", None, "pass", []),
        ("talkative", None, "fail", ["tcp/2323"]),
    ]
    assert everything(office) == before


def test_it_tells_people_check_by_check_in_japanese(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_machines(office)

    _, out, _ = run(office, capsys, "rules", "try", check_file(tmp_path))

    assert "2 台のうち 2 台で答えが変わります（項目 1）" in out
    assert "ports.odd  独自の検査" in out
    assert "  項目なし → 要対応：1 台\n    talkative +tcp/2323" in out


def test_it_compares_two_folders_and_says_when_nothing_would_change(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_machines(office)
    other = tmp_path / "rules"
    shutil.copytree(rules_dir(), other)

    same = run(office, capsys, "rules", "diff", rules_dir(), other, "--lang", "en")
    (other / "checks/ports/odd.yaml").write_text(CHECK % ("odd", "fail"), encoding="utf-8")
    less = run(office, capsys, "rules", "diff", other, rules_dir(), "--json")

    assert "none of 2 machines would answer otherwise" in same[1]
    assert [(each["host"], each["after"], each["closed"]) for each in json.loads(less[1])["changes"]] == [
        ("quiet", None, []),
        ("talkative", None, ["tcp/2323"]),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (CHECK.replace("port: 2323", "port: 80") % ("odd", "fail"), "fail is expected, pass came out"),
        ("id: [", "not YAML"),
        (CHECK.replace("item.port != limits.forbidden", "open('/etc/passwd')") % ("odd", "fail"), "unknown function"),
    ],
)
def test_it_refuses_to_try_a_file_that_must_not_be_used(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(content, encoding="utf-8")

    status, out, err = run(office, capsys, "rules", "try", file)

    assert (status, out) == (2, "")
    assert "bad.yaml:" in err
    assert said in err


def test_it_evaluates_only_what_could_answer_otherwise(tmp_path: Path) -> None:
    tried = laid_over(shipped_rules(), check_file(tmp_path))

    assert differing(shipped_rules(), load_rules(rules_dir())) == frozenset()
    assert differing(shipped_rules(), tried) == {"ports.odd"}
    assert differing(shipped_rules(), without_dates(tried)) == tried.checks.keys()


def without_dates(rules: RuleSet) -> RuleSet:
    return RuleSet(version="x", checks=rules.checks, lifecycle=type(rules.lifecycle)())


def test_it_holds_no_transaction_while_it_judges(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BITE", 1)
    two_machines(office)
    heard: list[tuple[int, int]] = []

    names = []
    for stored in stored_machines(office.database, office.config, lambda *done: heard.append(done)):
        names.append(stored.name)
        with office.database.engine.connect() as alone:  # the log is emptied only where nobody reads it
            alone.exec_driver_sql("PRAGMA busy_timeout = 0")
            assert alone.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").first() == (0, 0, 0)
        with office.database.write() as connection:  # puts the next snapshot into the log
            connection.execute(sa.update(hosts).values(revision=hosts.c.revision + 1))

    assert names == ["quiet", "talkative"]
    assert heard == [(1, 2), (2, 2)]


def test_it_says_how_far_it_is_when_it_takes_long(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    two_machines(office)
    file = check_file(tmp_path)

    quick = run(office, capsys, "rules", "try", file)
    monkeypatch.setattr("secmon.commands.whatif.QUIET_S", 0.0)
    long = run(office, capsys, "rules", "try", file)

    assert "of 2 machines" not in quick[2]
    assert "2 of 2 machines" in long[2]
    assert long[1] == quick[1]


def test_it_shows_some_machines_and_counts_the_rest(tmp_path: Path) -> None:
    old, new = shipped_rules(), laid_over(shipped_rules(), check_file(tmp_path))
    machine = Machine(sections={}, observed_at=NOW)
    found = [
        each
        for number in range(MAX_MACHINES + 3)
        for each in changes(stored(f"pc-{number:02}", machine), old, new, ["ports.odd"], NOW, Register([]))
    ]

    lines = list(report(found, old, new, len(found), "en"))

    assert lines[-1] == "    and 3 more (--json lists all)"
    assert len([line for line in lines if line.startswith("    pc-")]) == MAX_MACHINES


def test_it_explains_an_answer_with_limits_and_the_facts_it_read(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_machines(office)

    _, japanese, _ = run(office, capsys, "rules", "explain", "ports.exposed-high-risk", "--host", "talkative")
    _, english, _ = run(
        office, capsys, "rules", "explain", "ports.exposed-high-risk", "--host", "talkative", "--lang", "en"
    )

    assert "系統: 未登録（最も厳しい基準値を使用）" in japanese
    assert "ports.listening[1].port = 2323" in japanese
    assert "答え: 適合" in japanese
    assert "answer: pass" in english
    assert "passes where: " in english


def test_it_explains_what_could_not_be_read(tmp_path: Path) -> None:
    rules = laid_over(shipped_rules(), check_file(tmp_path))
    listening = [{"protocol": "tcp", "address": "::", "reach": "network"}]
    machine = Machine(
        sections={"ports": SectionState(status="ok", facts={"listening": listening})}, observed_at=NOW, zone="lgwan"
    )

    explanation = explain("ports.odd", stored("pc", machine), NOW, rules, Register([]), UTC)
    lines = list(told(explanation, "ja", UTC))

    assert explanation.limits == {"forbidden": 22}
    assert [fact.value for fact in explanation.facts if fact.path == "ports.listening[0].port"] == [None]
    assert "  ports.listening[0].port = （読み取れていません）" in lines
    assert "答え: 確認不能" in lines


def test_it_explains_a_machine_whose_facts_are_too_old(tmp_path: Path) -> None:
    rules = laid_over(shipped_rules(), check_file(tmp_path))
    machine = Machine(sections={}, observed_at=NOW - timedelta(days=99))

    explanation = explain("ports.odd", stored("pc", machine), NOW, rules, Register([]), UTC)

    assert (explanation.answer.status, explanation.answer.reason) == ("unknown", "stale")
    assert "理由: 最後の報告が古いため、現在の状態が分かりません。" in list(told(explanation, "ja", UTC))


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("no.such", "--host", "quiet"), 2, "there is no check 'no.such'"),
        (("ports.exposed-high-risk", "--host", "nobody"), 1, "there is no host 'nobody'"),
    ],
)
def test_it_says_what_it_does_not_know(
    office: Office, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], status: int, said: str
) -> None:
    ended, _, err = run(office, capsys, "rules", "explain", *words)

    assert ended == status
    assert said in err


def test_it_says_what_would_fail_and_is_excepted(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_machines(office)
    enter(office, Scope(check="ports.odd", item="tcp/2323"), NOW, first=NOW.date(), last=NOW.date() + timedelta(days=9))

    out = run(office, capsys, "rules", "try", check_file(tmp_path))[1]
    told_ = json.loads(run(office, capsys, "rules", "try", check_file(tmp_path), "--json")[1])

    assert "  項目なし → 例外：1 台\n    talkative +tcp/2323 （例外措置・誤検知：" in out
    (change,) = [each for each in told_["changes"] if each["host"] == "talkative"]
    assert (change["after"], change["after_counts_as"], len(change["exceptions"])) == ("fail", "excepted", 1)


@pytest.mark.parametrize(("kind", "counts_as"), [("exception", "例外"), ("dispute", "確認不能")])
def test_it_explains_on_whose_word_a_failing_answer_is_borne_with(
    office: Office, capsys: pytest.CaptureFixture[str], kind: Kind, counts_as: str
) -> None:
    host = office.add_host("server", zone="lgwan")
    office.report(host, listening(22, 23), NOW)
    day = NOW.astimezone(office.config.tz).date()
    scope = Scope(check=TELNET_CHECK, zone="lgwan")
    record = enter(office, scope, NOW, kind=kind, first=day, last=day + timedelta(days=9))

    out = run(office, capsys, "rules", "explain", TELNET_CHECK, "--host", "server")[1]

    assert "答え: 要対応" in out
    assert f"集計での扱い: {counts_as}\n" in out
    word = "例外措置" if kind == "exception" else "誤検知"
    who = "総務課長、" if kind == "exception" else ""
    last = day + timedelta(days=9)
    assert f"  tcp/23 {word} {record.number}（{who}{last} まで） 後継機の納品待ち" in out
