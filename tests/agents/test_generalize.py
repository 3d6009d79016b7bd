"""A master image: nothing of the machine is left in it, and each copy becomes a machine of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from secmon_agent import cli, clone, durable, identity, invited, keys, session, state, wire
from secmon_agent.config import Config
from secmon_agent.errors import StorageError
from secmon_agent.generalize import generalize
from secmon_agent.invitation import Invitation
from secmon_agent.memory import FileMemory
from secmon_agent.turn import take
from tests.agents.desk import Desk
from tests.agents.server import Collector

STAYS = {"running", "lock", "agent.toml"}


def command(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def master(desk: Desk, collector: Collector) -> Path:
    """The folder of a machine that has reported, with everything in it that can be there."""
    desk.agent().cycle()
    desk.agent().cycle(deliver=False)
    folder = desk.folder
    FileMemory(folder / "memory").put("rpm", b"known")
    (folder / "agent.toml").write_text("")
    left = ("agent.key.tmp", "identity.json.tmp", clone.ASIDE_FILE, clone.NOTE_FILE)
    for name in (*left, keys.NEXT_FILE, keys.ROTATION_FILE):
        (folder / name).write_bytes(b"left")
    for name in ("state.json", "identity.json", invited.INVITATION_FILE):
        (folder / f"{name}.damaged").write_bytes(b"left")
    for name in ("spool", "rejected", "damaged"):
        (folder / name / "000000000009.full").write_bytes(b"left")
        (folder / name / "000000000010.full.tmp").write_bytes(b"left")
    return folder


@pytest.fixture
def string_file(tmp_path: Path, collector: Collector) -> Path:
    path = tmp_path / "string"
    path.write_text(f"\ufeff{collector.invitation()}\r\n", encoding="utf-8")
    return path


def test_it_leaves_nothing_but_locks_settings_and_the_string(master: Path, string_file: Path) -> None:
    for _ in range(2):
        assert command("generalize", "--string-file", string_file, "--state-dir", master) == 0
        assert names(master) == STAYS | {invited.INVITATION_FILE}


def test_it_says_what_is_to_be_done_next(master: Path, string_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("generalize", "--state-dir", master) == 0
    assert "enroll --later --string-file" in capsys.readouterr().out
    assert names(master) == STAYS
    assert command("generalize", "--string-file", string_file, "--state-dir", master) == 0
    assert command("generalize", "--state-dir", master) == 0
    assert "enrolls by the string that waits" in capsys.readouterr().out.splitlines()[-1]


def test_each_copy_becomes_a_machine_of_its_own(
    master: Path, string_file: Path, tmp_path: Path, collector: Collector
) -> None:
    known = set(collector.keys)
    assert command("generalize", "--string-file", string_file, "--state-dir", master) == 0
    copies = [tmp_path / name for name in ("one", "two")]
    for copy in copies:
        shutil.copytree(master, copy)
        turn = take(None, str(copy), "deliver")
        assert (bool(turn.outcome.enrolled), turn.outcome.trouble) == (True, "")

    assert len(set(collector.keys) - known) == 2
    streams = [state.peek(copy) for copy in copies]
    assert streams[0] is not None
    assert streams[1] is not None
    assert streams[0].stream != streams[1].stream


@pytest.mark.parametrize("lock", ["running", "lock"])
def test_it_refuses_while_an_agent_is_at_work(
    master: Path, string_file: Path, capsys: pytest.CaptureFixture[str], lock: str
) -> None:
    before = names(master)
    with durable.exclusive(master / lock):
        assert command("generalize", "--string-file", string_file, "--state-dir", master) == 1
    said = capsys.readouterr().err
    assert (said.count("\n"), "stop its service first" in said) == (1, True)
    assert names(master) - STAYS == before - STAYS


def test_it_touches_nothing_for_a_string_that_was_cut(master: Path, tmp_path: Path) -> None:
    before = names(master)
    (tmp_path / "string").write_text("secmon1/cut")
    assert command("generalize", "--string-file", tmp_path / "string", "--state-dir", master) == 1
    assert command("generalize", "--string-file", tmp_path / "nothing", "--state-dir", master) == 1
    assert names(master) == before


@pytest.mark.parametrize("key_file", [keys.KEY_FILE, keys.NEXT_FILE])
def test_no_copy_is_the_machine_wherever_it_was_interrupted(
    master: Path, collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key_file: str
) -> None:
    """The power fails at each change that is made to the disk, in turn; two copies of what is there are started. It may
    be that the machine's key is a new one that is not in its place yet."""
    (master / clone.NOTE_FILE).unlink()
    (master / keys.NEXT_FILE).unlink()
    original = keys.load_or_create(master, key_file)
    where = identity.load(master)
    assert where is not None
    identity.save(master, replace(where, key_id=wire.key_id(bytes(original.verify_key))))
    for number in range(200):
        folder = tmp_path / f"master-{number}"
        shutil.copytree(master, folder)
        if _whole(folder, collector.invitation(), number, monkeypatch):
            assert number > 10
            return
        seeds = []
        for copy in (tmp_path / f"{number}-one", tmp_path / f"{number}-two"):
            shutil.copytree(folder, copy)
            if number > 0:
                assert not (copy / keys.KEY_FILE).exists()
                assert invited.keep(copy, collector.invitation())
                session.joined(copy, Config())
            key, where = keys.load(copy), identity.load(copy)
            assert key is not None
            assert where is not None
            seeds.append(bytes(key))
        if number > 0:
            assert len({bytes(original), *seeds}) == 3
    raise AssertionError("it never ends")


def _whole(folder: Path, laid: Invitation, changes: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether it came to its end within so many changes to the disk."""
    left = changes

    def counted(change: Callable[..., None]) -> Callable[..., None]:
        def one(*arguments: object) -> None:
            nonlocal left
            if left == 0:
                raise StorageError("no power")
            left -= 1
            change(*arguments)

        return one

    with monkeypatch.context() as power:
        for name in ("write", "remove"):
            power.setattr(durable, name, counted(getattr(durable, name)))
        try:
            generalize(folder, laid)
        except StorageError:
            return False
    return True
