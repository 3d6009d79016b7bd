"""A disk without room: what was stored stays, what was acknowledged stays acknowledged, and room is all it takes."""

from __future__ import annotations

import contextlib
import os
import subprocess  # noqa: TID251 - a small disk is mounted where the system allows it
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from secmon_agent import turn, wire
from secmon_agent.outcome import Outcome
from tests.agents.desk import Desk, ports
from tests.agents.server import Collector, refuse

if sys.platform == "win32":
    pytest.skip("Windows has neither of the two small disks", allow_module_level=True)

import resource

DISK_BYTES = 512 << 10


class Disk:
    """Where the state folder lies: a small file system of its own, or this one with a limit of the kernel's on what a
    process may write, where nothing may be mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
        self.mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0

    def fill(self, leave_bytes: int = 0) -> None:
        if not self.mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (leave_bytes // 40, resource.RLIM_INFINITY))  # of each file
            return
        with (self.folder / "filler").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        with (self.folder / "filler").open("ab") as file:
            file.truncate(max(0, file.tell() - leave_bytes))

    def free(self) -> None:
        (self.folder / "filler").unlink(missing_ok=True)
        if not self.mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def end(self) -> None:
        self.free()
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "disk")
    yield made
    made.end()


@pytest.fixture
def started(disk: Disk, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk(disk.folder / "state", collector)
    monkeypatch.setattr("secmon_agent.turn.open_agent", lambda *_: desk.agent())
    return desk


def take(desk: Desk, what: str) -> Outcome:
    return turn.take(None, str(desk.folder), what).outcome


def waiting(desk: Desk) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in desk.waiting()}


def test_it_fills_a_disk(disk: Disk) -> None:
    disk.fill()
    with pytest.raises(OSError, match=r"No space left|File too large"):
        (disk.folder / "more").write_bytes(b"x" * 100)
    disk.free()
    (disk.folder / "more").write_bytes(b"x" * 100)


@pytest.mark.parametrize("leave_bytes", [0, 4096, 8192])
def test_it_keeps_what_waits_and_recovers_when_there_is_room(
    disk: Disk, started: Desk, collector: Collector, leave_bytes: int
) -> None:
    take(started, "cycle")
    collector.script = [refuse("busy", 503)] * 2
    for number in (1, 2):
        started.sections["ports"] = ports(number)
        take(started, "cycle")
    before = waiting(started)
    assert len(before) == 2
    disk.fill(leave_bytes)
    for number in range(3, 9):  # the collector is away, and every cycle finds the disk full sooner or later
        collector.script = [refuse("busy", 503)]
        started.sections["ports"] = ports(number)
        outcome = take(started, "cycle")
        assert outcome.trouble
        assert "\n" not in outcome.trouble
        assert waiting(started).items() >= before.items()
    assert "cannot write" in outcome.trouble
    disk.free()
    kept = waiting(started)
    collector.script = []
    assert take(started, "cycle").waiting == 0
    told_by(collector, started, kept)


def test_it_hands_over_what_waits_while_the_disk_is_full(disk: Disk, started: Desk, collector: Collector) -> None:
    take(started, "cycle")
    collector.script = [refuse("busy", 503)] * 3
    for number in (1, 2, 3):
        started.sections["ports"] = ports(number)
        take(started, "cycle")
    before = waiting(started)
    disk.fill()
    started.sections["ports"] = ports(4)
    for _ in range(4):
        outcome = take(started, "cycle")
        assert "\n" not in outcome.trouble
    disk.free()
    take(started, "cycle")
    told_by(collector, started, before)


def told_by(collector: Collector, desk: Desk, stored: dict[str, bytes]) -> None:
    """Every stored report came in, none under another's sequence, and the collector has the machine as it is."""
    assert take(desk, "cycle").trouble == ""
    public_key = bytes(desk.key.verify_key)
    reports = [wire.open_envelope(body, public_key) for body in stored.values()]
    received = [(report.stream, report.sequence) for report in collector.received]
    assert {(report.stream, report.sequence) for report in reports} <= set(received)
    assert len(set(received)) == len(received)
    assert received == sorted(received)
    assert len({stream for stream, _ in received}) == 1
    assert not desk.rejected()
    assert not list((desk.folder / "damaged").iterdir())
    assert not list(desk.folder.rglob("*.tmp"))
    assert {name: row[1] for name, row in collector.sections.items()} == {
        name: section.digest for name, section in desk.sections.items()
    }


def test_it_cannot_begin_on_a_full_disk_and_says_so(disk: Disk, started: Desk, collector: Collector) -> None:
    disk.fill()
    outcome = take(started, "cycle")
    assert "cannot" in outcome.trouble
    assert str(started.folder) in outcome.trouble
    assert collector.received == []
    disk.free()
    assert take(started, "cycle").delivered >= 1
