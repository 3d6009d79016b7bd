"""What the page says of the ledger and the machines."""

from __future__ import annotations

import re
from datetime import timedelta

from secmon.exceptions.model import Scope
from secmon.judging import judge_by_ledger
from secmon.ledger.gaps import NEVER_REPORTED
from secmon.ledger.rows import LedgerRow
from secmon.store.gaps import settle_gaps
from secmon.store.ledger import list_row
from tests.secmon.console.browsing import Browser
from tests.secmon.exceptions.registry import enter
from tests.support.office import START, Office, linux

LONG_AGO = START - timedelta(days=20)


def listed(office: Office, *numbers: str, at_day: int) -> None:
    with office.database.write() as connection:
        for number in numbers:
            said = {"zone": "lgwan", "department": "総務課"}
            row = LedgerRow(number=2, asset_number=number, name=f"<b>{number}", attributes=said)
            list_row(connection, row, LONG_AGO + timedelta(days=at_day))


def plain(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_it_says_that_there_is_no_ledger(browser: Browser) -> None:
    assert "情報資産台帳が取り込まれていません" in browser.page("/ledger")
    assert 'href="/ledger"' in browser.page("/exceptions")


def test_it_shows_both_sides_with_due_date_owner_and_exception(browser: Browser) -> None:
    office = browser.office
    office.report(office.add_host("stranger", zone="lgwan"), linux(), START)
    listed(office, "A-1", "A-2", at_day=0)
    listed(office, "A-3", at_day=19)
    with office.database.write() as connection:
        settle_gaps(connection, START, 14, "time")
    judge_by_ledger(office.database, office.rules, office.config, START)
    record = enter(office, Scope(check=NEVER_REPORTED.id, item="A-2"), START)

    page = browser.page("/ledger")
    text = plain(page)
    assert "台帳にあるのに一度も報告のない機器 2" in text
    assert "A-1 &lt;b&gt;A-1 LGWAN接続系 総務課 — 2026-10-13 2026-12-02" in text
    assert f"例外措置 {record.number}" in text
    assert "報告を待っている機器が 1 台あります（台帳への記載から 14 日間は指摘しません）" in text
    assert "報告しているのに台帳にない機器 1" in text
    assert '<a href="/hosts/stranger">stranger</a>' in page
    assert 'href="/checks/zone.in-ledger"' in page
    assert "最後に取り込んだ台帳にない資産 2" in text
    exceptions = browser.page("/exceptions")
    assert 'href="/ledger">台帳にある機器からの報告' in exceptions
    assert "台帳番号 A-2" in plain(exceptions)
    browser.get("/?lang=en")
    assert "In the ledger, never reported" in browser.page("/ledger")
