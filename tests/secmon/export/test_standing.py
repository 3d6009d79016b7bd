"""What somebody bears with leaves secmon as such: neither as a plain failure nor as anything better."""

from __future__ import annotations

import csv
import io
import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from secmon.evaluate.model import Item, Text
from secmon.exceptions.model import Scope
from secmon.export.model import Answer, CheckWords, Export, Machine, machines
from secmon.export.oscal import document
from secmon.export.table import as_csv
from secmon.scanners.xccdf import ScannerReport, ScannerResult
from secmon.store.hosts import set_attribute
from secmon.store.scanners import take_report
from tests.secmon.alerts.desk import listening
from tests.secmon.exceptions.registry import TELNET, enter
from tests.support.office import START, Office

CHECK = CheckWords(id=TELNET, area="ports", title=Text(ja="危険な口", en="Risky ports"), severity="high", controls={})
NOW = START + timedelta(days=2)


@pytest.fixture
def two(tmp_path: Path) -> Office:
    """Two machines with an open telnet, one of them in LGWAN."""
    office = Office(tmp_path)
    for name, zone in (("LG-1", "lgwan"), ("IN-1", "internet")):
        office.report(office.add_host(name, zone=zone), listening(23), START)
    return office


def export(office: Office) -> Export:
    return Export(
        format="secmon.results.v1", collector_id=office.collector_id, generation=1, exported_at=NOW, office="町役場",
        ruleset="r1", checks=(CHECK,), machines=tuple(machines(office.database, NOW, UTC)),
    )  # fmt: skip


def finding(made: Export) -> Any:
    (result,) = json.loads(msgspec.json.encode(document(made, "en")))["assessment-results"]["results"]
    (found,) = result["findings"]
    return found


def props(observation: Any) -> dict[str, str]:
    return {prop["name"]: prop["value"] for prop in observation["props"]}


def observations(made: Export, name: str) -> list[Any]:
    (machine,) = [each for each in made.machines if each.name == name]
    (result,) = json.loads(msgspec.json.encode(document(made, "en")))["assessment-results"]["results"]
    return [each for each in result["observations"] if each["subjects"][0]["subject-uuid"] == str(machine.host_id)]


def cells(made: Export) -> dict[str, str]:
    text = as_csv(made, "ja", ZoneInfo("Asia/Tokyo")).decode("utf-8-sig")
    return {row[0]: row[5] for row in csv.reader(io.StringIO(text, newline="")) if row[7] == TELNET}


def test_an_excepted_failure_stands_apart_and_satisfies_nothing(two: Office) -> None:
    enter(two, Scope(check=TELNET, zone="lgwan"), NOW)
    made = export(two)

    assert cells(made) == {"LG-1": "例外", "IN-1": "要対応"}
    (told,) = [each for each in observations(made, "LG-1") if props(each)["check"] == TELNET]
    assert (props(told)["status"], props(told)["standing"]) == ("fail", "excepted")
    assert finding(made)["description"] == "0 pass, 1 fail, 0 unknown, 1 excepted, 0 not applicable"
    assert finding(made)["target"]["status"]["reason"] == "fail"

    enter(two, Scope(check=TELNET, zone="internet"), NOW)
    status = finding(export(two))["target"]["status"]
    assert (status["state"], status["reason"]) == ("not-satisfied", "other")
    assert "accepted" in status["remarks"]


def test_a_disputed_failure_counts_as_unknown(two: Office) -> None:
    enter(two, Scope(check=TELNET), NOW, kind="dispute")
    made = export(two)

    assert set(cells(made).values()) == {"確認不能（誤検知の届け出）"}
    assert finding(made)["description"] == "0 pass, 0 fail, 2 unknown, 0 not applicable"


def test_a_machine_in_storage_is_told_and_decides_no_finding(two: Office) -> None:
    made = export(two)
    stored = next(each for each in made.machines if each.name == "IN-1")
    with two.database.write() as connection:
        set_attribute(connection, stored.host_id, "use", "stored", NOW)
    made = export(two)

    assert finding(made)["description"] == "0 pass, 1 fail, 0 unknown, 0 not applicable"
    assert observations(made, "IN-1")


def test_what_could_not_be_read_of_an_item_says_why() -> None:
    items = (Item(key="tcp/80", status="unknown", reason="ports.listening[].process not determined"),)
    answer = Answer(check=TELNET, status="unknown", since=NOW, cause="machine", ruleset="r1", items=items)
    machine = Machine(
        host_id=uuid.uuid4(), name="pc", asset_number=None, attributes={}, observed_at=NOW, answers=(answer,)
    )
    made = Export(
        format="f", collector_id=uuid.uuid4(), generation=1, exported_at=NOW, office="o", ruleset="r1",
        checks=(CHECK,), machines=(machine,),
    )  # fmt: skip

    (told,) = observations(made, "pc")
    assert told["relevant-evidence"] == [{"description": "tcp/80: unknown: ports.listening[].process not determined"}]


def test_what_another_scanner_said_is_an_observation_with_the_day_it_last_looked(two: Office) -> None:
    host = next(each.host_id for each in machines(two.database, NOW, UTC) if each.name == "LG-1")
    result = ScannerResult(rule="xccdf_rule_1", status="fail", said="fail", title="Keep it closed")
    with two.database.write() as connection:
        for day in (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)):
            take_report(connection, host, "openscap", ScannerReport(names=(), ended_at=day, results=(result,)), NOW)
    made = export(two)

    (told,) = [each for each in observations(made, "LG-1") if "scanner" in props(each)]
    assert (told["title"], props(told)["status"], props(told)["scanner"]) == ("Keep it closed", "fail", "openscap")
    assert (props(told)["since"], told["collected"]) == ("2026-11-01T00:00:00+00:00", "2026-11-03T00:00:00+00:00")
