"""What the pages say of exceptions and disputes."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from secmon.console import check, queries
from secmon.console.queries import Choice
from secmon.evaluate.model import Standing
from secmon.exceptions.model import Kind, Scope
from tests.secmon.alerts.desk import listening
from tests.secmon.console.browsing import Browser
from tests.secmon.exceptions.registry import TELNET, enter, take_back
from tests.support.office import START, Office

HOUR = timedelta(hours=1)


def town_of(office: Office) -> None:
    """Two machines in the zones lgwan and internet, each with an open telnet."""
    for name, zone in (("LG-PC001", "lgwan"), ("IN-PC001", "internet")):
        office.report(office.add_host(name, zone=zone), listening(22, 23), START)


def plain(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_it_shows_reason_approver_and_last_day_on_the_machines_page(browser: Browser) -> None:
    town_of(browser.office)
    enter(browser.office, Scope(check=TELNET, zone="lgwan"), START)
    page = browser.page("/hosts/LG-PC001")
    excepted = plain(page[page.index('id="excepted"') :])
    for words in ("例外措置 2026-E01", "2027-03-31 まで", "総務課長", "後継機の納品待ち", "代替策 ：通信を庁内に限定"):
        assert words.replace(" ：", "：") in excepted.replace(" ：", "："), words
    assert 'id="excepted"' not in browser.page("/hosts/IN-PC001")


def test_it_names_the_exception_beside_the_item_while_others_fail(browser: Browser) -> None:
    office = browser.office
    office.report(office.add_host("PC-01", zone="lgwan"), listening(21, 22, 23), START)
    enter(office, Scope(check=TELNET, zone="lgwan", item="tcp/23"), START)
    page = browser.page("/hosts/PC-01")
    problems = plain(page[page.index('id="problems"') : page.index('id="unknowns"')])
    assert "tcp/21" in problems
    assert "例外措置 2026-E01 2027-03-31 まで" in problems
    assert 'id="excepted"' not in page


def test_it_says_of_a_disputed_answer_that_it_is_being_looked_at(browser: Browser) -> None:
    town_of(browser.office)
    enter(browser.office, Scope(check=TELNET, zone="lgwan"), START, kind="dispute", last=date(2027, 1, 31))
    page = plain(browser.page("/hosts/LG-PC001"))
    assert "誤検知として届け出があり、見直し中です。" in page
    assert "2026-D01 2027-01-31 まで" in page


def test_it_lists_the_register(browser: Browser) -> None:
    office = browser.office
    town_of(office)
    enter(office, Scope(check=TELNET, zone="lgwan", department="総務課"), START)
    enter(office, Scope(check=TELNET), START, kind="dispute", last=date(2027, 1, 31))
    take_back(office, enter(office, Scope(check=TELNET, zone="internet"), START), START)
    page = browser.page("/exceptions")
    text = plain(page)
    assert "承認された例外措置 1" in text
    assert "LGWAN接続系・総務課" in text
    assert "総務課長" in text
    assert "誤検知として見直し中のもの 1" in text
    assert "終わったもの 1" in text
    assert 'href="/exceptions"' in browser.page("/")


def test_it_shows_the_register_to_nobody_without_a_session(visitor: Browser) -> None:
    assert visitor.get("/exceptions").status_code == 401
    assert 'href="/exceptions"' not in visitor.get("/exceptions").text


def test_it_speaks_of_an_empty_register(browser: Browser) -> None:
    assert "有効な例外措置はありません。" in browser.page("/exceptions")


@pytest.mark.parametrize(
    ("kind", "counts_as"), [("exception", "excepted"), ("dispute", "unknown")], ids=["exception", "dispute"]
)
def test_it_counts_it_apart_everywhere(office: Office, kind: Kind, counts_as: Standing) -> None:
    town_of(office)
    enter(office, Scope(check=TELNET, zone="lgwan"), START, kind=kind)
    with office.database.read() as connection:
        fleet = queries.fleet(connection, Choice(), office.config, office.rules, START)
        answers = check.read(connection, TELNET)
        worst = queries.worst_findings(connection, [host.host_id for host in fleet.hosts])
    assert dict(fleet.failing_checks)[TELNET] == 1
    ports = next(area for area in fleet.areas if area.area == "ports").hosts
    assert (ports["fail"], ports[counts_as], sum(ports.values())) == (1, 1, 2)
    assert (answers.counts["fail"], answers.counts[counts_as], sum(answers.counts.values())) == (1, 1, 2)
    assert [row.name for row in answers.failing] == ["IN-PC001"]
    assert [row.name for row in (answers.excepted if counts_as == "excepted" else answers.unknown)] == ["LG-PC001"]
    high = {host.name: host.findings["high"] for host in fleet.hosts}
    assert high == {"LG-PC001": 0, "IN-PC001": 1}
    names = {host.host_id: host.name for host in fleet.hosts}
    assert [names[host_id] for host_id, finding in worst.items() if finding.check == TELNET] == ["IN-PC001"]


def test_it_tells_programs_both_the_answer_and_how_it_counts(browser: Browser) -> None:
    town_of(browser.office)
    enter(browser.office, Scope(check=TELNET, zone="lgwan"), START)
    listed = browser.get(f"/api/v1/findings?check={TELNET}").json()["findings"]
    assert {each["host"]: (each["state"], each["exception"]) for each in listed} == {
        "LG-PC001": ("excepted", "2026-E01"),
        "IN-PC001": ("open", None),
    }
    host = next(each["host_id"] for each in listed if each["host"] == "LG-PC001")
    results = browser.get(f"/api/v1/hosts/{host}").json()["results"]
    assert [(each["status"], each["standing"]) for each in results if each["check"] == TELNET] == [("fail", "excepted")]
