"""An enrollment string that waits for its collector."""

from __future__ import annotations

import re
import subprocess  # noqa: TID251 - the agent that stays is a process
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from secmon_agent import cli, durable, identity, invitation, invited, service
from secmon_agent.config import Config
from secmon_agent.errors import AgentError
from tests.agents.desk import Desk
from tests.agents.server import TOKEN, Collector, refuse


def command(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    durable.private_directory(path)
    return path


def test_it_enrolls_when_the_collector_can_be_reached_at_last(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Collector() as unreachable:
        invitation, port = unreachable.invitation(), unreachable.port
    assert command("enroll", "--later", str(invitation), "--state-dir", folder) == 0
    with pytest.raises(AgentError, match=r"127\.0\.0\.1"):
        invited.follow(folder, Config())
    assert invited.waits(folder)
    assert command("status", "--state-dir", folder) == 0
    assert "waits until the collector can be reached" in capsys.readouterr().out
    with Collector(port=port) as collector:
        assert command("once", "--state-dir", folder) == 0
        assert len(collector.received) == 1
    assert not invited.waits(folder)
    where = identity.load(folder)
    assert where is not None
    assert where.status == "enrolled"


def test_it_goes_on_waiting_while_the_string_is_refused(folder: Path, collector: Collector) -> None:
    invited.keep(folder, collector.invitation())
    collector.script = [refuse("token-expired", 403)]
    with pytest.raises(AgentError, match="ask for a new enrollment string"):
        invited.follow(folder, Config())
    assert invited.follow(folder, Config()) == identity.load(folder)
    assert not invited.waits(folder)


def test_it_leaves_approval_to_the_identity(folder: Path, collector: Collector) -> None:
    collector.pending = True
    invited.keep(folder, collector.invitation())
    answer = invited.follow(folder, Config())
    assert answer is not None
    assert (answer.status, answer.token) == ("pending", TOKEN)
    assert not invited.waits(folder)


def test_it_needs_no_string_where_it_is_enrolled(desk: Desk, collector: Collector) -> None:
    assert not invited.keep(desk.folder, collector.invitation())
    assert not invited.waits(desk.folder)
    (desk.folder / invited.INVITATION_FILE).write_text(str(collector.invitation()))
    assert invited.follow(desk.folder, Config()) is None
    assert not invited.waits(desk.folder)
    assert identity.load(desk.folder) == desk.identity


def test_it_says_when_the_string_that_waits_is_damaged(folder: Path) -> None:
    (folder / invited.INVITATION_FILE).write_text("secmon1/cut")
    with pytest.raises(AgentError, match=r"was damaged and is now .*; enroll again"):
        invited.follow(folder, Config())


def test_it_does_nothing_where_no_string_was_laid(
    tmp_path: Path, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    file, state = tmp_path / "enrollment.txt", tmp_path / "state"
    wanted: list[str | Path] = ["enroll", "--later", "--if-present", "--string-file", file, "--state-dir", state]
    assert command(*wanted) == 0
    assert not state.exists()
    assert command("enroll", "--later", "--string-file", file, "--state-dir", state) == 1
    file.write_text(str(collector.invitation()))
    assert command(*wanted) == 0
    assert invited.waits(state)
    assert "there is no file" in capsys.readouterr().err


def stopped_after(naps: int, then: Callable[[], object] = lambda: None) -> Callable[[float], bool]:
    """A `Wait` that sleeps for nothing, and says stop after so many pauses of a second or more."""
    left = [naps]

    def wait(seconds: float) -> bool:
        if seconds >= 1:
            left[0] -= 1
            then()
        return left[0] < 0

    return wait


def test_it_stays_as_a_service_until_somebody_enrolls_it(folder: Path, collector: Collector) -> None:
    lines: list[str] = []
    service.work(None, str(folder), lines.append, stopped_after(3))
    assert len(lines) == 1
    assert "not enrolled" in lines[0]

    lines.clear()
    laid = collector.invitation()
    assert invitation.parse(str(laid)) == laid
    service.work(None, str(folder), lines.append, stopped_after(1, lambda: invited.keep(folder, laid)))
    assert lines[0].startswith("this machine is not enrolled")
    assert lines[1].startswith(f"enrolled at 127.0.0.1:{collector.port}; 1 delivered")
    assert len(collector.received) >= 1


@pytest.mark.skipif(sys.platform == "win32", reason="the service does this on Windows")
def test_the_agent_that_stays_follows_a_string_that_waits(folder: Path, collector: Collector) -> None:
    invited.keep(folder, collector.invitation())
    program = [sys.executable, "-m", "secmon_agent", "run", "--now", "--state-dir", str(folder)]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert re.fullmatch(r"secmon-agent: enrolled at \S+; 1 delivered\n", process.stderr.readline())
        finally:
            process.kill()
    assert not invited.waits(folder)
