"""What leaves secmon is complete, says what is not known, and can hurt no program that opens it."""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from secmon import cli
from secmon.evaluate.model import Item, Text
from secmon.exceptions.borne import Borne
from secmon.exceptions.model import Kind, Scope
from secmon.export.model import Answer, CheckWords, Export, Machine, machines
from secmon.export.oscal import document
from secmon.export.table import as_csv
from tests.secmon.alerts.desk import listening
from tests.secmon.exceptions.registry import TELNET, enter
from tests.support.office import START, Office, linux

NOW = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
CHECK = CheckWords(
    id="ports.odd", area="ports", title=Text(ja="開いた口", en="Open ports"), severity="low",
    controls={"cis-controls": ("4.4", "4.8")},
)  # fmt: skip


def machine(name: str, *statuses: str, **given: Any) -> Machine:
    answers = tuple(
        Answer(check="ports.odd", status=status, since=NOW, cause="machine", ruleset="r1", **given)
        for status in statuses
    )
    return Machine(
        host_id=uuid.uuid4(), name=name, asset_number="A-1", attributes={"zone": "lgwan", "department": "総務課"},
        observed_at=NOW if statuses else None, answers=answers,
    )  # fmt: skip


def export(*machines: Machine) -> Export:
    return Export(
        format="secmon.results.v1", collector_id=uuid.uuid4(), generation=1, exported_at=NOW, office="北の町役場",
        ruleset="r1", checks=(CHECK,), machines=machines,
    )  # fmt: skip


def lines(data: bytes) -> list[list[str]]:
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_it_writes_a_line_for_each_item_that_no_spreadsheet_takes_for_a_formula() -> None:
    items = (
        Item(key="=cmd|'/c calc'!A0", status="fail", evidence="+1"),
        Item(key="tcp/80", status="unknown", reason="ports.listening[].process not determined"),
    )

    head, first, second = lines(as_csv(export(machine("@pc", "fail", items=items)), "ja", UTC))  # type: ignore[arg-type]

    assert head[:7] == ["端末", "台帳番号", "系統", "課", "設置場所", "結果", "点検項目"]
    assert first[:1] + first[5:7] + first[9:11] == ["'@pc", "要対応", "開いた口", "'=cmd|'/c calc'!A0", "'+1"]
    assert second[5] == "確認不能"
    assert "読み取れませんでした" in second[10]
    assert first[13] == "cis-controls 4.4, 4.8"


def test_it_has_a_line_for_a_machine_that_never_reported() -> None:
    _, only = lines(as_csv(export(machine("pc")), "en", UTC))  # type: ignore[arg-type]

    assert (only[0], only[5], len(only)) == ("pc", "", 18)


@pytest.mark.parametrize(
    ("statuses", "state", "described"),
    [
        (("pass", "pass"), "satisfied", "2 pass, 0 fail, 0 unknown, 0 not applicable"),
        (("pass", "fail"), "not-satisfied", "1 pass, 1 fail, 0 unknown, 0 not applicable"),
        (("pass", "unknown"), "not-satisfied", "1 pass, 0 fail, 1 unknown, 0 not applicable"),
        (("pass", None), "not-satisfied", "1 pass, 0 fail, 1 unknown, 0 not applicable"),
        (("not_applicable",), None, ""),
    ],
)
def test_it_calls_satisfied_only_what_every_machine_passes(
    statuses: tuple[str | None, ...], state: str | None, described: str
) -> None:
    machines = [machine(f"pc-{n}", *([status] if status else [])) for n, status in enumerate(statuses)]

    (result,) = document(export(*machines), "en")["assessment-results"]["results"]  # type: ignore[index]

    findings = result.get("findings", [])
    assert [each["target"]["status"]["state"] for each in findings] == ([state] if state else [])
    assert all(each["description"] == described for each in findings)


UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TOKEN = re.compile(r"[^\W\d]([\w.-])*")


def test_it_keeps_the_forms_that_oscal_asks_for() -> None:
    items = (Item(key="tcp/80", status="fail", evidence="80"),)
    made = document(export(machine("pc", "fail", items=items), machine("silent")), "ja")
    told = json.loads(msgspec.json.encode(made))["assessment-results"]
    (result,) = told["results"]

    seen = list(_walk(told))
    assert {"uuid", "metadata", "import-ap", "results"} <= told.keys()
    assert {"uuid", "title", "description", "start", "reviewed-controls"} <= result.keys()
    assert all(UUID.fullmatch(value) for key, value in seen if key.endswith("uuid"))
    assert all(TOKEN.fullmatch(value) for key, value in seen if key in ("name", "target-id"))
    assert all(value and value == value.strip() for key, value in seen if key == "value")
    assert all(value not in ([], {}) for key, value in seen if key != "include-all")  # lists hold at least one
    known = {each["uuid"] for each in result["local-definitions"]["inventory-items"]}
    assert {each["subjects"][0]["subject-uuid"] for each in result["observations"]} <= known
    related = {each["observation-uuid"] for each in result["findings"][0]["related-observations"]}
    assert related == {each["uuid"] for each in result["observations"]}
    assert told["import-ap"]["href"] == f"#{told['back-matter']['resources'][0]['uuid']}"


def _walk(value: Any) -> Any:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)


@pytest.mark.parametrize("format_", ["json", "csv", "oscal"])
def test_it_exports_every_machine_in_service(tmp_path: Path, format_: str, capsys: pytest.CaptureFixture[str]) -> None:
    office = Office(tmp_path)
    office.report(office.add_host("server", zone="lgwan", asset_number="A-9"), linux(), datetime.now(UTC))
    office.add_host("silent")
    out = tmp_path / "out.file"

    with pytest.raises(SystemExit) as ended:
        cli.main(["results", "export", "--format", format_, "--out", str(out), "--data-dir", str(tmp_path)])

    assert ended.value.code == 0
    assert out.stat().st_mode & 0o077 == 0
    text = out.read_text(encoding="utf-8-sig")
    assert capsys.readouterr().out == f"{out}\n"
    assert all(
        word in text for word in ("server", "silent", "A-9", "ports.exposed-high-risk", str(office.collector_id))
    )
    if format_ == "json":
        told = json.loads(text)
        assert [each["name"] for each in told["machines"]] == ["server", "silent"]
        assert len(told["machines"][0]["answers"]) == len(office.rules.checks)
        assert told["machines"][1]["observed_at"] is None


def test_it_says_that_the_file_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Office(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(
            [
                "results",
                "export",
                "--format",
                "csv",
                "--out",
                str(tmp_path / "no" / "x.csv"),
                "--data-dir",
                str(tmp_path),
            ]
        )

    assert ended.value.code == 1
    assert "cannot be written" in capsys.readouterr().err


def borne(kind: Kind, item: str = "tcp/23") -> Borne:
    return Borne(
        item=item, number="2026-E01" if kind == "exception" else "2026-D01", kind=kind,
        approver="総務課長" if kind == "exception" else "", until=date(2027, 3, 31),
        ends_at=datetime(2027, 3, 31, 15, tzinfo=UTC), reason="後継機の納品待ち", measure="通信を庁内に限定",
    )  # fmt: skip


def test_its_table_says_who_accepted_what_until_when() -> None:
    items = (Item(key="tcp/21", status="fail"), Item(key="tcp/23", status="fail"), Item(key="tcp/99", status="fail"))
    accepted, disputed = borne("exception"), borne("dispute", "tcp/21")
    made = export(machine("pc", "fail", items=items, standing="fail", borne=(disputed, accepted)))

    head, *rows = lines(as_csv(made, "ja", UTC))  # type: ignore[arg-type]

    assert head[14:] == ["収集サーバーID", "例外措置・誤検知", "承認者", "例外措置・誤検知の期限"]
    assert [[row[9], row[5], *row[15:]] for row in rows] == [
        ["tcp/21", "確認不能（誤検知の届け出）", "2026-D01", "", "2027-03-31"],
        ["tcp/23", "例外", "2026-E01", "総務課長", "2027-03-31"],
        ["tcp/99", "要対応", "", "", ""],
    ]


def test_oscal_tells_an_accepted_risk_as_an_approved_deviation_and_no_success() -> None:
    accepted = machine("pc-1", "fail", standing="excepted", borne=(borne("exception"),))
    disputed = machine("pc-2", "fail", standing="unknown", borne=(borne("dispute"),))

    def result(*machines: Machine) -> Any:
        return json.loads(msgspec.json.encode(document(export(*machines), "en")))["assessment-results"]["results"][0]

    alone, both = result(accepted, machine("pc-3", "pass")), result(accepted, disputed)

    (finding,) = alone["findings"]
    (risk,) = alone["risks"]
    assert finding["description"] == "1 pass, 0 fail, 0 unknown, 1 excepted, 0 not applicable"
    assert finding["target"]["status"]["state"] == "not-satisfied"
    assert "accepted" in finding["target"]["status"]["remarks"]
    assert finding["related-risks"] == [{"risk-uuid": risk["uuid"]}]
    assert (risk["status"], risk["statement"]) == ("deviation-approved", "後継機の納品待ち")
    assert risk["deadline"] == "2027-03-31T15:00:00+00:00"
    assert {"name": "type", "value": "accept"} in risk["remediations"][0]["props"]
    assert risk["remediations"][0]["description"] == "通信を庁内に限定"
    assert {each["value"] for each in risk["props"]} >= {"2026-E01", "総務課長", "2027-03-31"}
    known = {each["uuid"] for each in alone["observations"]}
    assert {each["observation-uuid"] for each in risk["related-observations"]} <= known
    assert both["findings"][0]["description"] == "0 pass, 0 fail, 1 unknown, 1 excepted, 0 not applicable"
    assert {each["status"] for each in both["risks"]} == {"deviation-approved", "investigating"}


def test_it_exports_what_holds_at_this_moment(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.report(office.add_host("PC-01", zone="lgwan"), listening(22, 23), START)
    enter(office, Scope(check=TELNET, item="tcp/23", zone="lgwan"), START)

    def answer(now: datetime) -> Answer:
        (found,) = machines(office.database, now, office.config.tz)
        return next(each for each in found.answers if each.check == TELNET)

    held, over = answer(START), answer(datetime(2027, 4, 1, tzinfo=UTC))
    assert (held.status, held.standing) == ("fail", "excepted")
    assert [(each.item, each.approver, str(each.until)) for each in held.borne] == [
        ("tcp/23", "総務課長", "2027-03-31")
    ]
    assert (over.standing, over.borne) == ("fail", ())
