"""Findings follow the register: on entering, on judging, on taking back, and when its time is over."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa

from secmon.exceptions.model import Scope
from secmon.store import life
from secmon.store.exceptions import read_all, softened
from secmon.store.hosts import set_attribute
from secmon.store.schema import findings, results
from secmon.store.settling import settle
from tests.secmon.alerts.desk import GOOD, listening
from tests.secmon.exceptions.registry import TELNET, enter, happened, pass_midnight, state_of, take_back
from tests.support.office import START, Office

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
APRIL = datetime(2027, 4, 1, tzinfo=UTC)


def test_it_excepts_what_is_open_and_what_opens_later(office: Office) -> None:
    host = office.add_host("PC-01", zone="lgwan")
    office.report(host, listening(22, 23), START)
    enter(office, Scope(check=TELNET, zone="lgwan"), START + HOUR)
    assert state_of(office, "tcp/23") == "excepted"
    office.report(host, listening(21, 22, 23), START + 2 * HOUR)
    assert state_of(office, "tcp/21") == "excepted"
    assert [tuple(row)[:2] for row in happened(office, "tcp/21")] == [("opened", "machine"), ("excepted", "attributes")]


def test_it_never_deletes_the_answer(office: Office) -> None:
    host = office.add_host("PC-01", zone="lgwan")
    office.report(host, listening(22, 23), START)
    enter(office, Scope(check=TELNET, host_id=host), START + HOUR)
    with office.database.read() as connection:
        present = sa.select(results.c.status).where(results.c.check_id == TELNET, results.c.observed_to.is_(None))
        assert connection.execute(present).scalar_one() == "fail"
        assert softened(connection) == {(host, TELNET): ("excepted", "")}


def test_it_leaves_an_answer_failing_while_one_item_is_not_excepted(office: Office) -> None:
    host = office.add_host("PC-01", zone="lgwan")
    office.report(host, listening(21, 22, 23), START)
    enter(office, Scope(check=TELNET, host_id=host, item="tcp/23"), START + HOUR)
    assert (state_of(office, "tcp/21"), state_of(office, "tcp/23")) == ("open", "excepted")
    with office.database.read() as connection:
        assert softened(connection) == {}


def test_it_counts_a_disputed_answer_as_unknown(office: Office) -> None:
    host = office.add_host("PC-01", zone="lgwan")
    office.report(host, listening(22, 23), START)
    enter(office, Scope(check=TELNET, host_id=host), START + HOUR, kind="dispute")
    assert state_of(office, "tcp/23") == "disputed"
    with office.database.read() as connection:
        assert softened(connection) == {(host, TELNET): ("unknown", "disputed")}


def test_it_opens_again_when_the_time_is_over(office: Office) -> None:
    host = office.add_host("PC-01", zone="lgwan")
    office.report(host, listening(22, 23), START)
    enter(office, Scope(check=TELNET, host_id=host), START + HOUR)
    assert pass_midnight(office, APRIL - 10 * HOUR) == 0
    assert pass_midnight(office, APRIL) == 1
    assert state_of(office, "tcp/23") == "open"
    midnight = datetime(2027, 3, 31, 15, tzinfo=UTC)
    assert tuple(happened(office, "tcp/23")[-1]) == ("reopened", "time", midnight)
    with office.database.read() as connection:
        assert connection.execute(sa.select(findings.c.due_at)).scalars().one() == APRIL + 7 * DAY
    assert pass_midnight(office, APRIL + DAY) == 0


def test_it_begins_on_its_first_day(office: Office) -> None:
    host = office.add_host("PC-01", zone="lgwan")
    office.report(host, listening(22, 23), START)
    enter(office, Scope(check=TELNET, host_id=host), START + HOUR, first=date(2026, 12, 1))
    assert state_of(office, "tcp/23") == "open"
    pass_midnight(office, datetime(2026, 11, 30, 15, 1, tzinfo=UTC))
    assert state_of(office, "tcp/23") == "excepted"


def test_it_opens_again_when_it_is_taken_back_and_keeps_the_row(office: Office) -> None:
    host = office.add_host("PC-01", zone="lgwan")
    office.report(host, listening(22, 23), START)
    record = enter(office, Scope(check=TELNET, host_id=host), START + HOUR)
    take_back(office, record, START + DAY)
    assert state_of(office, "tcp/23") == "open"
    assert tuple(happened(office, "tcp/23")[-1])[:2] == ("reopened", "attributes")
    with office.database.read() as connection:
        (kept,) = read_all(connection)
    assert (kept.ended_at, kept.ended_reason, kept.valid_to) == (START + DAY, "不要になった", record.valid_to)


def test_it_goes_on_without_a_word_under_another_number(office: Office) -> None:
    host = office.add_host("PC-01", zone="lgwan")
    office.report(host, listening(22, 23), START)
    enter(office, Scope(check=TELNET, host_id=host), START + HOUR)
    enter(office, Scope(check=TELNET, host_id=host), START + DAY, last=date(2028, 3, 31))
    before = len(happened(office, "tcp/23"))
    pass_midnight(office, APRIL)
    assert state_of(office, "tcp/23") == "excepted"
    assert len(happened(office, "tcp/23")) == before


def test_it_follows_a_machine_that_moves_out_of_the_scope(office: Office) -> None:
    host = office.add_host("PC-01", zone="lgwan", department="総務課")
    office.report(host, listening(22, 23), START)
    enter(office, Scope(check=TELNET, department="総務課"), START + HOUR)
    with office.database.write() as connection:
        set_attribute(connection, host, "department", "町民課", START + DAY)
        settle(connection, START + DAY, "attributes")
    assert state_of(office, "tcp/23") == "open"


def test_it_resolves_an_excepted_finding_that_was_put_right(office: Office) -> None:
    host = office.add_host("PC-01", zone="lgwan")
    office.report(host, listening(22, 23), START)
    enter(office, Scope(check=TELNET, host_id=host), START + HOUR)
    office.report(host, GOOD, START + 2 * HOUR)
    assert state_of(office, "tcp/23") == "resolved"
    office.report(host, listening(22, 23), START + 3 * HOUR)
    assert state_of(office, "tcp/23") == "excepted"


def test_it_numbers_each_kind_within_its_fiscal_year(office: Office) -> None:
    host = office.add_host("PC-01")
    scope = Scope(check=TELNET, host_id=host)
    numbers = [enter(office, scope, START).number for _ in range(2)]
    numbers.append(enter(office, scope, START, kind="dispute").number)
    numbers.append(enter(office, scope, START, first=date(2027, 4, 1), last=date(2027, 5, 1)).number)
    assert numbers == ["2026-E01", "2026-E02", "2026-D01", "2027-E01"]


def test_it_goes_on_with_the_record_of_the_machine_that_goes_on(office: Office) -> None:
    host, double = office.add_host("pc1"), office.add_host("pc1-2")
    office.report(host, listening(22, 23), START)
    record = enter(office, Scope(check=TELNET, host_id=double), START)
    with office.database.write() as connection:
        life.merge(connection, "pc1", "pc1-2", life.Act(actor="test", now=START + DAY))
        settle(connection, START + DAY, "attributes")
    assert state_of(office, "tcp/23") == "excepted"
    with office.database.read() as connection:
        old, new = read_all(connection)
    assert (old.ended_at, old.ended_reason) == (START + DAY, "the same machine as pc1")
    assert (new.scope.host_id, new.valid_to, new.reason) == (host, record.valid_to, record.reason)


def test_it_ends_with_the_machine_that_it_is_about(office: Office) -> None:
    host = office.add_host("pc1", zone="lgwan")
    mine, of_zone = (enter(office, scope, START) for scope in
                     (Scope(check=TELNET, host_id=host), Scope(check=TELNET, zone="lgwan")))  # fmt: skip
    with office.database.write() as connection:
        life.retire(connection, "pc1", life.Act(actor="test", now=START + DAY), reason="廃棄")
    with office.database.read() as connection:
        ended = {record.number: record.ended_reason for record in read_all(connection)}
    assert ended == {mine.number: "廃棄", of_zone.number: None}
