"""A spreadsheet's file is read whatever its encoding, within limits, and never answers with anything but a reason."""

from __future__ import annotations

import csv
import io
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from secmon.config import Zone
from secmon.ledger import table, workbook
from secmon.ledger.columns import ColumnMap, understand
from secmon.ledger.rows import LedgerRow, read_rows
from secmon.ledger.table import TableError, readings

HEAD = ["資産番号", "機器名", "部署"]
ZONES = (Zone(id="lgwan", name="LGWAN接続系"), Zone(id="mynumber", name="マイナンバー利用事務系"))
TEXT = st.text(
    st.characters(codec="cp932", exclude_categories=("C", "Z"), exclude_characters="¢£¬‖−〜"), min_size=1, max_size=20
)


def written(rows: list[list[str]], encoding: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode(encoding)


def spreadsheet(rows: list[list[object]]) -> bytes:
    book, file = Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    book.save(file)
    return file.getvalue()


def taken(data: bytes, mapping: ColumnMap | None = None) -> list[LedgerRow]:
    columns, rows = understand(data, mapping or ColumnMap())
    return read_rows(columns, rows, mapping or ColumnMap(), ZONES)[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "utf-16"])
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the first draw lists cp932
@given(rows=st.lists(st.tuples(st.integers(1, 10**6), TEXT, TEXT), max_size=8, unique_by=lambda row: row[0]))
def test_it_reads_the_same_rows_from_every_encoding(encoding: str, rows: list[tuple[int, str, str]]) -> None:
    found = taken(written([HEAD, *([f"A-{number}", name, place] for number, name, place in rows)], encoding))

    assert [(row.asset_number, row.attributes["department"]) for row in found] == [
        (f"A-{number}", place) for number, _, place in rows
    ]


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=400))
def test_it_answers_whatever_bytes_come_with_rows_or_a_reason(data: bytes) -> None:
    for start in (b"", b"PK\x03\x04", "資産番号\n".encode("cp932")):
        try:
            understand(start + data, ColumnMap())
        except TableError as error:
            assert str(error)  # noqa: PT017


@settings(deadline=None)  # the machine may be busy
@given(st.binary(min_size=1, max_size=30), st.integers(0, 5000))
def test_it_survives_a_damaged_workbook(damage: bytes, at: int) -> None:
    data = bytearray(_BOOK)
    data[at % len(data) : at % len(data) + len(damage)] = damage
    try:
        understand(bytes(data), ColumnMap())
    except TableError as error:
        assert str(error)  # noqa: PT017


_BOOK = spreadsheet([["情報資産台帳"], list(HEAD), ["A-1", "PC-01", "総務課"], [102.0, "PC-02", None]])


def test_it_reads_a_workbook_below_its_title_and_numbers_as_people_see_them() -> None:
    assert [(row.number, row.asset_number, row.name, row.attributes) for row in taken(_BOOK)] == [
        (3, "A-1", "PC-01", {"department": "総務課"}),
        (4, "102", "PC-02", {}),
    ]


def test_it_prefers_the_reading_in_which_the_headings_are_known() -> None:
    kana = "ﾃｽﾄ"  # in cp932 the first two are a character of UTF-8 by accident
    data = written([["資産番号", "機器名"], ["1", kana]], "cp932")

    assert taken(data)[0].name == "テスト"
    assert "ﾃｽ".encode("cp932").decode("utf-8")


def part(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_BOOK)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for each in old.infolist():
            if each.filename != name:
                new.writestr(each, old.read(each))
        new.writestr(name, content)
    return file.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
FAR = (
    b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><dimension ref="A1:XFD1048576"/>'
    b'<sheetData><row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>x</t></is></c></row></sheetData></worksheet>'
)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (part("bomb.xml", b"\0" * (workbook.MAX_UNPACKED_BYTES + 1)), "unpacks to more than 64 MiB"),
        (part(SHEET, b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'), "no spreadsheet writes"),
        (part(SHEET, FAR), "rows, empty ones among them"),
        (b"PK\x03\x04 and nothing more", "not a workbook that can be read"),
        (b"\xd0\xcf\x11\xe0 an old one", "save it as .xlsx"),
        (b"\x81\x00\xff,\xff\xfe\n", "neither UTF-8 nor cp932"),
        (b"x,y\n1,2\n", "no heading for the asset number"),
        (written([HEAD, ["1", "x" * (table.MAX_CELL_CHARS + 1)]], "utf-8"), "row 2: a cell of more than"),
        (b"," * 300 + b"x\n", "row 1: more than 200 columns"),
    ],
)
def test_it_refuses_with_a_reason(data: bytes, said: str) -> None:
    with pytest.raises(TableError, match=said):
        understand(data, ColumnMap())


def test_it_refuses_more_rows_than_any_office_has() -> None:
    with pytest.raises(TableError, match="more than 3 rows"):
        list(readings(b"a\nb\nc\nd\n", max_rows=3))


def test_it_lists_bad_rows_by_number_and_takes_the_rest() -> None:
    data = written(
        [
            ["資産番号", "機器名", "ネットワーク", "シリアル番号"],
            ["A-1", "ＰＣ－０１", "ＬＧＷＡＮ接続系", "To be filled by O.E.M."],
            ["", "PC-02", "", ""],
            ["A-1", "PC-03", "", ""],
            ["A-4", "PC-04", "水道", ""],
            ["A-5", "PC\x0705", "", ""],
            ["A" * 65, "", "", ""],
            [],
            ["A-8", "PC-08", "mynumber", "SN8"],
        ],
        "utf-8-sig",
    )
    columns, rows = understand(data, ColumnMap())

    good, bad = read_rows(columns, rows, ColumnMap(), ZONES)

    assert [(row.number, row.name, row.serial, row.attributes["zone"]) for row in good] == [
        (2, "PC-01", "", "lgwan"),
        (9, "PC-08", "SN8", "mynumber"),
    ]
    assert [(each.number, each.reason.split(";")[0]) for each in bad] == [
        (3, "no asset number"),
        (4, "the asset number A-1 stands in row 2 already"),
        (5, "the zone '水道' is not in the settings"),
        (6, "name: a character that cannot be shown"),
        (7, "asset_number: more than 64 characters"),
    ]


def test_it_takes_the_offices_own_headings_and_words() -> None:
    mapping = ColumnMap(
        columns={"asset_number": "備品 No", "department": ["係"]},
        zones={"基幹系": "mynumber"},
        roles={"事務": "office-pc"},
    )
    data = written([["備品Ｎｏ", "部署", "係", "系統", "役割"], ["7", "総務課", "情報係", "基幹系", "事務"]], "cp932")

    assert taken(data, mapping)[0].attributes == {"zone": "mynumber", "department": "情報係", "role": "office-pc"}
