"""The command line: one line for every trouble, and the promised exit codes."""

from __future__ import annotations

import io
import json
import signal
import subprocess  # noqa: TID251 - a test starts the program as people do
import sys
from pathlib import Path

import pytest

from secmon_agent import __version__, cli, durable, identity, session, wire
from tests.agents.desk import Desk
from tests.agents.server import Answer, Collector, Handler, cut, refuse


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, output, errors."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    code = ended.value.code
    assert isinstance(code, int)
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err


def test_it_enrolls_reports_and_tells_its_status(
    tmp_path: Path, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "state"
    code, out, _ = run(capsys, "--state-dir", folder, "enroll", str(collector.invitation()))
    assert (code, out) == (0, f"enrolled at 127.0.0.1:{collector.port}\n")
    assert run(capsys, "once", "--state-dir", folder)[:2] == (0, "1 delivered\n")
    assert collector.received[0].sections
    assert "host" in collector.received[0].sections
    code, out, _ = run(capsys, "status", "--state-dir", folder)
    assert code == 0
    assert f"collector: 127.0.0.1:{collector.port}\nenrollment: enrolled\n" in out
    assert "spool: 0 reports, 0 bytes" in out
    assert "never" not in out


@pytest.mark.parametrize("way", ["stdin", "file"])
def test_it_takes_the_enrollment_string_without_showing_it_to_others(
    way: str, tmp_path: Path, collector: Collector, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"{collector.invitation()}\n"
    (tmp_path / "string").write_text(text)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    source = ["-"] if way == "stdin" else ["--string-file", tmp_path / "string"]
    assert run(capsys, "enroll", "--state-dir", tmp_path / "state", *source)[0] == 0
    assert len(collector.keys) == 1


def test_it_says_what_to_do_while_the_enrollment_is_pending(
    tmp_path: Path, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    collector.pending = True
    folder = tmp_path / "state"
    code, out, _ = run(capsys, "enroll", "--state-dir", folder, str(collector.invitation()))
    assert code == 0
    assert "waits for approval (the name is taken)" in out
    assert "secmon enrollment approve" in out
    code, _, err = run(capsys, "once", "--state-dir", folder)
    assert code == 1
    assert "waits for approval" in err
    collector.pending = False
    assert run(capsys, "once", "--state-dir", folder)[:2] == (0, "1 delivered\n")
    stored = identity.load(folder)
    assert stored is not None
    assert stored.token == ""


def test_it_fails_in_one_line_when_the_enrollment_is_refused(
    tmp_path: Path, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    collector.script = [refuse("token-expired", 403)]
    code, out, err = run(capsys, "enroll", "--state-dir", tmp_path / "state", str(collector.invitation()))
    assert (code, out) == (1, "")
    assert "The enrollment token has expired; ask for a new enrollment string" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["once"], 1, "not enrolled"),
        (["run"], 1, "not enrolled"),
        (["status"], 1, "not enrolled"),
        (["enroll", "secmon1/cut"], 1, "incomplete or changed"),
        (["enroll"], 2, "required"),
        (["enroll", "--string-file", "no-such-file"], 1, "there is no file no-such-file"),
        (["facts", "--section", "novelty"], 2, "there is no section 'novelty'"),
        (["once", "--config", "no-such-file"], 2, "no such configuration file"),
        ([], 2, "required"),
        (["dance"], 2, "invalid choice"),
    ],
)
def test_it_says_in_one_line_what_is_wrong(
    arguments: list[str], code: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended, out, err = run(capsys, "--state-dir", tmp_path / "state", *arguments)
    assert (ended, out) == (code, "")
    assert message in err.splitlines()[-1]


def test_it_fails_in_one_line_when_a_report_has_to_wait(
    desk: Desk, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    collector.script = [cut]
    code, out, err = run(capsys, "once", "--state-dir", desk.folder)
    assert (code, out) == (1, "")
    assert err.startswith("secmon-agent: 0 delivered, 1 waiting: collector 127.0.0.1")
    assert err.count("\n") == 1
    assert "spool: 1 reports" in run(capsys, "status", "--state-dir", desk.folder)[1]


@pytest.mark.parametrize(("lock", "command"), [(session.LOCK_FILE, "once"), (session.RUNNING_FILE, "run")])
def test_it_does_not_work_beside_another_one(
    desk: Desk, capsys: pytest.CaptureFixture[str], lock: str, command: str
) -> None:
    with durable.exclusive(desk.folder / lock):
        code, _, err = run(capsys, command, "--state-dir", desk.folder)
        assert code == 1
        assert "another secmon-agent is at work" in err
        assert err.count("\n") == 1
        assert run(capsys, "status", "--state-dir", desk.folder)[0] == 0


def test_it_prints_the_facts_without_being_enrolled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "facts", "--section", "os", "--state-dir", tmp_path / "state")
    assert (code, err) == (0, "")
    assert "os" in json.dumps(json.loads(out))
    assert not (tmp_path / "state").exists()


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version") == (0, f"secmon-agent {__version__}\n", "")


def started(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "secmon_agent", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM; a service is stopped by its controller")
def test_it_stays_and_ends_cleanly_when_told_to(desk: Desk, collector: Collector) -> None:
    process = started("run", "--now", "--state-dir", desk.folder)
    assert process.stderr is not None
    assert process.stderr.readline() == "secmon-agent: 1 delivered\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (0, "", "")
    assert len(collector.received) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="measured where the system counts a program's own pages")
def test_it_needs_little_memory(desk: Desk) -> None:
    """A whole `once` with every probe of this machine."""
    code = (
        "import sys\n"
        "from secmon_agent import cli, machine\n"
        "try:\n    cli.main(sys.argv[1:])\n"
        "finally:\n    print(machine.peak_rss_bytes())"
    )
    command = [sys.executable, "-c", code, "once", "--state-dir", str(desk.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    line, peak = done.stdout.splitlines()
    assert line == "1 delivered"
    assert int(peak) <= 48 << 20


DEAR = {"psutil", "secmon_agent.facts_document", "shutil", "zoneinfo", "argparse", "email", "http", "encodings.idna"}
"""What a cycle does without; each costs as much as many probes."""


@pytest.mark.skipif(sys.platform == "win32", reason="psutil answers for Windows")
def test_it_imports_nothing_dear_that_a_settled_cycle_does_without(desk: Desk) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "secmon_agent", "once", "--state-dir", str(desk.folder)]
    done = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2)][-1]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "secmon_agent.agent" in imported
    assert imported.isdisjoint(DEAR)


def test_it_takes_no_folder_that_others_need(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "somebodys.txt").write_text("mine")
    tmp_path.chmod(0o755)
    before = tmp_path.stat().st_mode
    code, _, err = run(capsys, "once", "--state-dir", tmp_path)
    assert (code, err.count("\n"), tmp_path.stat().st_mode) == (2, 1, before)
    assert str(tmp_path) in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["once"],
        ["once", "--state-dir", "a"],
        ["--config", "c", "once", "--state-dir", "a"],
        ["--state-dir", "a", "--config", "c", "once"],
        ["once", "--interval", "3600", "--state-dir", "a"],
        ["once", "--now"],
        ["--state-dir", "a", "once", "--now"],
    ],
)
def test_it_understands_once_without_the_parser_as_with_it(arguments: list[str]) -> None:
    understood = cli._once_alone(arguments)
    assert understood is not None
    assert vars(understood) == vars(cli.parser().parse_args(arguments))


@pytest.mark.parametrize(
    "arguments",
    [[], ["run"], ["once", "once"], ["once", "--state-dir"], ["once", "--help"], ["--state-dir", "once"],
     ["once", "--config=c"], ["once", "--state-dir", "--config"], ["--state-dir", "a", "--state-dir", "b", "once"]],
)  # fmt: skip
def test_it_leaves_everything_else_to_the_parser(arguments: list[str]) -> None:
    assert cli._once_alone(arguments) is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows would start the service")
@pytest.mark.parametrize("action", ["run", "install", "stop"])
def test_it_leaves_services_to_windows(action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--state-dir", tmp_path, "service", action)
    assert (code, out) == (1, "")
    assert "this is for Windows" in err


def test_it_keeps_no_argument_parser_in_the_service() -> None:
    code = (
        "import sys; from secmon_agent import cli\n"
        "options = cli._parsed(['--config', 'c.toml', '--state-dir', 'd', 'service', 'run'])\n"
        "print(sorted(vars(options).items()), 'argparse' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = [("action", "run"), ("command", "service"), ("config", "c.toml"), ("state_dir", "d")]
    assert done.stdout.strip() == f"{expected} False"


def test_it_says_how_often_a_timer_starts_it(
    desk: Desk, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    collector.interval_s = 900
    for arguments in ((), ("--interval", "7200"), ()):
        assert run(capsys, "once", "--state-dir", desk.folder, *arguments)[0] == 0
    assert [report.interval_s for report in collector.received][-3:] == [3600, 7200, 900]


@pytest.mark.parametrize("text", ["59", "86401", "1h", "²", "9" * 400])
def test_it_does_not_say_an_interval_that_is_none(
    desk: Desk, collector: Collector, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    code, out, err = run(capsys, "once", "--state-dir", desk.folder, "--interval", text)
    assert (code, out) == (2, "")
    assert "a number of seconds from 60 to 86400" in err
    assert collector.paths == []


def witnessed(collector: Collector) -> list[bytes]:
    """Filled with the body of the next request."""
    bodies: list[bytes] = []

    def answer(handler: Handler) -> Answer:
        bodies.append(handler.body)
        return handler.usual(collector)

    collector.script = [answer]
    return bodies


def test_it_tells_the_collector_its_asset_number(tmp_path: Path, collector: Collector) -> None:
    enrolled = witnessed(collector)
    command = [sys.executable, "-m", "secmon_agent", "enroll", "--state-dir", str(tmp_path / "state")]
    subprocess.run([*command, "--asset-number", " 2023-0042 ", str(collector.invitation())], check=True)
    request = wire.read_enrollment(wire.read_envelope(enrolled[0]))
    assert request.asset_number == "2023-0042"
    stored = identity.load(tmp_path / "state")
    assert stored is not None
    assert (stored.status, stored.asset_number) == ("enrolled", "")


def test_it_asks_again_with_its_asset_number_while_it_waits(
    tmp_path: Path, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "state"
    collector.pending = True
    arguments = ("enroll", "--state-dir", folder, "--asset-number", "2023-0042", str(collector.invitation()))
    assert run(capsys, *arguments)[0] == 0
    collector.pending = False
    enrolled = witnessed(collector)
    assert run(capsys, "once", "--state-dir", folder)[0] == 0
    assert wire.read_enrollment(wire.read_envelope(enrolled[0])).asset_number == "2023-0042"


def test_it_does_not_keep_an_asset_number_for_later(
    tmp_path: Path, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("enroll", "--later", "--asset-number", "1", "--state-dir", tmp_path / "state")
    code, _, err = run(capsys, *arguments, str(collector.invitation()))
    assert code == 2
    assert "secmon host set" in err
