"""A terminal on an office's data, on a day of one's choice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from secmon import cli
from secmon.commands import attest, framework
from secmon.evaluate.ruleset import load_rules
from secmon.resources import rules_dir
from tests.support.office import Office

NOW = datetime(2026, 11, 27, 23, tzinfo=UTC)
"""The 28th, 08:00, at the office."""


class Terminal:
    def __init__(self, office: Office, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.office = office
        self.now = NOW
        self._file = file
        self._capsys = capsys
        self._text = ""
        self.said = self.complaint = ""

    def __call__(self, *words: str) -> int:
        with pytest.raises(SystemExit) as ended:
            cli.main([*words, "--config", str(self._file)])
        self.said, self.complaint = self._capsys.readouterr()
        return int(ended.value.code or 0)

    def settings(self, more: str) -> None:
        """Put these in place of those that were put before."""
        self._text = self._text or self._file.read_text(encoding="utf-8")
        self._file.write_text(self._text + more, encoding="utf-8")

    def json(self, *words: str) -> Any:
        assert self(*words, "--json") == 0, self.complaint
        return json.loads(self.said)


GUIDELINE = """
id: soumu-guideline
title: {ja: ガイドライン, en: Guideline}
edition: "1"
verified: false
controls:
  - {id: "5.2", title: {ja: 研修, en: Training}, attested: [training], local_article: 第9条}
  - {id: "7.1", title: {ja: 時刻, en: Time}, checks: [time.synchronized], attested: [log-review], verified: true}
  - {id: "9.1", title: {ja: 監査, en: Audit}, attested: [audit]}
  - {id: "9.9", title: {ja: 天気, en: Weather}}
"""


THREATS = """
id: ipa
title: {ja: 脅威, en: Threats}
verified: false
threats:
  - {id: "1", title: {ja: 改ざん, en: Forgery}, areas: [time], attested: [training, backup]}
  - {id: "2", title: {ja: 停電, en: Darkness}}
"""


@pytest.fixture(scope="session")
def few_rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All questions, and of the rest little, so that a command is quick."""
    folder = tmp_path_factory.mktemp("few") / "rules"
    shutil.copytree(rules_dir() / "attestations", folder / "attestations")
    shutil.copytree(rules_dir() / "checks" / "time", folder / "checks" / "time")
    shutil.copytree(rules_dir() / "alerts", folder / "alerts")
    (folder / "threats").mkdir()
    (folder / "threats" / "t.yaml").write_text(THREATS, encoding="utf-8")
    (folder / "frameworks").mkdir()
    (folder / "frameworks" / "soumu-guideline.yaml").write_text(GUIDELINE, encoding="utf-8")
    return folder


@pytest.fixture
def terminal(
    tmp_path: Path, few_rules: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Terminal]:
    office = Office(tmp_path, rules=load_rules(few_rules))
    file = tmp_path / "secmon.toml"
    file.write_text(f'data_dir = "{tmp_path}"\n[rules]\nfolder = "{few_rules}"\n', encoding="utf-8")
    built = Terminal(office, file, capsys)
    for module in (attest, framework):
        monkeypatch.setattr(module, "now_utc", lambda: built.now)
    yield built
    office.database.close()
