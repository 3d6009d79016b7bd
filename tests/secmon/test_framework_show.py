"""`secmon framework show` without data: what covers a guideline, said without a claim too many."""

from __future__ import annotations

import json
import shutil
from argparse import Namespace
from pathlib import Path

import pytest
from msgspec.structs import replace

from secmon.commands.framework import framework_show
from secmon.config import Config, Rules
from secmon.errors import UsageError
from secmon.evaluate.model import Language
from secmon.resources import rules_dir
from tests.support.site import write_site

TWO_CONTROLS = """
id: town
title: {ja: 町の規程, en: Rules of the town}
edition: "1"
verified: false
controls:
  - {id: "1", title: {ja: 時刻, en: Time}, checks: [time.synchronized], attested: [log-review], verified: true,
     local_article: 第9条}
  - {id: "2", title: {ja: 研修, en: Training}}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    shutil.copytree(rules_dir(), folder)
    (folder / "frameworks" / "town.yaml").write_text(TWO_CONTROLS, encoding="utf-8")
    return folder


def show(folder: Path, id_: str | None, *, json: bool = False, language: Language = "ja") -> int:
    config = Config()
    config = replace(
        config,
        data_dir=str(folder / "no-data"),
        rules=replace(config.rules, folder=str(folder)),
        office=replace(config.office, language=language),
    )
    return framework_show(Namespace(id=id_, json=json), config)


def test_it_tells_control_by_control_what_is_checked_and_what_only_a_person_can_answer_for(
    rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(rules, "town", language="en") == 0

    first, total, also, time, check, by_hand, training, nothing, no_data, honest = capsys.readouterr().out.splitlines()
    assert first == "town  Rules of the town (1)"
    assert total == "  2 controls: 1 with checks, 0 attested by hand alone, 1 not covered"
    assert also == "    1 of those with checks also rest on a person's word, 1 of them with one missing or overdue"
    assert time == "  1 Time [第9条]"
    assert check.startswith("    time.synchronized  ")
    assert by_hand.startswith("    by hand  Reading the logs  not attested")
    assert training == "  2 Training [number not compared with the published text]"
    assert nothing == "    not covered: neither a check nor a question"
    assert no_data.startswith("There are no data yet")
    assert "do not prove" in honest


def test_it_speaks_japanese_and_tells_of_every_framework_only_the_totals(
    rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show(rules, None)

    said = capsys.readouterr().out
    for file in (rules / "frameworks").glob("*.yaml"):
        assert f"{file.stem}  " in said
    assert "  全2件：点検 1件、人の確認のみ 0件、確かめる手段なし 1件\n" in said
    assert "  IG1  全56件：" in said
    assert "time.synchronized" not in said
    assert said.endswith("ここにない項目は確かめていません。\n")


def test_it_gives_programs_the_same(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(rules, "town", json=True)

    [town] = json.loads(capsys.readouterr().out)
    assert [
        (it["id"], [check["id"] for check in it["checks"]], it["means"], it["verified"], it["local_article"])
        for it in town["controls"]
    ] == [("1", ["time.synchronized"], "checks", True, "第9条"), ("2", [], "none", False, "")]
    assert town["controls"][0]["attested"][0]["state"] == "missing"
    assert town["controls"][0]["checks"][0]["machines"] is None


def test_it_names_the_frameworks_there_are_when_asked_for_another(rules: Path) -> None:
    with pytest.raises(UsageError, match="there is no framework 'cis'"):
        show(rules, "cis")


@pytest.mark.parametrize(("where", "covered"), [("", False), (", zones: [lgwan]", True)])
def test_a_check_that_is_asked_nowhere_covers_nothing(
    rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str, covered: bool
) -> None:
    off = f"time.synchronized: {{disabled: {{reason: 別の仕組み{where}}}}}"
    config = Config(data_dir=str(tmp_path / "data"), rules=Rules(folder=str(rules)))
    write_site(tmp_path / "data/rules", {"overrides/x.yaml": off})

    framework_show(Namespace(id="town", json=True), config)
    control = json.loads(capsys.readouterr().out)[0]["controls"][0]
    framework_show(Namespace(id="town", json=False), config)
    out = capsys.readouterr().out

    assert [check["id"] for check in control["checks"]] == (["time.synchronized"] if covered else [])
    assert (control["means"], bool(control["switched_off"])) == ("checks" if covered else "hand", not covered)
    assert (f"点検 {int(covered)}件" in out, "[調べないことにした項目]" in out) == (True, not covered)
