"""On a battery that runs low a scan waits, but not for ever, and what waits is handed over all the same."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from secmon_agent import battery, state, turn
from secmon_agent.outcome import Outcome
from tests.agents.desk import Desk
from tests.agents.server import Collector


def supply(folder: Path, name: str, **said: str) -> None:
    (folder / name).mkdir(parents=True)
    for file, text in said.items():
        (folder / name / file).write_text(text + "\n")


def test_it_knows_a_machine_without_a_battery(tmp_path: Path) -> None:
    assert battery.of_supplies(tmp_path / "none") is None
    supply(tmp_path, "AC", type="Mains", online="1")
    assert battery.of_supplies(tmp_path) is None


def test_it_knows_what_is_left_away_from_the_mains(tmp_path: Path) -> None:
    supply(tmp_path, "AC", type="Mains", online="0")
    supply(tmp_path, "BAT0", type="Battery", status="Discharging", capacity="10")
    supply(tmp_path, "BAT1", type="Battery", status="Not charging", capacity="40")
    assert battery.of_supplies(tmp_path) == 25


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_a_battery_that_is_not_used_up_does_not_count(tmp_path: Path, status: str) -> None:
    supply(tmp_path, "BAT0", type="Battery", status=status, capacity="10")
    assert battery.of_supplies(tmp_path) is None


def test_the_battery_of_a_mouse_does_not_count(tmp_path: Path) -> None:
    supply(tmp_path, "hidpp_battery_0", type="Battery", scope="Device", status="Discharging", capacity="5")
    assert battery.of_supplies(tmp_path) is None


def test_the_mains_win_over_a_battery_that_says_it_discharges(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", type="Battery", status="Discharging", capacity="5")
    supply(tmp_path, "ucsi0", type="USB", online="1")
    assert battery.of_supplies(tmp_path) is None


@pytest.mark.skipif(sys.platform != "win32", reason="asks a running Windows")
def test_windows_answers() -> None:
    left = battery.remaining()
    assert left is None or 0 <= left <= 100


@pytest.fixture
def desk(tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk(tmp_path / "state", collector)
    monkeypatch.setattr("secmon_agent.turn.open_agent", lambda *_: made.agent())
    return made


def take(desk: Desk) -> Outcome:
    return turn.take(None, str(desk.folder), "cycle").outcome


def run_low(monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    monkeypatch.setattr(battery, "remaining", lambda: left)


def test_a_scan_waits_while_little_is_left(desk: Desk, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    run_low(monkeypatch, 19)
    assert take(desk).delivered > 0  # it has never reported
    before = len(collector.received)
    outcome = take(desk)
    assert (outcome.delivered, outcome.trouble, len(collector.received)) == (0, "", before)
    assert outcome.line() == "0 delivered: on battery with 19 % left, below 20 %: the scan waits"
    run_low(monkeypatch, 20)
    assert take(desk).delivered == 1


@pytest.mark.parametrize("hours", [7, -2])
def test_it_does_not_wait_for_ever(desk: Desk, monkeypatch: pytest.MonkeyPatch, hours: float) -> None:
    run_low(monkeypatch, 3)
    take(desk)
    assert take(desk).paused
    then = datetime.now(UTC) - timedelta(hours=hours)
    state.save(desk.folder, replace(desk.state(), last_ack_at=then))
    assert not take(desk).paused


def test_it_hands_over_what_waits(desk: Desk, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    take(desk)
    assert turn.take(None, str(desk.folder), "store").outcome.waiting == 1
    run_low(monkeypatch, 5)
    outcome = take(desk)
    assert outcome.paused
    assert outcome.delivered == 1
