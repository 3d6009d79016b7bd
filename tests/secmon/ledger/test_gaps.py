"""Machines of the ledger that never report, and machines that are not in it, are findings like others."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from secmon.alerts.dispatch import dispatch
from secmon.alerts.rules import load_alert_rules
from secmon.alerts.silence import silence, waiting
from secmon.config import Ledger
from secmon.evaluate.frameworks import load_frameworks
from secmon.exceptions.model import Scope
from secmon.judging import judge_by_ledger
from secmon.ledger.gaps import NEVER_REPORTED
from secmon.ledger.rows import LedgerRow
from secmon.reports.month import Month, parse_month
from secmon.reports.monthly import monthly
from secmon.resources import rules_dir
from secmon.rulebook import Rulebook
from secmon.store import followup
from secmon.store.differences import read_differences
from secmon.store.followup import Choice
from secmon.store.gaps import settle_gaps
from secmon.store.hosts import link_asset
from secmon.store.ledger import IN_LEDGER, list_row, take_off, vanished
from secmon.store.life import Act, retire, store
from secmon.store.schema import asset_findings, deliveries, findings, transitions
from tests.secmon.alerts.desk import body, parse
from tests.secmon.exceptions.registry import enter, pass_midnight, take_back
from tests.secmon.metrics.page import page
from tests.support.office import START, Office, linux

DAY = timedelta(days=1)
LATE = START + 15 * DAY
"""A Tuesday, 09:00 in Japan."""
ACT = Act(actor="test", now=LATE)


class Town:
    """An office with a ledger, at any moment of a test."""

    def __init__(self, office: Office) -> None:
        self.office = office

    def lists(self, *numbers: str, at: datetime = START, later: datetime | None = None) -> None:
        with self.office.database.write() as connection:
            for number in numbers:
                said = {"zone": "lgwan", "department": "総務課", "location": "本庁1階"}
                list_row(connection, LedgerRow(number=2, asset_number=number, name=f"PC-{number}", attributes=said),
                         at, later)  # fmt: skip

    def settle(self, now: datetime = LATE, cause: Any = "time") -> tuple[int, int]:
        with self.office.database.write() as connection:
            return settle_gaps(connection, now, self.office.config.ledger.grace_days, cause)

    def open(self) -> dict[str, str]:
        """State by asset number."""
        with self.office.database.read() as connection:
            return {row.item: row.state for row in followup.read(connection, Choice(check=NEVER_REPORTED.id))}

    def happened(self, number: str) -> list[tuple[str, str]]:
        with self.office.database.read() as connection:
            query = sa.select(transitions.c.event, transitions.c.cause).where(transitions.c.item == number)
            return [(row.event, row.cause) for row in connection.execute(query.order_by(transitions.c.transition_id))]

    def mail(self, now: datetime) -> list[str]:
        """Bodies of the mails that are made at this moment."""
        rules = self.office.rules
        alerts, frameworks = load_alert_rules(rules_dir()), load_frameworks(rules_dir(), rules)
        dispatch(self.office.database, self.office.config, rules, frameworks, alerts, now)
        with self.office.database.read() as connection:
            made = connection.execute(
                sa.select(deliveries.c.message).where(
                    deliveries.c.created_at == now, deliveries.c.rule.in_(("ledger", "high"))
                )
            ).scalars()
            return [f"{parse(message)['Subject']}\n{body(parse(message))}" for message in made]


@pytest.fixture
def town(office: Office) -> Town:
    return Town(office)


# ── rows whose machine never reports ──────────────────────────────────────────────────────────────────────────────────


def test_it_waits_for_a_new_row_and_then_opens_one_finding(town: Town) -> None:
    town.lists("A-1")

    assert town.settle(START + 14 * DAY) == (0, 0)
    assert town.settle(LATE) == (1, 0)
    assert town.settle(LATE + DAY) == (0, 0)
    assert town.open() == {"A-1": "open"}
    assert town.happened("A-1") == [("opened", "time")]


def test_it_waits_as_long_as_the_office_says(town: Town) -> None:
    town.lists("A-1")
    with town.office.database.write() as connection:
        assert settle_gaps(connection, START + 4 * DAY, 3, "time") == (1, 0)
    assert Ledger().grace_days == 14


def test_it_does_not_expect_before_its_day_what_is_planned_for_april(town: Town) -> None:
    april = START + 60 * DAY
    town.lists("A-1", later=april)

    assert town.settle(START + 50 * DAY) == (0, 0)
    assert town.settle(april + 14 * DAY) == (0, 0)
    assert town.settle(april + 15 * DAY) == (1, 0)


def test_its_finding_ends_with_the_first_report(town: Town) -> None:
    town.lists("A-1")
    town.settle()
    host = town.office.add_host("pc-1", asset_number="A-1", at=LATE)
    town.settle(LATE + DAY)
    assert town.open() == {"A-1": "open"}, "enrolled, but it has not said a word"

    town.office.report(host, linux(), LATE + DAY)

    assert town.open() == {}
    assert town.happened("A-1") == [("opened", "time"), ("resolved", "machine")]


def test_its_finding_ends_when_a_machine_that_reports_is_entered_for_the_row(town: Town) -> None:
    town.lists("A-1")
    town.settle()
    host = town.office.add_host("pc-1", at=LATE)
    town.office.report(host, linux(), LATE)
    with town.office.database.write() as connection:
        link_asset(connection, host, "A-1", LATE)

    assert town.settle(LATE + DAY, "attributes") == (0, 1)
    assert town.open() == {}


def test_its_finding_ends_when_the_row_is_taken_off_and_comes_back_with_it(town: Town) -> None:
    town.lists("A-1", "A-2")
    town.settle()
    with town.office.database.write() as connection:
        gone = vanished(connection, {"A-2"})
        take_off(connection, gone, LATE)
    assert [row.asset_number for row in gone] == ["A-1"]

    assert town.settle(LATE + DAY) == (0, 1)
    assert town.open() == {"A-2": "open"}
    town.lists("A-1", at=LATE + 2 * DAY)
    assert town.settle(LATE + 2 * DAY) == (1, 0)


def test_it_misses_no_machine_that_reported_before_it_was_retired_or_lies_in_storage(town: Town) -> None:
    town.lists("A-1", "A-2")
    town.office.report(town.office.add_host("old", asset_number="A-1"), linux(), START)
    town.office.add_host("spare", asset_number="A-2")
    with town.office.database.write() as connection:
        retire(connection, "old", ACT, reason="廃棄")
        store(connection, "spare", ACT)

    assert town.settle() == (0, 0)


def test_it_misses_a_row_that_a_machine_was_linked_to_by_mistake(town: Town) -> None:
    town.lists("A-1", "A-2")
    host = town.office.add_host("pc-1", asset_number="A-1")
    town.office.report(host, linux(), START)
    with town.office.database.write() as connection:
        link_asset(connection, host, "A-2", START + DAY)

    town.settle()
    assert town.open() == {"A-1": "open"}


def test_people_say_who_looks_after_it_until_when(town: Town) -> None:
    town.lists("A-1")
    town.settle()
    with town.office.database.write() as connection:
        rows = followup.read(connection, Choice(department="総務課", item="A-1"))
        followup.acknowledge(connection, rows, actor="cli:it", now=LATE)
        followup.assign(connection, rows, "総務課長")
        followup.set_due(connection, rows, LATE + 3 * DAY)
        (row,) = followup.read(connection, Choice(overdue_at=LATE + 4 * DAY, ids=(str(rows[0].finding_id)[:8],)))

    assert (row.host, row.item, row.state, row.owner) == ("PC-A-1", "A-1", "acknowledged", "総務課長")
    assert (row.due_at, row.acknowledged_by) == (LATE + 3 * DAY, "cli:it")
    with town.office.database.read() as connection:
        assert followup.read(connection, Choice(zone="mynumber")) == []
        assert followup.read(connection, Choice(host_id=uuid.uuid4())) == []


def test_the_beginning_takes_it_as_known(town: Town) -> None:
    town.lists("A-1")
    town.settle()
    with town.office.database.write() as connection:
        known = followup.plan_baseline(connection, Choice(), town.office.config, LATE)
        followup.accept_baseline(connection, known, LATE)
        assert [each.host_id for each in known] == [None]
        assert connection.execute(sa.select(asset_findings.c.baseline_at)).scalar_one() == LATE


def test_the_beginning_of_a_zone_silences_what_is_missed_there(town: Town) -> None:
    town.lists("A-1")
    town.settle()
    with town.office.database.write() as connection:
        assert waiting(connection, None, "mynumber") == []
        silence(connection, waiting(connection, None, "lgwan"), LATE)

    assert town.mail(LATE) == []


def test_an_exception_covers_it_until_its_last_day(town: Town) -> None:
    town.lists("A-1", "A-2")
    town.settle()
    last = date(2026, 12, 31)
    record = enter(town.office, Scope(check=NEVER_REPORTED.id, item="A-1"), LATE, last=last)

    assert town.open() == {"A-1": "excepted", "A-2": "open"}
    assert pass_midnight(town.office, record.valid_to) == 1
    assert town.open() == {"A-1": "open", "A-2": "open"}
    assert town.happened("A-1") == [("opened", "time"), ("excepted", "attributes"), ("reopened", "time")]


def test_an_exception_that_is_taken_back_opens_it_again(town: Town) -> None:
    town.lists("A-1")
    town.settle()
    record = enter(town.office, Scope(check=NEVER_REPORTED.id, department="総務課"), LATE)
    take_back(town.office, record, LATE + DAY)

    assert town.open() == {"A-1": "open"}
    assert town.happened("A-1")[-1] == ("reopened", "attributes")


def test_one_that_was_excepted_beforehand_is_not_told(town: Town) -> None:
    town.lists("A-1")
    enter(town.office, Scope(check=NEVER_REPORTED.id, item="A-1"), START)
    town.settle()

    assert town.open() == {"A-1": "excepted"}
    assert town.mail(LATE + timedelta(hours=1)) == []


# ── machines that are in no ledger ────────────────────────────────────────────────────────────────────────────────────


def in_ledger(office: Office, host: uuid.UUID) -> list[str]:
    with office.database.read() as connection:
        query = sa.select(findings.c.state).where(findings.c.host_id == host, findings.c.check_id == IN_LEDGER)
        return list(connection.execute(query).scalars())


def test_a_machine_is_not_asked_for_where_no_ledger_is_kept(office: Office) -> None:
    office.report(host := office.add_host("pc-1"), linux(), START)
    assert in_ledger(office, host) == []


def test_a_machine_without_a_row_is_a_finding_until_it_has_one(town: Town) -> None:
    office = town.office
    office.report(host := office.add_host("stranger"), linux(), START)
    town.lists("A-1")

    assert judge_by_ledger(office.database, office.rules, office.config, START + DAY) == 1
    assert in_ledger(office, host) == ["open"]
    with office.database.write() as connection:
        link_asset(connection, host, "A-1", START + 2 * DAY)
    assert judge_by_ledger(office.database, office.rules, office.config, START + 2 * DAY) == 1
    assert in_ledger(office, host) == ["resolved"]
    assert judge_by_ledger(office.database, office.rules, office.config, START + 2 * DAY) == 0


def test_a_machine_whose_row_was_taken_off_is_a_finding(town: Town) -> None:
    office = town.office
    town.lists("A-1", "A-2")
    office.report(host := office.add_host("pc-1", asset_number="A-1"), linux(), START)
    assert in_ledger(office, host) == []
    with office.database.write() as connection:
        take_off(connection, vanished(connection, {"A-2"}), START + DAY)

    assert judge_by_ledger(office.database, office.rules, office.config, START + DAY) == 1
    assert in_ledger(office, host) == ["open"]


# ── telling ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_tells_forty_of_both_kinds_in_one_mail_on_the_morning_of_a_working_day(town: Town) -> None:
    office = town.office
    hosts = [office.add_host(f"stranger-{number}", zone="lgwan") for number in range(3)]
    for host in hosts:
        office.report(host, linux(), START)
    town.mail(START + timedelta(hours=1))
    town.lists(*(f"A-{number:02}" for number in range(40)))
    judge_by_ledger(office.database, office.rules, office.config, LATE)
    midnight = datetime(2026, 11, 20, 15, 2, tzinfo=UTC)  # Saturday, 00:02 in Japan
    town.settle(midnight)

    monday_holiday = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)  # 勤労感謝の日
    tuesday = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)  # 08:30 in Japan
    for moment in (midnight, monday_holiday, tuesday - timedelta(minutes=1)):
        assert town.mail(moment) == [], moment
    (mail,) = town.mail(tuesday)

    assert mail.startswith("[要対応][LGWAN接続系] 43台 台帳にある機器からの報告 ほか1件\n")
    assert "・PC-A-00（台帳番号 A-00、総務課、本庁1階、LGWAN接続系）" in mail.replace("\n　　", "")
    assert "ほか10台" in mail
    assert "・stranger-2" in mail
    assert "確認内容：情報資産台帳：記載なし" in mail
    assert "メールはお送りしません" in mail
    assert town.mail(tuesday + DAY) == []


def test_it_tells_in_the_morning_only_what_is_still_so(town: Town) -> None:
    office = town.office
    town.lists("A-1", "A-2")
    saturday, monday = datetime(2026, 11, 28, 1, tzinfo=UTC), datetime(2026, 11, 30, 0, tzinfo=UTC)
    town.settle(saturday)
    office.report(host := office.add_host("stranger", at=saturday), linux(), saturday)
    office.report(office.add_host("pc-2", asset_number="A-2", at=saturday), linux(), saturday)
    judge_by_ledger(office.database, office.rules, office.config, saturday)
    assert town.mail(saturday) == []
    with office.database.write() as connection:
        link_asset(connection, host, "A-1", saturday)
    judge_by_ledger(office.database, office.rules, office.config, saturday)
    assert town.mail(saturday + timedelta(minutes=5)) == []
    assert list(town.open()) == ["A-1"], "the next settling finds that a machine stands for it"

    (mail,) = town.mail(monday)
    assert "PC-A-1" in mail
    assert "PC-A-2" not in mail
    assert "stranger" not in mail


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_differences_name_what_stands_on_each_side(town: Town) -> None:
    office = town.office
    town.lists("A-1", "A-2")
    town.settle()
    town.lists("A-3", at=LATE)
    office.report(office.add_host("pc-2", asset_number="A-2"), linux(), LATE)
    office.report(office.add_host("stranger"), linux(), LATE)
    office.add_host("not yet seen")
    with office.database.read() as connection:
        found = read_differences(connection, office.config, LATE)

    assert [(each.asset_number, each.finding is not None) for each in found.silent] == [("A-1", True), ("A-3", False)]
    assert [each.name for each in found.unlisted] == ["stranger"]
    assert [each.asset_number for each in found.older] == ["A-1", "A-2"]


def test_the_metrics_count_it_where_the_ledger_says_that_it_is(town: Town) -> None:
    town.lists("A-1", "A-2")
    town.lists("A-3", later=LATE + 99 * DAY)
    town.settle()
    enter(town.office, Scope(check=NEVER_REPORTED.id, item="A-2"), LATE)
    seen = page(town.office, LATE + 31 * DAY)

    here = {"zone": "lgwan", "department": "総務課"}
    assert seen.value("hosts", state="never_reported", **here) == 2
    assert seen.value("findings", severity="medium", state="open", **here) == 1
    assert seen.value("findings", severity="medium", state="excepted", **here) == 1
    assert seen.value("findings_overdue", severity="medium", **here) == 1
    assert seen.of("finding_opened_timestamp_seconds") == []


def test_a_month_tells_what_had_not_reported_at_its_end(town: Town) -> None:
    november, december = parse_month("2026-11"), parse_month("2026-12")
    office, rules = town.office, Rulebook(rules_dir()).rules
    town.lists("A-1", "A-2", "A-3")
    town.settle()
    enter(office, Scope(check=NEVER_REPORTED.id, item="A-2"), LATE)
    office.report(office.add_host("pc", asset_number="A-1", at=LATE), linux(), datetime(2026, 12, 2, tzinfo=UTC))
    with office.database.write() as connection:
        take_off(connection, vanished(connection, {"A-1", "A-2"}), datetime(2026, 12, 3, tzinfo=UTC))
    town.settle(datetime(2026, 12, 3, tzinfo=UTC))

    def told(month: Month) -> tuple[list[tuple[str, str]], int, int]:
        with office.database.read() as connection:
            report = monthly(
                connection, month=month, closed_at=datetime(2027, 1, 1, tzinfo=UTC), config=office.config,
                rules=rules, collector_id=office.collector_id,
            )  # fmt: skip
        lines = [(line.asset_number, line.exception) for line in report.never_reported]
        covered = next((line.machines for line in report.exceptions), 0)
        return lines, report.coverage.ledger, covered

    assert told(november) == ([("A-1", ""), ("A-2", "2026-E01"), ("A-3", "")], 3, 1)
    assert told(december) == ([("A-2", "2026-E01")], 2, 1)
