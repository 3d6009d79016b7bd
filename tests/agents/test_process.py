"""A process that does one thing and ends."""

from __future__ import annotations

import gc
import os
import subprocess  # noqa: TID251 - how a process ends is seen from outside
import sys
from pathlib import Path

import msgspec
import pytest

import secmon_agent
from secmon_agent import process, supervisor
from secmon_agent.outcome import Outcome, Turn

BEGIN = f"import sys, gc, atexit; sys.path.insert(0, {str(Path(secmon_agent.__file__).parents[1])!r})\n"
USUAL = gc.get_threshold()


def ended(work: str, **streams: int) -> subprocess.CompletedProcess[str]:
    code = f"{BEGIN}from secmon_agent import process\ndef work():\n {work}\nprocess.briefly(work)"
    caught = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.run([sys.executable, "-I", "-c", code], text=True, check=False, **caught)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    ("work", "code"), [("return 5", 0), ("sys.exit()", 0), ("sys.exit(3)", 3), ("sys.exit('said')", 1), ("1 / 0", 1)]
)
def test_it_ends_as_its_work_says(work: str, code: int) -> None:
    done = ended(f"print('begun'); {work}")
    assert (done.returncode, done.stdout) == (code, "begun\n")
    assert ("said" in done.stderr, "ZeroDivisionError" in done.stderr) == ("said" in work, "/" in work)


def test_it_takes_nothing_apart_at_its_end() -> None:
    assert ended("atexit.register(print, 'taken apart')").stdout == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no closed pipe by its error")
def test_it_says_when_nobody_reads() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = ended("print('lost')", stdout=write)
    finally:
        os.close(write)
    assert done.returncode == 120
    assert "BrokenPipeError" in done.stderr


def test_it_looks_for_garbage_seldom_unless_it_stays() -> None:
    said = ended("print(gc.get_threshold()[0]); process.stay(); print(gc.get_threshold())").stdout.splitlines()
    assert (int(said[0]) > 10_000, said[1]) == (True, str(USUAL))


def test_what_waits_between_turns_has_stayed(monkeypatch: pytest.MonkeyPatch) -> None:
    stayed: list[bool] = []
    monkeypatch.setattr(process, "stay", lambda: stayed.append(True))
    turn = Turn(outcome=Outcome(), interval_s=60)
    encoded = msgspec.json.encode(turn)
    supervisor.supervise([], lambda _: None, lambda _: True, at_once=True, start=lambda _command, _wait: encoded)
    assert stayed == [True]
