"""`secmon framework show`: what the checks cover of a guideline, said without a claim too many."""

from __future__ import annotations

import json
import shutil
from argparse import Namespace
from pathlib import Path

import pytest
from msgspec.structs import replace

from secmon.commands.framework import framework_show
from secmon.config import Config
from secmon.errors import UsageError
from secmon.evaluate.model import Language
from secmon.resources import rules_dir

TWO_CONTROLS = """
id: town
title: {ja: 町の規程, en: Rules of the town}
edition: "1"
verified: false
controls:
  - {id: "1", title: {ja: 時刻, en: Time}, checks: [time.synchronized], verified: true, local_article: 第9条}
  - {id: "2", title: {ja: 研修, en: Training}, checks: []}
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
        rules=replace(config.rules, folder=str(folder)),
        office=replace(config.office, language=language),
    )
    return framework_show(Namespace(id=id_, json=json), config)


def test_it_tells_control_by_control_what_is_checked_and_what_only_a_person_can_answer_for(
    rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(rules, "town", language="en") == 0

    first, time, check, training, nothing, honest = capsys.readouterr().out.splitlines()
    assert first == "town  Rules of the town (1): 1 of the 2 controls listed have checks"
    assert time == "  1 Time [第9条]"
    assert check.startswith("    time.synchronized  ")
    assert training == "  2 Training [number not compared with the published text]"
    assert nothing == "    no check: a person must see to it"
    assert "do not prove" in honest


def test_it_speaks_japanese_and_gives_a_line_for_each_framework(
    rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show(rules, None)

    *shipped, line, honest = capsys.readouterr().out.splitlines()
    assert len(shipped) == len(list((rules / "frameworks").glob("*.yaml"))) - 1
    assert line == "town  町の規程 (1): 挙げている項目 2件のうち、点検があるもの 1件"
    assert honest.endswith("ここにない項目は点検していません。")


def test_it_gives_programs_the_same(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(rules, "town", json=True)

    [town] = json.loads(capsys.readouterr().out)
    assert [(it["id"], list(it["checks"]), it["verified"], it["local_article"]) for it in town["controls"]] == [
        ("1", ["time.synchronized"], True, "第9条"),
        ("2", [], False, ""),
    ]


def test_it_names_the_frameworks_there_are_when_asked_for_another(rules: Path) -> None:
    with pytest.raises(UsageError, match="there is no framework 'cis'"):
        show(rules, "cis")
