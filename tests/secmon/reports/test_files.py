"""The files of a report: PDF/A that can be read in thirty years, CSV that a spreadsheet cannot be tricked with."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess  # noqa: TID251 — poppler's tools judge the pages
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from secmon.config import Config
from secmon.errors import Failure, UsageError
from secmon.reports import pdf
from secmon.reports.archive import Archived, canonical
from secmon.reports.command import make_monthly
from secmon.reports.csv import render_csv
from secmon.reports.letter import letter
from secmon.reports.model import FailingMachine, UnknownMachine
from secmon.resources import rules_dir
from secmon.rulebook import Rulebook
from tests.secmon.reports.conftest import Town

NOVEMBER = datetime(2026, 11, 2, tzinfo=UTC)
CLOSING = datetime(2026, 12, 1, tzinfo=UTC)


def make(town: Town, month: str, folder: Path, now: datetime, config: Config | None = None) -> list[Path]:
    return make_monthly(town.database, config or town.config, town.rulebook.rules, month, folder, now)


def text_of(page: bytes, tmp_path: Path, *options: str) -> str:
    file = tmp_path / "read.pdf"
    file.write_bytes(page)
    done = subprocess.run(["pdftotext", *options, str(file), "-"], capture_output=True, check=True, timeout=60)
    return done.stdout.decode()


def pages_of(content: bytes, tmp_path: Path) -> int:
    file = tmp_path / "count.pdf"
    file.write_bytes(content)
    done = subprocess.run(["pdfinfo", str(file)], capture_output=True, check=True, timeout=60)
    found = re.search(rb"Pages:\s+(\d+)", done.stdout)
    assert found
    return int(found[1])


@pytest.fixture
def told(small_town: Town) -> Town:
    host_id = small_town.add_host(
        "LG-PC001", zone="lgwan", department="総務課", asset_number="R5-0001", location="本庁2階", at=NOVEMBER
    )
    small_town.tell(host_id, datetime(2026, 11, 20, tzinfo=UTC), telnet=True, length=4)
    small_town.add_host("MN-PC002", zone="mynumber", at=NOVEMBER)
    return small_town


def crowd(archived: Archived, machines: int) -> Archived:
    """The same report with its failing machine many times over."""
    report = archived.report
    (one,) = report.failing
    many = tuple(
        FailingMachine(machine=msgspec.structs.replace(one.machine, name=f"LG-PC{n:03}"), problems=one.problems)
        for n in range(machines)
    )
    return msgspec.structs.replace(archived, model=canonical(msgspec.structs.replace(report, failing=many)))


def test_it_writes_pdf_csv_and_json_of_a_closed_month(told: Town, tmp_path: Path) -> None:
    out = tmp_path / "out" / "deeper"
    files = make(told, "2026-11", out, CLOSING)
    assert [file.name for file in files] == ["secmon-2026-11.pdf", "secmon-2026-11.csv", "secmon-2026-11.json"]
    assert sorted(file.name for file in out.iterdir()) == sorted(file.name for file in files)
    assert json.loads(files[2].read_bytes())["month"] == "2026-11"


def test_it_names_interim_files_so_that_nobody_takes_them_for_final(told: Town, tmp_path: Path) -> None:
    files = make(told, "2026-11", tmp_path / "out", CLOSING - timedelta(days=5))
    assert [file.name for file in files] == [f"secmon-2026-11-interim.{each}" for each in ("pdf", "csv", "json")]
    assert "速報" in text_of(files[0].read_bytes(), tmp_path)


def test_it_refuses_a_month_that_lies_ahead(told: Town, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2026-12 lies in the future"):
        make(told, "2026-12", tmp_path, CLOSING - timedelta(days=5))


def test_it_says_which_file_cannot_be_written(told: Town, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(Failure, match=r"out/secmon-2026-11\.pdf cannot be written"):
        make(told, "2026-11", tmp_path / "out", CLOSING)


def test_it_is_pdf_a_with_its_fonts_inside(told: Town, tmp_path: Path) -> None:
    content = pdf.render(told.archived("2026-11", CLOSING), "ja")
    assert content.startswith(b"%PDF-1.7")
    assert b"<pdfaid:part>2</pdfaid:part>" in content
    assert b"<pdfaid:conformance>U</pdfaid:conformance>" in content
    file = tmp_path / "fonts.pdf"
    file.write_bytes(content)
    done = subprocess.run(["pdffonts", str(file)], capture_output=True, check=True, timeout=60)
    fonts = done.stdout.decode().splitlines()[2:]
    assert fonts
    assert all("NotoSansCJKjp" in line and re.search(r"yes\s+yes\s+yes", line) for line in fonts)


def test_it_puts_what_decides_on_page_one_in_japanese(told: Town, tmp_path: Path) -> None:
    archived = told.archived("2026-11", CLOSING)
    first = text_of(pdf.render(archived, "ja"), tmp_path, "-l", "1")
    for expected in (
        "北の町役場", "令和8年11月", "作成日", "令和8年12月1日", "決", "副町長", "点検の範囲", "登録端末", "音信不通",
        "パスワード", "× 要対応", "？ 確認不能", "ご判断いただきたいこと", "「暗号化されない接続口」", "総務課",
        "法令や基準への適合を保証するものではありません",
    ):  # fmt: skip
        assert expected in first
    assert "LG-PC001" not in first


def test_it_puts_evidence_clauses_and_hash_in_the_annex(told: Town, tmp_path: Path) -> None:
    archived = told.archived("2026-11", CLOSING)
    rest = text_of(pdf.render(archived, "ja"), tmp_path, "-f", "2")
    for expected in ("LG-PC001", "R5-0001", "telnetd", "担当者に連絡してください。", "5.4(3)＊", told.rules.version):
        assert expected in rest
    assert archived.hash is not None
    assert archived.hash.hex() in rest


def test_it_writes_limits_with_all_their_digits(told: Town, tmp_path: Path) -> None:
    archived = told.archived("2026-11", CLOSING)
    report = archived.report
    limits = (msgspec.structs.replace(next(one for state in report.checks for one in state.limits), default=2**26),)
    checks = tuple(msgspec.structs.replace(state, limits=limits) for state in report.checks)
    large = msgspec.structs.replace(archived, model=canonical(msgspec.structs.replace(report, checks=checks)))
    assert "67,108,864" in text_of(pdf.render(large, "ja"), tmp_path, "-f", "2")


def test_it_speaks_english_on_request(told: Town, tmp_path: Path) -> None:
    first = text_of(pdf.render(told.archived("2026-11", CLOSING), "en"), tmp_path, "-l", "1")
    for expected in ("Information security checks", "2026-11", "Decisions wanted", "No clear-text service"):
        assert expected in first
    assert "compliant" not in first.lower()


def test_it_renders_the_same_bytes_from_the_same_archive(told: Town) -> None:
    archived = told.archived("2026-11", CLOSING)
    assert pdf.render(archived, "ja") == pdf.render(archived, "ja")


def test_it_repeats_the_headings_where_many_machines_run_over_pages(told: Town, tmp_path: Path) -> None:
    content = pdf.render(crowd(told.archived("2026-11", CLOSING), 150), "ja")
    pages = pages_of(content, tmp_path)
    assert 6 <= pages <= 20
    for number in range(3, pages - 2):
        page = text_of(content, tmp_path, "-f", str(number), "-l", str(number))
        assert "LG-PC" in page
        assert "いつから" in page
        assert f"ページ {number} / {pages}" in page


def test_it_prints_an_office_without_machines(small_town: Town, tmp_path: Path) -> None:
    content = pdf.render(small_town.archived("2026-11", CLOSING), "ja")
    assert "登録された端末がない" in text_of(content, tmp_path)
    assert pages_of(content, tmp_path) <= 3


def test_it_keeps_page_one_on_one_page_with_the_shipped_rules(tmp_path: Path) -> None:
    town = Town(tmp_path)
    town.rulebook = Rulebook(rules_dir())
    for number, zone in enumerate(("lgwan", "mynumber", "internet", None)):
        host_id = town.add_host(f"pc{number}", zone=zone, at=NOVEMBER)
        town.tell(host_id, datetime(2026, 11, 20, tzinfo=UTC), telnet=True, length=4)
    content = pdf.render(town.archived("2026-11", CLOSING), "ja")
    town.database.close()
    assert "法令や基準への適合を保証するものではありません" in text_of(content, tmp_path, "-l", "1")
    assert "別紙１" in text_of(content, tmp_path, "-f", "2", "-l", "2")


def test_it_gives_spreadsheets_text_and_never_a_formula(told: Town) -> None:
    archived = told.archived("2026-11", CLOSING)
    report = archived.report
    (one,) = report.failing
    tricky = msgspec.structs.replace(one.problems[0], item="=HYPERLINK(0)", evidence="@SUM(1)\r\n+cmd|' /C calc'!A0")
    evil = msgspec.structs.replace(
        one, machine=msgspec.structs.replace(one.machine, name="-1+2"), problems=(tricky, *one.problems[1:])
    )
    content = render_csv(
        msgspec.structs.replace(archived, model=canonical(msgspec.structs.replace(report, failing=(evil,)))), "ja"
    )
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert rows[0][:4] == ["対象月", "端末", "台帳番号", "課"]
    assert rows[1][1] == "'-1+2"
    assert (rows[1][10], rows[1][11]) == ("'=HYPERLINK(0)", "'@SUM(1) +cmd|' /C calc'!A0")
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row)


def test_it_lists_failing_unknown_and_absent_machines_in_the_csv(told: Town) -> None:
    rows = list(csv.reader(io.StringIO(render_csv(told.archived("2026-11", CLOSING), "ja").decode("utf-8-sig"))))
    assert [(row[1], row[6]) for row in rows[1:]] == [
        ("LG-PC001", "要対応"), ("LG-PC001", "要対応"), ("MN-PC002", "確認不能"), ("MN-PC002", "報告なし"),
    ]  # fmt: skip


def test_it_speaks_japanese_and_shows_hostile_names_as_they_are(told: Town, tmp_path: Path) -> None:
    archived = told.archived("2026-11", CLOSING)
    (one,) = archived.report.failing
    named = msgspec.structs.replace(one.machine, name='#raw("x") `pc`\nBcc: x')
    problem = msgspec.structs.replace(one.problems[0], item="", evidence="firewall.filtering = false")
    doubt = UnknownMachine(machine=named, checks=1, reasons=("boot.firmware not determined",))
    evil = msgspec.structs.replace(
        archived.report,
        failing=(msgspec.structs.replace(one, machine=named, problems=(problem,)),),
        unknown=(doubt,),
    )
    shown = msgspec.structs.replace(archived, model=canonical(evil))
    printed = text_of(pdf.render(shown, "ja"), tmp_path)
    flat = "".join(printed.split()).replace("\u200b", "")
    assert '#raw("x")`pc`Bcc:x' in flat
    for text in (flat, render_csv(shown, "ja").decode("utf-8-sig")):
        assert "外からの通信の遮断：いいえ" in text
        assert "「起動」の「ファームウェア」を機器から読み取れませんでした" in text
        assert "firewall.filtering = false" not in text


def test_its_letter_says_when_and_does_not_hide_what_is_unknown(told: Town) -> None:
    archived = told.archived("2026-11", CLOSING)
    text = letter(archived, told.config).text
    assert "令和8年11月30日 終了時の状態です。" in text
    assert f"確認できない項目が残る端末 {len(archived.report.unknown)}台" in text
    assert archived.report.unknown
