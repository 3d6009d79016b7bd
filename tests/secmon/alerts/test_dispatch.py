"""From reports of machines to mails."""

from __future__ import annotations

import threading
import uuid

import msgspec
import pytest
import sqlalchemy as sa

import secmon.alerts.dispatch as dispatcher
from secmon import judging
from secmon.alerts.dispatch import dispatch
from secmon.alerts.model import FLAPPING_CHANGES
from secmon.evaluate.model import Severity
from secmon.rejudging import repair
from secmon.store.schema import deliveries, dispatches, transitions
from secmon_agent import wire
from tests.secmon.alerts.desk import BAD, GOOD, Desk, body, listening


def test_it_tells_of_a_serious_problem_and_of_its_end(either_desk: Desk) -> None:
    (host,) = either_desk.settled("PC-012")
    either_desk.office.report(host, BAD, either_desk.now)
    assert either_desk.dispatch() == 1
    either_desk.office.report(host, GOOD, either_desk.later(hours=1))
    assert either_desk.dispatch() == 1
    assert either_desk.subjects()[1:] == [
        "[要対応][LGWAN接続系] PC-012 危険な通信ポートの公開",
        "[復旧][LGWAN接続系] PC-012 危険な通信ポートの公開",
    ]
    assert "令和8年11月2日（月） 11時00分" in body(either_desk.mails()[1])
    assert "令和8年11月9日（月）まで" in body(either_desk.mails()[1])


def test_it_decides_upon_each_transition_once(desk: Desk) -> None:
    (host,) = desk.settled("PC-012")
    desk.office.report(host, BAD, desk.now)
    assert desk.dispatch() == 1
    assert desk.dispatch() == 0
    assert len(desk.mails()) == 2
    assert all("waiting" not in outcomes for outcomes in desk.outcomes().values())


def test_it_groups_machines_that_have_the_same_problem(desk: Desk) -> None:
    for host in desk.settled(*(f"PC-{number:03}" for number in range(12))):
        desk.office.report(host, BAD, desk.now)
    assert desk.dispatch() == 1
    assert desk.subjects()[1] == "[要対応][LGWAN接続系] 12台 危険な通信ポートの公開"
    assert all(f"PC-{number:03}" in body(desk.mails()[1]) for number in range(12))


def test_it_groups_the_problems_of_one_machine(desk: Desk) -> None:
    (host,) = desk.settled("PC-012")
    _transition(desk, host, "opened", "ports.exposed-high-risk")
    _transition(desk, host, "opened", "accounts.extra-root")
    assert desk.dispatch() == 1
    assert desk.subjects()[1].endswith("ほか1件")


def test_it_tells_of_many_items_of_a_check_in_one_mail(desk: Desk) -> None:
    (host,) = desk.settled("PC-012")
    desk.office.report(host, listening(21, 23, 512, 513, 514, 873, 5900), desk.now)
    assert desk.dispatch() == 1
    assert "ほか2件" in body(desk.mails()[1])


def test_it_sends_one_mail_for_a_hundred_and_fifty_new_machines(either_desk: Desk) -> None:
    either_desk.join(150)
    assert either_desk.dispatch() == 1
    (mail,) = either_desk.mails()
    assert mail["Subject"] == "[新規端末][LGWAN接続系] 150台の最初の確認結果"
    assert "重要度 高：150件" in body(mail)
    assert "ほか120台" in body(mail)
    assert set(either_desk.outcomes()["opened"]) == {"none"}


def test_it_sends_few_mails_when_machines_join_one_by_one(desk: Desk) -> None:
    for _ in range(60):
        desk.join(1)
        desk.later(seconds=30)
        desk.dispatch()
    assert len(desk.mails()) == 2
    assert desk.outcomes()["first_state"].count("waiting") == 58
    desk.later(hours=1)
    desk.dispatch()
    assert desk.subjects()[-1] == "[新規端末][LGWAN接続系] 58台の最初の確認結果"


def test_it_sends_few_mails_when_machines_fail_one_by_one(desk: Desk) -> None:
    for host in desk.settled(*(f"PC-{number:03}" for number in range(20))):
        desk.office.report(host, BAD, desk.later(seconds=30))
        desk.dispatch()
    assert len(desk.mails()) == 1 + 6
    desk.later(hours=1)
    desk.dispatch()
    assert desk.subjects()[-1] == "[要対応][LGWAN接続系] 14台 危険な通信ポートの公開"


def test_it_does_not_call_a_problem_gone_that_was_only_in_the_first_state(desk: Desk) -> None:
    host = desk.office.add_host("PC-012", zone="lgwan")
    desk.office.report(host, BAD, desk.now)
    desk.dispatch()
    desk.office.report(host, GOOD, desk.later(hours=1))
    assert desk.dispatch() == 0
    assert desk.outcomes()["resolved"] == ["none"]


def test_it_sends_no_recovery_because_something_became_unreadable(desk: Desk) -> None:
    (host,) = desk.settled("PC-012")
    desk.office.report(host, BAD, desk.now)
    desk.dispatch()
    unreadable = wire.other_section("failed", "no /proc/net/tcp", desk.later(hours=1))
    desk.office.report(host, {"ports": unreadable}, desk.now)
    assert desk.dispatch() == 0
    desk.office.report(host, GOOD, desk.later(hours=1))
    assert desk.dispatch() == 1
    assert desk.subjects()[-1].startswith("[復旧]")


def test_it_waits_with_the_recovery_until_every_told_item_is_gone(either_desk: Desk) -> None:
    (host,) = either_desk.settled("PC-012")
    either_desk.office.report(host, listening(21, 23), either_desk.now)
    either_desk.dispatch()
    either_desk.office.report(host, listening(23), either_desk.later(hours=1))
    assert either_desk.dispatch() == 0
    either_desk.office.report(host, GOOD, either_desk.later(hours=1))
    assert either_desk.dispatch() == 1
    assert either_desk.subjects()[-1].startswith("[復旧]")


def test_it_marks_what_comes_back_within_a_day(desk: Desk) -> None:
    (host,) = desk.settled("PC-012")
    for sections in (BAD, GOOD, BAD):
        desk.office.report(host, sections, desk.later(hours=1))
        desk.dispatch()
    assert desk.subjects()[-1] == "[要対応・再発][LGWAN接続系] PC-012 危険な通信ポートの公開"
    assert "【再発】" in body(desk.mails()[-1])


def test_it_tells_nothing_of_what_came_and_went_between_two_looks(desk: Desk) -> None:
    (host,) = desk.settled("PC-012")
    desk.office.report(host, BAD, desk.later(minutes=1))
    desk.office.report(host, GOOD, desk.later(minutes=1))
    assert desk.dispatch() == 0
    assert desk.outcomes()["opened"] == desk.outcomes()["resolved"] == ["none"]


def test_it_tells_once_that_something_comes_and_goes_again_and_again(either_desk: Desk) -> None:
    (host,) = either_desk.settled("PC-012")
    for turn in range(FLAPPING_CHANGES + 6):
        either_desk.office.report(host, BAD if turn % 2 == 0 else GOOD, either_desk.later(minutes=30))
        either_desk.dispatch()
    told = either_desk.subjects()[1:]
    assert len(told) == FLAPPING_CHANGES + 1
    assert told[-1] == "[要確認・頻発][LGWAN接続系] PC-012 危険な通信ポートの公開"
    assert sum(outcomes.count("suppressed") for outcomes in either_desk.outcomes().values()) == 4
    assert sum(outcomes.count("waiting") for outcomes in either_desk.outcomes().values()) == 1


def test_it_tells_how_it_stands_when_the_flapping_has_calmed_down(desk: Desk) -> None:
    (host,) = desk.settled("PC-012")
    for turn in range(FLAPPING_CHANGES + 2):
        desk.office.report(host, BAD if turn % 2 == 0 else GOOD, desk.later(minutes=30))
        desk.dispatch()
    assert "要確認・頻発" in desk.subjects()[-1]
    desk.later(hours=25)
    assert desk.dispatch() == 1
    assert desk.subjects()[-1].startswith("[復旧]")
    assert "waiting" not in [outcome for outcomes in desk.outcomes().values() for outcome in outcomes]


def test_it_does_not_lose_another_item_of_what_flaps(desk: Desk) -> None:
    (host,) = desk.settled("PC-012")
    for turn in range(FLAPPING_CHANGES + 2):
        desk.office.report(host, BAD if turn % 2 == 0 else GOOD, desk.later(minutes=30))
        desk.dispatch()
    desk.office.report(host, listening(21), desk.later(minutes=30))
    assert desk.dispatch() == 0
    desk.later(hours=25)
    assert desk.dispatch() == 1
    assert desk.subjects()[-1].startswith("[要対応]")
    assert "tcp/21" in body(desk.mails()[-1])


def test_it_calls_nothing_gone_while_an_item_of_the_first_state_still_fails(desk: Desk) -> None:
    host = desk.office.add_host("PC-012", zone="lgwan")
    desk.office.report(host, BAD, desk.now)
    desk.dispatch()
    desk.office.report(host, listening(21, 23), desk.later(hours=2))
    assert desk.dispatch() == 1
    desk.office.report(host, BAD, desk.later(hours=2))
    assert desk.dispatch() == 0
    desk.office.report(host, GOOD, desk.later(hours=2))
    assert desk.dispatch() == 1
    assert desk.subjects()[-1].startswith("[復旧]")


def test_it_tells_again_after_the_flapping_has_calmed_down(desk: Desk) -> None:
    (host,) = desk.settled("PC-012")
    for turn in range(FLAPPING_CHANGES + 2):
        desk.office.report(host, BAD if turn % 2 == 0 else GOOD, desk.later(minutes=30))
        desk.dispatch()
    desk.office.report(host, BAD, desk.later(hours=48))
    assert desk.dispatch() == 1
    assert desk.subjects()[-1].startswith("[要対応][LGWAN接続系]")


def test_it_tells_of_changed_rules_once_and_with_their_effect(desk: Desk) -> None:
    office = desk.office
    hosts = desk.settled("PC-001", "PC-002")
    for host in hosts:
        _transition(desk, host, "opened", "accounts.extra-root", cause="rules")
    judging.note_ruleset(office.database, msgspec.structs.replace(office.rules, version="before"), desk.now)
    judging.note_ruleset(office.database, office.rules, desk.later(minutes=1))
    assert desk.dispatch() == 1
    assert desk.subjects()[-1] == "[お知らせ] 判定基準が変わりました（1項目に影響）"
    assert "新しい指摘 2件、解消 0件" in body(desk.mails()[-1])


def test_it_tells_of_changed_rules_when_all_machines_are_judged_by_them(desk: Desk) -> None:
    office = desk.office
    desk.settled("PC-001")
    old, office.rules = office.rules, msgspec.structs.replace(office.rules, version="newer")
    judging.note_ruleset(office.database, old, desk.now)
    judging.note_ruleset(office.database, office.rules, desk.later(minutes=1))
    assert desk.dispatch() == 0
    assert desk.outcomes()["ruleset"] == ["waiting"]
    repair(office.database, office.rules, office.config, desk.later(minutes=1))
    assert desk.dispatch() == 1


def test_it_tells_of_changed_rules_after_an_hour_all_the_same(desk: Desk) -> None:
    office = desk.office
    desk.settled("PC-001")
    office.rules = msgspec.structs.replace(office.rules, version="newer")
    judging.note_ruleset(office.database, msgspec.structs.replace(office.rules, version="before"), desk.now)
    judging.note_ruleset(office.database, office.rules, desk.now)
    assert desk.dispatch() == 0
    desk.later(hours=1)
    assert desk.dispatch() == 1


def test_it_tells_what_happens_while_something_else_has_to_wait(desk: Desk) -> None:
    (host,) = desk.settled("PC-012")
    for _ in range(3):
        desk.join(1)
        desk.dispatch()
    assert "waiting" in desk.outcomes()["first_state"]
    desk.office.report(host, BAD, desk.later(seconds=1))
    assert desk.dispatch() == 1
    assert desk.subjects()[-1].startswith("[要対応]")


@pytest.mark.parametrize(("cause", "severity"), [("attributes", "high"), ("machine", "medium"), ("time", "low")])
def test_it_keeps_quiet_about_the_rest(desk: Desk, cause: str, severity: Severity) -> None:
    (host,) = desk.settled("PC-012")
    _transition(desk, host, "opened", "accounts.extra-root", cause=cause, severity=severity)
    assert desk.dispatch() == 0
    assert desk.outcomes()["opened"] == ["none"]


def test_it_tells_of_what_time_alone_has_done(desk: Desk) -> None:
    (host,) = desk.settled("PC-012")
    _transition(desk, host, "opened", "patch.security-updates-overdue", cause="time")
    assert desk.dispatch() == 1


def test_it_tells_every_recipient_with_a_mail_of_their_own(desk: Desk) -> None:
    mail = msgspec.structs.replace(desk.office.config.mail, recipients=("it@town.example", "cio@town.example"))
    desk.office.config = msgspec.structs.replace(desk.office.config, mail=mail)
    desk.settled("PC-012")
    assert [row.recipient for row in desk.rows()] == ["cio@town.example", "it@town.example"]
    assert len({row.message_id for row in desk.rows()}) == 2


def test_it_still_tells_of_a_check_that_the_rules_no_longer_have(desk: Desk) -> None:
    (host,) = desk.settled("PC-012")
    _transition(desk, host, "opened", "gone.check")
    assert desk.dispatch() == 1
    assert "gone.check" in desk.subjects()[-1]


def test_it_lets_nobody_write_headers_or_lines_by_a_host_name(desk: Desk) -> None:
    (host,) = desk.settled("PC-1\r\nBcc: thief@example.com\u202e")
    _transition(desk, host, "opened", "accounts.extra-root", item="x\nSubject: y", evidence="a\r\n.\r\nQUIT\x1b[2J")
    desk.dispatch()
    for mail in desk.mails():
        assert mail["Bcc"] is None
        assert mail.get_all("Subject") == [mail["Subject"]]
        assert "PC-1 Bcc: thief@example.com" in mail["Subject"]
        assert not any(line.startswith((".", "Bcc", "Subject")) for line in body(mail).splitlines())
        assert not {"\u202e", "\x1b"} & set(body(mail))


def test_it_writes_deliveries_and_decisions_together_or_not_at_all(
    either_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host,) = either_desk.settled("PC-012")
    either_desk.office.report(host, BAD, either_desk.now)
    record = dispatcher._row
    monkeypatch.setattr(dispatcher, "_row", lambda *_: 1 / 0)  # a crash after the delivery was inserted
    with pytest.raises(ZeroDivisionError):
        either_desk.dispatch()
    assert len(either_desk.mails()) == 1
    assert either_desk.outcomes()["opened"] == ["waiting"]
    monkeypatch.setattr(dispatcher, "_row", record)
    assert either_desk.dispatch() == 1


def test_it_is_safe_beside_other_dispatchers(either_desk: Desk) -> None:
    for host in either_desk.settled("PC-001", "PC-002", "PC-003"):
        either_desk.office.report(host, BAD, either_desk.now)
    start = threading.Barrier(4)
    written: list[int] = []

    def work() -> None:
        start.wait()
        office = either_desk.office
        written.append(
            dispatch(
                office.database,
                office.config,
                office.rules,
                either_desk.frameworks,
                either_desk.alert_rules,
                either_desk.now,
            )
        )

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(written) == [0, 0, 0, 1]


def test_it_links_every_told_transition_to_its_delivery(desk: Desk) -> None:
    for host in desk.settled("PC-001", "PC-002"):
        desk.office.report(host, BAD, desk.now)
    desk.dispatch()
    with desk.office.database.read() as connection:
        lost = connection.execute(
            sa.select(sa.func.count())
            .select_from(dispatches)
            .outerjoin(deliveries, deliveries.c.delivery_id == dispatches.c.delivery_id)
            .where(dispatches.c.outcome == "delivery", deliveries.c.delivery_id.is_(None))
        ).scalar()
    assert lost == 0
    assert desk.outcomes()["opened"] == ["delivery", "delivery"]


def _transition(
    desk: Desk,
    host: uuid.UUID,
    event: str,
    check: str,
    *,
    cause: str = "machine",
    severity: Severity = "high",
    item: str = "",
    evidence: str = "",
) -> None:
    with desk.office.database.write() as connection:
        connection.execute(
            sa.insert(transitions).values(
                host_id=host,
                event=event,
                cause=cause,
                check_id=check,
                item=item,
                finding_id=uuid.uuid4(),
                severity=severity,
                zone="lgwan",
                evidence=evidence,
                observed_at=desk.now,
                recorded_at=desk.now,
            )
        )
