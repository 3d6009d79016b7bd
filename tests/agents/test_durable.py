"""Files that are whole or absent, and one process at a time."""

from __future__ import annotations

import multiprocessing
import stat
import sys
from pathlib import Path

import pytest

from secmon_agent import durable
from secmon_agent.errors import AgentError, StorageError
from tests.agents.desk import Desk, ports
from tests.agents.server import Collector

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes or limits")


def test_it_replaces_a_file_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    durable.write(file, b"one" * 1000)
    durable.write(file, b"two")
    assert durable.read(file) == b"two"
    assert list(tmp_path.iterdir()) == [file]


@POSIX
def test_it_keeps_others_out(desk: Desk) -> None:
    desk.agent().cycle(deliver=False)
    assert stat.S_IMODE(desk.folder.stat().st_mode) == 0o700
    files = [path for path in desk.folder.rglob("*") if path.is_file()]
    assert len(files) >= 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@POSIX
def test_it_takes_access_away_from_others_in_a_folder_that_was_open(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    durable.private_directory(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_it_says_in_one_line_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot write .*nowhere"):
        durable.write(tmp_path / "nowhere" / "file", b"")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot create the folder"):
        durable.private_directory(tmp_path / "file" / "folder")


def test_it_refuses_a_second_holder_of_the_lock_until_the_first_is_done(tmp_path: Path) -> None:
    with (
        durable.exclusive(tmp_path / "lock"),
        pytest.raises(AgentError, match="another secmon-agent"),
        durable.exclusive(tmp_path / "lock"),
    ):
        pass
    with durable.exclusive(tmp_path / "lock"):
        pass


def _hold(path: Path, held: object) -> None:
    with durable.exclusive(path):
        held.set()  # type: ignore[attr-defined]
        multiprocessing.Event().wait(60)


def test_it_frees_the_lock_of_a_process_that_was_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path / "lock", held))
    holder.start()
    assert held.wait(60)
    with pytest.raises(AgentError, match="another secmon-agent"), durable.exclusive(tmp_path / "lock"):
        pass
    holder.kill()
    holder.join()
    with durable.exclusive(tmp_path / "lock"):
        pass


@POSIX
def test_it_survives_a_disk_on_which_nothing_can_be_written(desk: Desk, collector: Collector) -> None:
    """A file size limit of the kernel stands in for the full disk: every write fails half-way."""
    import resource

    desk.agent().cycle()
    collector.script = [lambda _: (503, b"", {})]
    desk.sections["ports"] = ports(1, 2, 3)
    desk.agent().cycle()
    files = {path: path.read_bytes() for path in desk.folder.rglob("*") if path.is_file()}
    agent = desk.agent()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    collector.script = [lambda _: (503, b"", {})]
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(StorageError, match=r"cannot write .*state\.json"):
            agent.cycle()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path: path.read_bytes() for path in desk.folder.rglob("*") if path.is_file()} == files
    assert desk.agent().cycle().delivered == 2
    assert collector.sections["ports"][1] == desk.sections["ports"].digest
