"""What an agent does that is told to be a copy of another one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from secmon_agent import cli, clone, durable, identity, invited, keys, session, state, wire
from secmon_agent.config import Config
from secmon_agent.errors import ClonedError, StorageError
from secmon_agent.turn import take
from tests.agents.desk import Desk
from tests.agents.doctor.test_doctor import examined
from tests.agents.server import Collector, refuse


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def status(folder: Path) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["status", "--state-dir", str(folder)])
    return int(str(ended.value.code))


def test_it_sets_the_key_aside_and_stops_sending(
    desk: Desk, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = desk.agent()
    agent.cycle()
    collector.script = [refuse("clone", 409)]

    outcome = agent.cycle()

    assert outcome.trouble == clone.LINE
    assert names(desk.folder) == {clone.NOTE_FILE, clone.ASIDE_FILE}
    assert len(collector.received) == 1
    turn = take(None, str(desk.folder), "cycle")
    assert "ask for a new enrollment string" in turn.outcome.trouble
    assert len(collector.received) == 1
    assert status(desk.folder) == 1
    assert "copy of another one" in capsys.readouterr().err


def test_it_enrolls_anew_by_a_string_that_waits(desk: Desk, collector: Collector) -> None:
    agent = desk.agent()
    agent.cycle()
    collector.script = [refuse("clone", 409)]
    agent.cycle()
    assert invited.keep(desk.folder, collector.invitation())

    turn = take(None, str(desk.folder), "deliver")

    assert (turn.outcome.enrolled, turn.outcome.trouble) == (desk.identity.address, "")
    key, known = keys.load(desk.folder), state.peek(desk.folder)
    assert key is not None
    assert known is not None
    assert bytes(key) != bytes(desk.key)
    assert known.stream != collector.received[0].stream
    assert session.joined(desk.folder, Config()) is None
    assert not names(desk.folder) & {clone.NOTE_FILE, clone.ASIDE_FILE}


def test_the_self_test_says_what_to_do(desk: Desk, collector: Collector) -> None:
    clone.set_aside(desk.folder, wire.key_id(bytes(desk.key.verify_key)), desk.identity.address)

    found = examined(desk.folder)["enrollment"]

    assert (found.mark, "複製" in found.said.ja) == ("action", True)
    assert found.step is not None
    assert "secmon-agent enroll 登録文字列" in found.step.ja
    invited.keep(desk.folder, collector.invitation())
    waiting = examined(desk.folder)["enrollment"]
    assert waiting.step is not None
    assert "お待ちください" in waiting.step.ja


def test_it_never_uses_the_key_again_wherever_it_was_interrupted(
    desk: Desk, collector: Collector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The power fails at each change that is made to the disk, in turn; then the machine starts again."""
    agent = desk.agent()
    agent.cycle()
    agent.cycle(deliver=False)
    changes = {name: getattr(durable, name) for name in ("write", "remove", "move")}
    for number in range(100):
        folder = tmp_path / str(number)
        shutil.copytree(desk.folder, folder)
        left = number

        def failing(name: str):  # type: ignore[no-untyped-def]
            def change(*arguments: object) -> None:
                nonlocal left
                if left == 0:
                    raise StorageError("no power")
                left -= 1
                changes[name](*arguments)

            return change

        with monkeypatch.context() as power:
            for name in changes:
                power.setattr(durable, name, failing(name))
            try:
                clone.set_aside(folder, wire.key_id(bytes(desk.key.verify_key)), desk.identity.address)
            except StorageError:
                pass
            else:
                assert number > 4
                return
        (folder / invited.INVITATION_FILE).write_text(str(collector.invitation()))
        session.joined(folder, Config())
        key, where = keys.load(folder), identity.load(folder)
        assert key is not None
        assert where is not None
        assert where.status == "enrolled"
        kept = number == 0  # it did not even come to writing the note
        assert (bytes(key) == bytes(desk.key)) == kept
        assert (folder / "spool").exists() == kept
    raise AssertionError("it never ends")


def test_a_restart_says_that_it_is_a_copy(desk: Desk, collector: Collector) -> None:
    clone.set_aside(desk.folder, wire.key_id(bytes(desk.key.verify_key)), desk.identity.address)
    assert not session.has_an_aim(desk.folder)
    with pytest.raises(ClonedError, match="ask for a new enrollment string"):
        raise clone.not_enrolled(desk.folder)
