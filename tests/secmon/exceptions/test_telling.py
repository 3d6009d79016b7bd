"""Whom exceptions keep from being alarmed, and what is told when they end."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from secmon.exceptions.model import Scope
from secmon.resources import rules_dir
from secmon.rulebook import Rulebook
from secmon.schedule import JOBS, Schedule
from secmon.store.schema import deliveries
from tests.secmon.alerts.desk import GOOD, Desk, body, listening, parse
from tests.secmon.exceptions.registry import TELNET, enter, pass_midnight, take_back
from tests.support.office import START

MARCH, APRIL = datetime(2027, 3, 1, tzinfo=UTC), datetime(2027, 4, 1, tzinfo=UTC)


def test_it_alarms_nobody_about_what_is_excepted(desk: Desk) -> None:
    (host,) = desk.settled("PC-012")
    enter(desk.office, Scope(check=TELNET, host_id=host, item="tcp/23"), desk.now)
    desk.office.report(host, listening(22, 23), desk.now)
    assert desk.dispatch() == 0
    desk.office.report(host, listening(21, 22, 23), desk.later(hours=1))
    assert desk.dispatch() == 1
    assert "tcp/21" in body(desk.mails()[-1])
    assert "tcp/23" not in body(desk.mails()[-1])


def test_it_tells_of_a_recovery_that_leaves_only_what_is_excepted(desk: Desk) -> None:
    (host,) = desk.settled("PC-012")
    enter(desk.office, Scope(check=TELNET, host_id=host, item="tcp/23"), desk.now)
    desk.office.report(host, listening(21, 22, 23), desk.now)
    desk.dispatch()
    desk.office.report(host, listening(22, 23), desk.later(hours=1))
    assert desk.dispatch() == 1
    assert desk.subjects()[-1].startswith("[復旧]")


def test_it_counts_nothing_excepted_on_a_new_machine(desk: Desk) -> None:
    enter(desk.office, Scope(check=TELNET, zone="lgwan"), desk.now)
    host = desk.office.add_host("PC-012", zone="lgwan")
    desk.office.report(host, listening(22, 23), desk.now)
    desk.dispatch()
    assert "危険な通信ポートの公開" not in body(desk.mails()[-1])


def test_it_tells_when_the_time_is_over_though_it_was_told_before(either_desk: Desk) -> None:
    desk = either_desk
    (host,) = desk.settled("PC-012")
    desk.office.report(host, listening(22, 23), desk.now)
    assert desk.dispatch() == 1
    enter(desk.office, Scope(check=TELNET, host_id=host), desk.later(hours=1))
    assert desk.dispatch() == 0
    desk.now = APRIL
    pass_midnight(desk.office, desk.now)
    assert desk.dispatch() == 1
    assert desk.subjects()[-1] == "[要対応・例外の期限切れ][LGWAN接続系] PC-012 危険な通信ポートの公開"
    text = body(desk.mails()[-1])
    assert "【例外措置等の期限切れ 2026-E01】" in text
    assert "【再発】" not in text
    assert "令和9年4月8日（木）まで" in text


def test_it_is_silent_when_somebody_takes_it_back(desk: Desk) -> None:
    (host,) = desk.settled("PC-012")
    record = enter(desk.office, Scope(check=TELNET, host_id=host), desk.now)
    desk.office.report(host, listening(22, 23), desk.now)
    take_back(desk.office, record, desk.later(hours=1))
    desk.office.report(host, GOOD, desk.later(hours=1))
    assert desk.dispatch() == 0


# ── reminders ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return Rulebook(rules_dir())


def remind(desk: Desk, rulebook: Rulebook, now: datetime) -> None:
    office = desk.office
    Schedule(
        database=office.database,
        config=office.config,
        rules=rulebook,
        clock=lambda: now,
        identity=(office.collector_id, office.generation),
        table=[job for job in JOBS if job.name == "reminders"],
    ).run_due(now)


def reminded(desk: Desk) -> list[tuple[str, str]]:
    """(subject, text) of each reminder to the first recipient, in order."""
    query = sa.select(deliveries.c.message).where(deliveries.c.rule == "exception-reminder")
    with desk.office.database.read() as connection:
        rows = connection.execute(query.order_by(deliveries.c.created_at)).scalars()
        return [(str((mail := parse(row))["Subject"]), body(mail)) for row in rows]


def test_it_reminds_thirty_and_seven_days_before_once_each(either_desk: Desk, rulebook: Rulebook) -> None:
    desk = either_desk
    host = desk.office.add_host("PC-012", zone="lgwan")
    desk.office.report(host, listening(22, 23), START)
    enter(desk.office, Scope(check=TELNET, host_id=host, item="tcp/23"), START)
    for day in range(-10, 31):
        remind(desk, rulebook, MARCH + timedelta(days=day, hours=1))
    first, second = reminded(desk)
    assert first[0] == "[期限のお知らせ] 例外措置 2026-E01 は令和9年3月31日（水）まで"
    for words in ("危険な通信ポートの公開 [tcp/23]", "PC-012", "あと30日", "後継機の納品待ち", "総務課長", "指摘 1件"):
        assert words in first[1]
    assert "あと7日" in second[1]


def test_it_makes_up_for_a_day_on_which_nothing_ran(desk: Desk, rulebook: Rulebook) -> None:
    enter(desk.office, Scope(check=TELNET, zone="lgwan"), START)
    remind(desk, rulebook, MARCH + timedelta(days=26))
    ((_, text),) = reminded(desk)
    assert "あと4日" in text
    assert "LGWAN接続系" in text
    remind(desk, rulebook, MARCH + timedelta(days=27))
    assert len(reminded(desk)) == 1


def test_it_puts_what_ends_together_into_one_mail(desk: Desk, rulebook: Rulebook) -> None:
    enter(desk.office, Scope(check=TELNET, zone="lgwan"), START)
    enter(desk.office, Scope(check=TELNET), START, kind="dispute", last=date(2027, 3, 20))
    remind(desk, rulebook, MARCH + timedelta(hours=1))
    ((subject, text),) = reminded(desk)
    assert subject.endswith("誤検知 2026-D01 は令和9年3月20日（土）まで ほか1件")
    assert text.index("誤検知 2026-D01") < text.index("例外措置 2026-E01")


def test_it_does_not_remind_of_what_goes_on_or_was_taken_back(desk: Desk, rulebook: Rulebook) -> None:
    enter(desk.office, Scope(check=TELNET, zone="lgwan"), START)
    enter(desk.office, Scope(check=TELNET, zone="lgwan"), START, first=date(2027, 4, 1), last=date(2028, 3, 31))
    take_back(desk.office, enter(desk.office, Scope(check=TELNET), START), START + timedelta(days=1))
    enter(desk.office, Scope(check=TELNET, zone="internet"), MARCH + timedelta(days=25))
    for day in range(31):
        remind(desk, rulebook, MARCH + timedelta(days=day, hours=1))
    assert reminded(desk) == []
