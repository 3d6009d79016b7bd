"""A single report stands behind others and keeps its limits; it is not put off when somebody waits for it."""

from __future__ import annotations

import os
import subprocess  # noqa: TID251 - priority and limits are those of a process
import sys
from pathlib import Path

import psutil
import pytest

from secmon_agent import battery, cli, job_windows, limits, modesty, turn
from tests.agents.desk import Desk
from tests.agents.server import Collector, Handler

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has a job object in place of limits")


class Looking:
    """A collector that looks at the process that reports, while it waits for the answer."""

    def __init__(self, collector: Collector, process: list[psutil.Popen]) -> None:
        self.seen: dict[str, object] = {}
        self._process = process
        collector.script.append(self)

    def __call__(self, handler: Handler) -> None:
        own = self._process[0]
        self.seen = {"nice": own.nice(), "io": own.ionice()}
        if sys.platform == "linux":
            self.seen |= {"cpu": own.rlimit(psutil.RLIMIT_CPU)[0], "memory": own.rlimit(psutil.RLIMIT_DATA)[0]}
        handler.close_connection = True


@pytest.mark.skipif(sys.platform != "linux", reason="psutil tells limits of Linux; Windows is tried below")
def test_a_single_report_stands_behind_others_and_within_limits(desk: Desk, collector: Collector) -> None:
    process: list[psutil.Popen] = []
    looking = Looking(collector, process)
    process.append(psutil.Popen([sys.executable, "-m", "secmon_agent", "once", "--state-dir", str(desk.folder)]))
    assert process[0].wait(60) == 1
    assert looking.seen["nice"] == max(modesty.NICENESS, psutil.Process().nice())
    if os.uname().machine in ("x86_64", "aarch64"):
        assert looking.seen["io"] == (psutil.IOPRIO_CLASS_IDLE, 0)
    assert (looking.seen["cpu"], looking.seen["memory"]) == (limits.MAX_TURN_CPU_S, limits.MAX_TURN_MEMORY_BYTES)


@POSIX
@pytest.mark.parametrize("command", ["once", "turn"])
@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("collect.section = lambda *_: any(False for _ in iter(int, 1))", "s of processor time"),
        ("report.compose = lambda *_: bytes(1 << 30)", "more memory than the agent allows itself (128 MiB)"),
    ],
)
def test_it_says_which_limit_ended_it(desk: Desk, command: str, trouble: str, said: str) -> None:
    state_dir = str(desk.folder)
    begin = {
        "once": f"from secmon_agent import cli; sys.argv[1:] = ['once', '--state-dir', {state_dir!r}]; cli.main()",
        "turn": f"from secmon_agent import turn; turn.main('', {state_dir!r}, 'cycle')",
    }[command]
    limited = "import sys; from secmon_agent import collect, limits, report; limits.MAX_TURN_CPU_S = 1"
    path = os.pathsep.join(filter(None, [str(Path(cli.__file__).parents[1]), *sys.path]))
    with subprocess.Popen(
        [sys.executable, "-c", f"{limited}; {trouble}; {begin}"],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == (1 if command == "once" else 0)
    assert said in (err if command == "once" else out)
    assert "Traceback" not in err


def once(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["once", *map(str, arguments)])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out + said.err


def test_a_single_report_is_put_off_on_a_low_battery_unless_somebody_waits_for_it(
    desk: Desk, collector: Collector, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(battery, "remaining", lambda: 7)
    assert once(capsys, "--state-dir", desk.folder) == (0, "1 delivered\n")  # the first of all is made
    turn.take(None, str(desk.folder), "store")
    (desk.folder / "agent.toml").write_text("battery_percent = 5\n")
    put_off = "0 delivered: on battery with 7 % left, below 20 %: the scan waits (once --now does not wait)\n"
    assert once(capsys, "--interval", 3600, "--state-dir", desk.folder) == (0, put_off)
    assert len(collector.received) == 1
    assert once(capsys, "--now", "--state-dir", desk.folder) == (0, "1 delivered\n")
    assert once(capsys, "--config", desk.folder / "agent.toml", "--state-dir", desk.folder) == (0, "1 delivered\n")
    assert len(collector.received) == 3


@pytest.mark.skipif(sys.platform != "win32", reason="a job object and priorities of Windows")
@pytest.mark.parametrize("what", ["give_way()", "keep_limits()"])
def test_windows_takes_it(what: str) -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\nfrom secmon_agent import job_windows, modesty\n"
        f"modesty.{what}\nimport psutil\nprint(psutil.Process().nice() == psutil.BELOW_NORMAL_PRIORITY_CLASS)"
    )
    command = [sys.executable, "-c", code, str(Path(job_windows.__file__).parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(what == "give_way()")
