"""Results of OpenSCAP are kept under the scanner's name. The files here are our own, made from the XCCDF specification;
no real one has been read yet."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon import cli
from secmon.errors import Failure
from secmon.export.model import machines
from secmon.scanners import xccdf
from secmon.scanners.xccdf import ScannerReport, ScannerResult, XccdfError, read_report
from secmon.store.scanners import current, find_scanned, take_report
from secmon.store.schema import scanner_results
from tests.support.office import Office, linux

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
FACT = "urn:xccdf:fact:asset:identifier:fqdn"


def arf(*results: tuple[str, str], inner: str = "", end: str = "2026-11-20T12:00:00+09:00") -> bytes:
    told = "".join(
        f'<x:rule-result idref="{rule}" severity="high"><x:result>{said}</x:result>'
        "<x:check><x:result>ignored</x:result></x:check></x:rule-result>"
        for rule, said in results
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<arf:asset-report-collection xmlns:arf="urn:arf" xmlns:o="urn:o" '
        'xmlns:x="http://checklists.nist.gov/xccdf/1.2">'
        '<x:Benchmark><x:Group id="g"><x:title>a group</x:title><x:Rule id="r1"><x:title>Keep\n it\n closed</x:title>'
        "</x:Rule></x:Group></x:Benchmark>"
        f'<arf:report><x:TestResult id="t" end-time="{end}"><x:title>not a rule</x:title><x:target>web-01</x:target>'
        f'<x:target-facts><x:fact name="{FACT}">web-01.town.local</x:fact><x:fact name="urn:other">x</x:fact>'
        f"</x:target-facts>{told}{inner}</x:TestResult></arf:report><o:result>no</o:result></arf:asset-report-collection>"
    ).encode()


def test_it_reads_results_titles_and_names_and_nothing_else() -> None:
    report = read_report(arf(("r1", "fail"), ("r2", "pass"), ("r3", "notselected"), ("r4", "error"), ("r5", "fixed")))

    assert report.names == ("web-01", "web-01.town.local")
    assert report.ended_at == NOW
    assert [(each.rule, each.status, each.said, each.title) for each in report.results] == [
        ("r1", "fail", "fail", "Keep it closed"),
        ("r2", "pass", "pass", ""),
        ("r4", "unknown", "error", ""),
        ("r5", "pass", "fixed", ""),
    ]


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (arf().replace(b"?>", b"?>" + BOMB, 1), "a document type is not allowed"),
        (b"not xml", "not XML"),
        (arf()[:-20], "not XML"),
        (b"<a/>", "no XCCDF test result"),
        (arf(("r1", "maybe")), "rule r1: 'maybe' is no result"),
        (arf(("", "pass")), "a rule without a name"),
        (arf(("r1", "notselected")), "no rule has a result"),
        (arf(end="yesterday"), "does not say when the run ended"),
        (arf(inner="<x:deep>" * 101), "nested deeper than 100"),
        (arf(inner='<x:TestResult end-time="2026-11-20T00:00:00Z"/>'), "more than one run"),
    ],
)
def test_it_refuses_what_it_may_not_read(data: bytes, said: str) -> None:
    with pytest.raises(XccdfError, match=said):
        read_report(data)


@pytest.mark.parametrize(
    "encoding",
    ["shift_jis", "cp932", "euc_jp", "iso-2022-jp", "utf-7", "idna", "punycode", "base64", "nonsense"],
)
def test_it_reads_no_encoding_that_the_parser_does_not_know(encoding: str) -> None:
    with pytest.raises(XccdfError, match=f"the encoding '{encoding}' is not read; UTF-8, UTF-16"):
        read_report(arf(("r1", "fail")).replace(b"UTF-8", encoding.encode(), 1))


def test_it_takes_no_end_before_there_were_scanners() -> None:
    with pytest.raises(XccdfError, match="does not say when the run ended"):
        read_report(arf(end="0001-01-01T00:00:00+14:00"))


def test_it_bounds_results_and_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xccdf, "MAX_RULES", 2)
    long = arf(("r1", "pass")).replace(b"Keep", b"K" * 100_000)

    assert len(read_report(long).results[0].title) <= xccdf.MAX_TEXT_CHARS
    with pytest.raises(XccdfError, match="more than 2 results"):
        read_report(arf(("r1", "pass"), ("r2", "pass"), ("r3", "pass")))


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=60), st.integers(0, 2000))
def test_it_answers_whatever_happened_to_a_file(damage: bytes, at: int) -> None:
    data = bytearray(arf(("r1", "fail")))
    data[at % len(data) : at % len(data) + len(damage)] = damage
    try:
        read_report(bytes(data))
    except XccdfError as error:
        assert str(error)  # noqa: PT017


def test_a_rule_that_was_looked_at_in_several_places_is_as_bad_as_the_worst_of_them() -> None:
    twice = arf(
        ("r1", "fail"), ("r1", "pass"), ("r2", "pass"), ("r2", "error"), ("r3", "pass"), ("r3", "notapplicable")
    )

    assert {each.rule: each.said for each in read_report(twice).results} == {"r1": "fail", "r2": "error", "r3": "pass"}


def test_a_time_without_a_zone_is_what_the_clock_of_the_office_shows() -> None:
    japan = timezone(timedelta(hours=9))

    assert read_report(arf(("r1", "pass"), end="2026-11-20T12:00:00"), japan).ended_at == NOW
    assert read_report(arf(("r1", "pass"), end="2026-11-20T03:00:00Z"), japan).ended_at == NOW


def test_it_takes_no_name_that_every_machine_has_and_no_end_of_names() -> None:
    many = "".join(f"<x:target>pc-{number}</x:target>" for number in range(100))
    report = read_report(arf(("r1", "pass"), inner=f"<x:target>localhost.localdomain</x:target>{many}"))

    assert "localhost.localdomain" not in report.names
    assert len(report.names) == xccdf.MAX_NAMES


def report(at: datetime, **said: str) -> ScannerReport:
    results = tuple(ScannerResult(rule=rule, status=xccdf.STATUSES[word], said=word) for rule, word in said.items())
    return ScannerReport(names=("web-01",), ended_at=at, results=results)


def intervals(office: Office) -> list[tuple[str, str, datetime, datetime | None]]:
    with office.database.read() as connection:
        rows = connection.execute(
            sa.select(scanner_results).order_by(scanner_results.c.rule, scanner_results.c.observed_from)
        )
        return [(row.rule, row.status, row.observed_from, row.observed_to) for row in rows]


def take(office: Office, host_id: uuid.UUID, told: ScannerReport) -> tuple[int, int]:
    with office.database.write() as connection:
        return take_report(connection, host_id, "openscap", told, NOW + timedelta(days=9))


def test_it_keeps_what_a_scanner_said_from_when_to_when(office: Office) -> None:
    web = office.add_host("web-01")
    later = NOW + timedelta(days=1)

    first = take(office, web, report(NOW, r1="fail", r2="pass", r3="pass"))
    again = take(office, web, report(NOW, r1="fail", r2="pass", r3="pass"))
    second = take(office, web, report(later, r1="pass", r2="pass"))

    assert (first, again, second) == ((3, 3), (3, 0), (2, 1))
    assert intervals(office) == [
        ("r1", "fail", NOW, later),
        ("r1", "pass", later, None),
        ("r2", "pass", NOW, None),
        ("r3", "pass", NOW, later),
    ]
    with pytest.raises(Failure, match="a newer result of openscap is there already"):
        take(office, web, report(NOW, r1="fail"))


def test_a_newer_run_that_changed_nothing_is_newer_all_the_same(office: Office) -> None:
    web = office.add_host("web-01")
    take(office, web, report(NOW, r1="fail"))
    take(office, web, report(NOW + timedelta(days=7), r1="fail"))

    with pytest.raises(Failure, match="a newer result of openscap is there already, of 2026-11-27"):
        take(office, web, report(NOW + timedelta(days=3), r1="pass"))
    assert intervals(office) == [("r1", "fail", NOW, None)]
    assert take(office, web, report(NOW + timedelta(days=7), r1="fail")) == (1, 0), "the same run again"


def test_it_finds_the_machine_only_where_the_name_is_that_of_one(office: Office) -> None:
    web = office.add_host("WEB-01")
    office.add_host("db-01")
    office.add_host("10")

    with office.database.read() as connection:
        asked: tuple[list[str], ...] = (["web-01.town.local"], ["web-01", "db-01"], ["x"], [], ["10.1.2.3"])
        found = [find_scanned(connection, names) for names in asked]

    assert found == [web, None, None, None, None], "10 is no name of 10.1.2.3"


def test_it_takes_a_file_in_and_exports_it_with_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    office = Office(tmp_path)
    office.report(web := office.add_host("web-01"), linux(), datetime.now(UTC))
    file = tmp_path / "arf.xml"
    file.write_bytes(arf(("r1", "fail"), ("r2", "pass")))

    with pytest.raises(SystemExit) as ended:
        cli.main(["results", "import", str(file), "--data-dir", str(tmp_path)])
    said = capsys.readouterr().out
    with pytest.raises(SystemExit) as refused:
        cli.main(["results", "import", str(file), "--host", "nobody", "--data-dir", str(tmp_path)])

    assert (ended.value.code, refused.value.code) == (0, 1)
    assert "2 results of openscap, 2 of them new or changed\n1 fail, 0 unknown, 1 pass, 0 not applicable" in said
    assert [(each.rule, each.title) for each in next(machines(office.database, datetime.now(UTC), UTC)).scanned] == [
        ("r1", "Keep it closed"),
        ("r2", ""),
    ]
    with office.database.read() as connection:
        assert {row.scanner for row in current(connection, [web])} == {"openscap"}
