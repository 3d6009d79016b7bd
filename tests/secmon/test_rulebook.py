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
from secmon.config import Config, Rules
from secmon.errors import UsageError
from secmon.resources import rules_dir
from secmon.rulebook import rules_folders
from tests.support.running import running
from tests.support.site import write_site


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


def test_it_takes_the_offices_own_rules_and_keeps_the_last_good_ones_on_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(app, "WATCH_S", 0.05)
    site = tmp_path / "data" / "rules"
    with running(tmp_path / "data") as collector, caplog.at_level(logging.WARNING):
        rulebook = collector.rulebook
        shipped = rulebook.current.version

        limits = "screen_lock.enabled: {limits: {lock_s: {lgwan: 300, lgwann: 300}}}"
        write_site(site, {"overrides/lock.yaml": limits})
        _until(lambda: rulebook.current.version != shipped)
        assert rulebook.current.checks["screen_lock.enabled"].limits["lock_s"].of("lgwan") == 300
        adapted = rulebook.current.version
        _until(lambda: "name the zone 'lgwann', which the settings do not have" in caplog.text)

        write_site(site, {"overrides/lock.yaml": "screen_lock.enabled: {limits: {lock_s: {lgwan: soon}}}"})
        _until(lambda: bool(rulebook.trouble))
        assert rulebook.current.version == adapted
        assert f"{site}/overrides/lock.yaml:1" in rulebook.trouble
        assert "the last good ones stay" in caplog.text

        write_site(site, {"overrides/lock.yaml": "screen_lock.gone: {severity: low}"})
        _until(lambda: rulebook.trouble == "" and bool(rulebook.current.misfits))
        health = f"{collector.started.console_url}/healthz"
        with urllib.request.urlopen(health, timeout=30) as answer:  # noqa: S310 — our own loopback address
            said = answer.read().decode()
        assert "there is no check 'screen_lock.gone'" in said
        assert "there is no check 'screen_lock.gone'" in caplog.text
        before = rulebook.current.version

        site.rename(tmp_path / "elsewhere")
        _until(lambda: bool(rulebook.trouble))
        assert (rulebook.current.version, "the office's own rules are gone" in rulebook.trouble) == (before, True)
        site.mkdir()
        (site / "README.md").touch()
        (site / "overrides").mkdir()
        write_site(site, {"overrides/lock.yaml": "screen_lock.enabled: {severity: low}"})
        _until(lambda: rulebook.trouble == "")


def test_a_folder_that_the_settings_name_must_be_there_and_not_be_the_shipped_one(tmp_path: Path) -> None:
    for site, reason in ((tmp_path / "nowhere", "is no folder"), (rules_dir(), "a folder of their own")):
        config = Config(data_dir=str(tmp_path), rules=Rules(site=str(site)))
        with pytest.raises(UsageError, match=reason):
            rules_folders(config)
    assert rules_folders(Config(data_dir=str(tmp_path))) == (rules_dir(), tmp_path / "rules")
