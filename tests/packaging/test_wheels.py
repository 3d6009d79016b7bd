"""Both wheels, installed into an empty environment outside the checkout: the main job runs from there."""

from __future__ import annotations

import json
import socket
import zipfile
from pathlib import Path

import pytest

from tests.packaging.room import ROOT, Room, build

Wheels = tuple[Path, Path]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    """(agent, collector)"""
    folder = tmp_path_factory.mktemp("wheels")
    return build(ROOT / "agents", folder), build(ROOT, folder)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, wheels: Wheels) -> Room:
    """Both wheels installed."""
    return Room(tmp_path_factory.mktemp("room"), *wheels)


def test_it_carries_every_file_that_is_no_code(wheels: Wheels) -> None:
    with zipfile.ZipFile(wheels[1]) as wheel:
        carried = set(wheel.namelist())
    missing = {
        path.as_posix()
        for folder in ("secmon", "rules", "dashboards")
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
        for path in [file.relative_to(ROOT)]
        if (path.as_posix() if folder == "secmon" else f"secmon/_data/{path.as_posix()}") not in carried
    }
    assert not missing
    assert any(name.startswith("secmon/_data/rules/") for name in carried)
    assert any(name.startswith("secmon/_data/dashboards/") for name in carried)


def test_it_carries_no_file_of_the_checkout_besides(wheels: Wheels) -> None:
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as opened:
            tops = {name.split("/")[0] for name in opened.namelist()}
        package = wheel.name.split("-")[0]
        assert tops == {package, f"{package}-0.1.0.dist-info"}


def test_it_imports_the_installed_packages_and_not_the_checkout(room: Room) -> None:
    files = room.run(
        "python", "-c", "import secmon, secmon_agent; print(secmon.__file__); print(secmon_agent.__file__)"
    )
    assert all(line.startswith(str(room.site)) for line in files.split())


def test_it_judges_this_machine_without_a_server(room: Room) -> None:
    judged = json.loads(room.run("secmon", "inspect", "--json", check=False))
    assert judged["results"]


def test_it_finds_the_rules_inside_the_wheel(room: Room) -> None:
    room.run("secmon", "rules", "check")


def test_it_starts_reports_and_ends_from_the_installed_wheel(room: Room, tmp_path: Path) -> None:
    shown = room.run(
        *("secmon", "up", "--once", "--data-dir", str(tmp_path)),
        *("--ingest", f"127.0.0.1:{_free_port()}", "--console", f"127.0.0.1:{_free_port()}"),
    )
    assert "/metrics" in shown
    assert (tmp_path / "secmon.db").exists()


def test_it_installs_the_agent_alone(tmp_path: Path, wheels: Wheels) -> None:
    alone = Room(tmp_path / "room", wheels[0])
    reported = json.loads(alone.run("secmon-agent", "facts", "--section", "os", "ports"))
    assert reported["sections"].keys() == {"os", "ports"}
    seen = {path.name.split("-")[0].lower() for path in alone.site.glob("*.dist-info")}
    assert seen == {"secmon_agent", "msgspec", "psutil", "pynacl", "cffi", "pycparser"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
