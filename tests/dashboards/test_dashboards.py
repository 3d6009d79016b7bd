"""Dashboards, provisioning and rules hold together: names that exist, declared choices, nothing that phones home."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess  # noqa: TID251 — promtool judges the rules
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from secmon.evaluate.areas import AREAS
from secmon.evaluate.model import STANDINGS
from secmon.metrics.exposition import Exposition
from secmon.metrics.runtime import Runtime
from secmon.resources import dashboards_dir, rules_dir
from tests.dashboards.panels import FOLDER, dashboard
from tests.support.office import Office

DASHBOARDS = sorted(FOLDER.glob("*.json"))
GRAFANA = dashboards_dir() / "grafana"
RULES = sorted((rules_dir() / "prometheus").glob("*.yaml"))
TESTS_OF_RULES = Path(__file__).with_name("alerts_test.yaml")
JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龠]")

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here (apt: prometheus)")


def panels(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dashboard(path)["panels"]
    return found


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
class TestDashboard:
    def test_it_gives_every_panel_its_own_place(self, path: Path) -> None:
        assert len({panel["id"] for panel in panels(path)}) == len(panels(path))
        for panel in panels(path):
            assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        for one, other in combinations((panel["gridPos"] for panel in panels(path)), 2):
            apart_across = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            apart_down = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
            assert apart_across or apart_down

    def test_it_speaks_japanese(self, path: Path) -> None:
        assert JAPANESE.search(dashboard(path)["title"])
        for panel in panels(path):
            assert JAPANESE.search(panel["title"])
            assert JAPANESE.search(panel["description"])
        for variable in dashboard(path)["templating"]["list"]:
            assert JAPANESE.search(variable["label"])

    def test_it_says_in_which_unit_it_counts(self, path: Path) -> None:
        for panel in panels(path):
            config = panel["fieldConfig"]
            given = [config["defaults"].get("unit")]
            given += [
                each["value"] for field in config["overrides"] for each in field["properties"] if each["id"] == "unit"
            ]
            assert any(given), panel["title"]
            assert config["defaults"]["thresholds"]["steps"][0]["value"] is None, panel["title"]

    def test_it_asks_the_provisioned_source_about_declared_choices(self, path: Path) -> None:
        (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/secmon.yaml").read_text())["datasources"]
        declared = {variable["name"] for variable in dashboard(path)["templating"]["list"]}
        for panel in panels(path):
            for each in (panel, *panel["targets"]):
                assert each["datasource"] == {"type": source["type"], "uid": source["uid"]}
            for target in panel["targets"]:
                assert set(re.findall(r"\$(\w+)", target["expr"])) <= declared

    def test_it_shows_how_old_the_data_is_and_when_rules_changed(self, path: Path) -> None:
        assert "データの古さ" in {panel["title"] for panel in panels(path)}
        (annotation,) = dashboard(path)["annotations"]["list"]
        assert annotation["expr"] == "secmon_rules_loaded_timestamp_seconds*1000"
        assert annotation["useValueForTime"] is True


def test_it_asks_only_for_metrics_that_exist(tmp_path: Path) -> None:
    known = names(tmp_path)
    text = [target["expr"] for path in DASHBOARDS for panel in panels(path) for target in panel["targets"]]
    for path in RULES:
        groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        text += [rule["expr"] for group in groups for rule in group["rules"]]
    asked = {name for each in text for name in re.findall(r"\bsecmon_\w+", each)}
    assert len(asked) > 10
    assert asked <= known


def names(folder: Path) -> set[str]:
    """Of all metrics, also those without a series at the moment."""
    office = Office(folder)

    class Holder:
        current = office.rules

    page, _ = Exposition(office.database, office.config, Holder(), Runtime(), lambda: datetime.now(UTC)).render("")
    found = set()
    for family in text_string_to_metric_families(page.decode()):
        found |= {family.name + "_total"} if family.type == "counter" else {family.name}
        found |= {sample.name for sample in family.samples}
    return found


def test_it_names_every_area_and_answer_in_japanese() -> None:
    (areas,) = [panel for panel in panels(FOLDER / "overview.json") if panel["title"] == "分野別"]
    properties = {
        field["matcher"]["options"]: {each["id"]: each["value"] for each in field["properties"]}
        for field in areas["fieldConfig"]["overrides"]
    }
    (mapping,) = properties["area\\status"]["mappings"]
    assert {area: shown["text"] for area, shown in mapping["options"].items()} == {
        area: text.ja for area, text in AREAS.items()
    }
    assert {properties[status]["displayName"] for status in STANDINGS} == {
        "適合", "不適合", "確認不能", "例外", "対象外",
    }  # fmt: skip


def test_it_finds_the_dashboards_where_grafana_is_told_to_look() -> None:
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/secmon.yaml").read_text())["providers"]
    assert provider["options"]["path"] == "$SECMON_DASHBOARDS"
    assert provider["allowUiUpdates"] is False
    assert len({dashboard(path)["uid"] for path in DASHBOARDS}) == len(DASHBOARDS) > 0


def test_it_keeps_grafana_from_calling_the_internet() -> None:
    settings = configparser.ConfigParser()
    settings.read(GRAFANA / "grafana.ini", encoding="utf-8")
    off = {
        "analytics": ("reporting_enabled", "check_for_updates", "check_for_plugin_updates"),
        "news": ("news_feed_enabled",),
        "snapshots": ("external_enabled",),
    }
    assert not any(settings.getboolean(section, name) for section, each in off.items() for name in each)
    on = {"security": "disable_gravatar", "plugins": "preinstall_disabled"}
    assert all(settings.getboolean(section, name) for section, name in on.items())


def test_it_scrapes_each_minute_with_a_token_from_a_file() -> None:
    text = (dashboards_dir() / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    (job,) = config["scrape_configs"]
    assert config["global"]["scrape_interval"] == "60s"
    assert job["job_name"] == "secmon"
    assert job["authorization"]["type"] == "Bearer"
    assert "credentials_file" in job["authorization"]
    assert "--storage.tsdb.retention.time=400d" in text


@needs_promtool
@pytest.mark.parametrize(
    "command",
    [
        ("check", "rules", *map(str, RULES)),
        ("test", "rules", str(TESTS_OF_RULES)),
        ("check", "config", "--syntax-only", str(dashboards_dir() / "prometheus" / "prometheus.yml")),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_it_satisfies_promtool(command: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_it_tests_every_rule() -> None:
    tested = TESTS_OF_RULES.read_text(encoding="utf-8")
    rules = [
        rule
        for path in RULES
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]
    for rule in rules:
        name = rule.get("alert") or rule["record"]
        assert f"alertname: {name}\n        exp_alerts:" in tested or f"expr: {name}" in tested, name
