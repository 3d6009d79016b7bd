"""The pages about guidelines: what covers each control, who attested what, and what nobody did."""

from __future__ import annotations

from datetime import date

from secmon.store import attestations
from tests.secmon.console.browsing import Browser
from tests.support.office import START, Office, linux


def attest(office: Office, question: str, last: date = date(2027, 3, 31)) -> None:
    wanted = attestations.Wanted(
        question=question, asked="？", answer="partly", attested_on=date(2026, 11, 2), due_on=last, post="総務課長",
        name="<山田>",
    )  # fmt: skip
    with office.database.write() as connection:
        attestations.add(connection, wanted, actor="test", now=START)


def row(page: str, mark: str) -> str:
    start = page.index(mark)
    return " ".join(page[start : page.index("</tr>", start)].split())


def test_it_tells_of_each_framework_how_it_is_looked_after(browser: Browser) -> None:
    office = browser.office
    office.report(office.add_host("PC-1"), linux("9"), START)
    attest(office, "training")
    attest(office, "audit", date(2026, 11, 1))
    page = browser.page("/frameworks")

    csf = row(page, 'href="/frameworks/nist-csf"')
    assert '<td class="number">106</td>' in csf
    assert "要対応" in csf
    assert "サブカテゴリー106件すべて" in csf
    training = row(page, '<tr id="training">')
    assert "一部できている" in training
    assert "総務課長 &lt;山田&gt;" in training
    assert "2027-03-31 まで 2026-A01" in training
    assert "期限切れ" in row(page, '<tr id="audit">')
    assert "未確認" in row(page, '<tr id="policy">')
    assert "DDoS攻撃" in page
    assert '<a href="/frameworks">' in browser.page("/")


def test_it_goes_through_one_framework_control_by_control(browser: Browser) -> None:
    office = browser.office
    office.report(office.add_host("PC-1"), linux("9"), START)
    attest(office, "training")
    page = browser.page("/frameworks/nist-csf")

    software = row(page, '<tr id="PR.PS-02">')
    assert '<a href="/checks/support.os">' in software
    assert "要対応</span> <b>1</b>" in software
    assert "一部できている" in row(page, '<tr id="PR.AT-01">')
    assert "点検も質問もありません" in row(page, '<tr id="GV.OC-02">')
    assert "照合" not in row(page, '<tr id="GV.OC-02">')
    assert "番号は本文と未照合" in row(browser.page("/frameworks/cis-controls"), '<tr id="14.1">')
    assert browser.get("/frameworks/iso").status_code == 404


def test_a_check_names_the_threats_it_bears_on(browser: Browser) -> None:
    assert "10大脅威 2026（組織） — 4 脆弱性を悪用する攻撃" in browser.page("/checks/support.os")
    assert "関係する脅威" not in browser.page("/checks/time.synchronized")


def test_nobody_reads_them_without_signing_in(visitor: Browser) -> None:
    assert visitor.get("/frameworks").status_code != 200
    assert visitor.get("/frameworks/nist-csf").status_code != 200
