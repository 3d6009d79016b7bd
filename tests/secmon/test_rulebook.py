"""Rules that change while a collector runs: good ones are taken, broken ones are not, and it says so."""

from __future__ import annotations

import logging
import shutil
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from secmon import app
from secmon.config import Rules
from secmon.resources import rules_dir
from tests.support.running import running


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_it_keeps_the_last_good_rules_and_says_so_until_they_are_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "rules"
    shutil.copytree(rules_dir(), folder)
    check = folder / "checks" / "access" / "ssh-root-login.yaml"
    good = check.read_text(encoding="utf-8")
    monkeypatch.setattr(app, "WATCH_S", 0.05)
    with running(tmp_path / "data", rules=Rules(folder=str(folder))) as collector, caplog.at_level(logging.ERROR):
        version = collector.rulebook.current.version
        health = f"{collector.started.console_url}/healthz"

        check.write_text(good.replace("severity: medium", "severity: terrible"), encoding="utf-8")
        _until(lambda: bool(collector.rulebook.trouble))

        assert collector.rulebook.current.version == version
        with urllib.request.urlopen(health, timeout=30) as answer:  # noqa: S310 — our own loopback address
            said = answer.read().decode()
        line = next(number for number, text in enumerate(good.splitlines(), 1) if text.startswith("severity"))
        assert f"ssh-root-login.yaml:{line}" in said
        assert "the last good ones stay" in caplog.text

        check.write_text(good.replace("severity: medium", "severity: low"), encoding="utf-8")
        _until(lambda: collector.rulebook.current.version != version)
        assert collector.rulebook.trouble == ""
