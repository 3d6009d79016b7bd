"""A terminal on an office's data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from secmon import cli
from secmon.commands import exceptions as commands
from tests.secmon.alerts.desk import listening
from tests.support.office import START, Office

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)


class Terminal:
    """Runs commands on an office's data, at NOW."""

    def __init__(self, office: Office, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.office = office
        self._file = file
        self._capsys = capsys
        self.said = self.complaint = ""

    def __call__(self, *words: str) -> int:
        with pytest.raises(SystemExit) as ended:
            cli.main([*words, "--config", str(self._file)])
        self.said, self.complaint = self._capsys.readouterr()
        return int(ended.value.code or 0)

    def json(self, *words: str) -> Any:
        assert self(*words, "--json") == 0, self.complaint
        return json.loads(self.said)


@pytest.fixture
def terminal(
    tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Terminal]:
    office = Office(tmp_path, database_url)
    host = office.add_host("PC-01", zone="lgwan", department="総務課")
    office.report(host, listening(21, 22, 23), START)
    file = tmp_path / "secmon.toml"
    zones = "".join(f'[[zones]]\nid = "{zone.id}"\nname = "{zone.name}"\n' for zone in office.config.zones)
    file.write_text(f'data_dir = "{tmp_path}"\n{zones}[database]\nurl = "{database_url}"\n', encoding="utf-8")
    monkeypatch.setattr(commands, "now_utc", lambda: NOW)
    yield Terminal(office, file, capsys)
    office.database.close()
