"""A month keeps the exceptions that it had: told from the records, never from the present."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from secmon.exceptions.model import Scope
from secmon.reports.csv import render_csv
from secmon.reports.letter import letter
from secmon.reports.model import MonthlyReport
from secmon.store.exceptions import softened
from secmon.store.hosts import set_attribute
from tests.secmon.exceptions.registry import enter, take_back
from tests.secmon.reports.conftest import Town, area
from tests.secmon.reports.test_files import make, text_of

NOVEMBER, CLOSING = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TELNET = "ports.telnet"
AWAY_FROM_LGWAN = Scope(check=TELNET, zone="lgwan")


def day(number: int) -> datetime:
    return datetime(2026, 11, number, tzinfo=UTC)


@pytest.fixture
def two(town: Town) -> Town:
    """Two machines with an open telnet, one of them in LGWAN."""
    for name, zone in (("LG-PC001", "lgwan"), ("IN-PC001", "internet")):
        host = town.add_host(name, zone=zone, department="総務課", at=NOVEMBER)
        town.tell(host, day(20), telnet=True)
    return town


def failing(report: MonthlyReport) -> set[str]:
    return {each.machine.name for each in report.failing}


def test_it_counts_and_lists_what_is_excepted(two: Town) -> None:
    enter(two, AWAY_FROM_LGWAN, day(21))
    report = two.monthly("2026-11", CLOSING)
    assert failing(report) == {"IN-PC001"}
    counts = area(report, "ports").machines
    assert (counts.failed, counts.excepted, counts.passed, counts.measured) == (1, 1, 0, 2)
    (line,) = report.exceptions
    assert (line.number, line.zone, line.machines, line.problems) == ("2026-E01", "lgwan", 1, 1)
    assert (line.approver, line.measure) == ("総務課長", "通信を庁内に限定")
    assert report.trend[-1].answers.excepted == 1


def test_it_counts_a_disputed_answer_among_the_unknown(two: Town) -> None:
    enter(two, AWAY_FROM_LGWAN, day(21), kind="dispute", last=date(2027, 1, 31))
    report = two.monthly("2026-11", CLOSING)
    assert failing(report) == {"IN-PC001"}
    assert area(report, "ports").machines.unknown == 1
    assert [(each.machine.name, each.reasons) for each in report.unknown] == [("LG-PC001", ("disputed",))]
    assert report.trend[-1].answers.unknown == 1


def test_it_says_that_an_area_is_excepted_when_nothing_else_is_wrong(two: Town) -> None:
    enter(two, Scope(check=TELNET), day(21))
    report = two.monthly("2026-11", CLOSING)
    assert area(report, "ports").answer == "excepted"
    assert not failing(report)


def test_it_keeps_last_months_exceptions_whatever_happens_later(two: Town) -> None:
    record = enter(two, AWAY_FROM_LGWAN, day(21))
    take_back(two, record, CLOSING + DAY)
    enter(two, Scope(check=TELNET, zone="internet"), CLOSING + DAY, first=date(2026, 12, 1))
    report = two.monthly("2026-11", CLOSING + 5 * DAY)
    assert failing(report) == {"IN-PC001"}
    assert [(line.number, line.problems) for line in report.exceptions] == [("2026-E01", 1)]


def test_it_tells_an_exception_that_was_entered_after_the_closing_as_a_correction(two: Town) -> None:
    closed = two.monthly("2026-11", CLOSING)
    enter(two, AWAY_FROM_LGWAN, CLOSING + 3 * DAY, first=date(2026, 11, 25))
    assert two.monthly("2026-11", CLOSING + 9 * DAY) == closed
    corrections = two.monthly("2026-12", datetime(2027, 1, 4, tzinfo=UTC)).corrections
    assert corrections
    (line,) = corrections.lines
    assert (line.machine.name, line.check, line.reported, line.corrected) == ("LG-PC001", TELNET, "fail", "excepted")


def test_it_matches_the_attributes_of_the_months_end(two: Town) -> None:
    enter(two, AWAY_FROM_LGWAN, day(21))
    with two.database.write() as connection:
        (moved,) = [host for host, check in softened(connection) if check == TELNET]
        set_attribute(connection, moved, "zone", "internet", CLOSING + DAY)
    assert failing(two.monthly("2026-11", CLOSING + 2 * DAY)) == {"IN-PC001"}


def test_it_says_in_december_that_what_ended_in_november_is_open(two: Town) -> None:
    enter(two, AWAY_FROM_LGWAN, day(21), last=date(2026, 11, 30))
    assert failing(two.monthly("2026-11", CLOSING)) == {"IN-PC001"}
    for host in two.monthly("2026-11", CLOSING).failing:
        two.heartbeat(host.machine.host_id, CLOSING + 25 * DAY)
    with two.database.read() as connection:
        excepted = [host_id for host_id, _ in softened(connection)]
    for host_id in excepted:
        two.heartbeat(host_id, CLOSING + 25 * DAY)
    december = two.monthly("2026-12", datetime(2027, 1, 4, tzinfo=UTC))
    assert failing(december) == {"IN-PC001", "LG-PC001"}
    assert december.exceptions == ()


@pytest.mark.parametrize("kind", ["exception", "dispute"])
@pytest.mark.parametrize("item", [None, "23", "21"])
def test_it_tells_the_present_as_the_findings_do(two: Town, kind: str, item: str | None) -> None:
    enter(two, Scope(check=TELNET, zone="lgwan", item=item), day(21), kind=kind)  # type: ignore[arg-type]
    with two.database.read() as connection:
        present = {standing for standing, _ in softened(connection).values()}
    counts = area(two.monthly("2026-11", day(22)), "ports").machines
    assert present == ({"excepted"} if counts.excepted else set()) | ({"unknown"} if counts.unknown else set())


# ── on paper ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def told(small_town: Town) -> Town:
    for name, zone in (("LG-PC001", "lgwan"), ("IN-PC001", "internet")):
        host = small_town.add_host(name, zone=zone, department="総務課", at=NOVEMBER)
        small_town.tell(host, day(20), telnet=True)
    enter(small_town, AWAY_FROM_LGWAN, day(21), last=date(2027, 1, 15))
    enter(small_town, Scope(check=TELNET, zone="internet"), day(21), kind="dispute", last=date(2027, 1, 31))
    return small_town


def test_it_prints_the_register_in_the_annex_and_its_count_on_page_one(told: Town, tmp_path: Path) -> None:
    page, _, _ = make(told, "2026-11", tmp_path, CLOSING)
    first = text_of(page.read_bytes(), tmp_path, "-l", "1", "-layout")
    assert "有効な例外措置1件（うち60日以内に期限1件）、誤検知として見直し中1件" in "".join(first.split())
    annex = "".join(text_of(page.read_bytes(), tmp_path, "-f", "2").split())
    for words in ("2026-E01", "後継機の納品待ち。代替策：通信を庁内に限定", "総務課長", "R9.1.15", "2026-D01"):
        assert words in annex


def test_it_names_them_in_the_csv_and_the_mail(told: Town) -> None:
    archived = told.archived("2026-11", CLOSING)
    rows = list(csv.reader(io.StringIO(render_csv(archived, "ja").decode("utf-8-sig"))))
    named = {row[6]: row for row in rows}
    assert named["例外 2026-E01"][5] == "LGWAN接続系"
    assert named["例外 2026-E01"][12:14] == ["2026-04-01", "2027-01-15"]
    assert "誤検知 2026-D01" in named
    assert "有効な例外措置 1件" in letter(archived, told.config).text


def test_it_reads_reports_that_were_archived_before_there_were_exceptions(told: Town) -> None:
    archived = told.archived("2026-11", CLOSING)
    old = re.sub(rb'"excepted":\d+,|"exceptions":\[[^\]]*\],', b"", archived.model)
    assert b"exception" not in old
    shown = msgspec.structs.replace(archived, model=old)
    assert shown.report.exceptions == ()
    assert letter(shown, told.config).text
