"""The command as a person runs it: what cannot work is said in one line, with the exit status that scripts rely on."""

from __future__ import annotations

import shutil
import signal
import socket
import sqlite3
import subprocess  # noqa: TID251 - the command as a process
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from secmon.resources import rules_dir
from secmon_agent import session, state

T = TypeVar("T")
FREE = ("--ingest", "127.0.0.1:0", "--console", "127.0.0.1:0")


class Ended:
    """How a run of the command ended."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.status = done.returncode
        self.out = done.stdout
        self.lines = done.stderr.splitlines()

    @property
    def line(self) -> str:
        """All that it said to the person: one line, never a traceback."""
        assert len(self.lines) == 1, self.lines
        assert self.lines[0].startswith("secmon: ")
        return self.lines[0]


def secmon(*arguments: str | Path) -> Ended:
    return Ended(
        subprocess.run(
            [sys.executable, "-m", "secmon.cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    )


@contextmanager
def started(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A running command; killed at the end if it has not ended by itself."""
    process = subprocess.Popen([sys.executable, "-m", "secmon.cli", *map(str, arguments)], stderr=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(happened: Callable[[], T]) -> T:
    """What it answers, once that is something."""
    end = time.monotonic() + 90
    while not (answer := happened()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return answer


def settings(folder: Path, text: str) -> Path:
    file = folder / "secmon.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("listener", ["ingest", "console"])
def test_it_says_that_a_port_is_taken(tmp_path: Path, listener: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        ended = secmon("serve", "--data-dir", tmp_path / "data", *FREE, f"--{listener}", address)

    assert ended.status == 2
    assert f"cannot listen on {address} ({listener}): Address already in use" in ended.line
    assert f"--{listener}" in ended.line


@pytest.mark.parametrize("command", ["serve", "up"])
def test_it_says_that_the_data_folder_cannot_be_written(tmp_path: Path, command: str) -> None:
    in_the_way = tmp_path / "data"
    in_the_way.touch()

    ended = secmon(command, "--data-dir", in_the_way, *FREE)

    assert ended.status == 2
    assert f"the data folder {in_the_way} cannot be written" in ended.line


def test_it_says_that_it_may_not_write() -> None:
    ended = secmon("serve", "--data-dir", "/proc/secmon", *FREE)  # nobody may, not even root

    assert ended.status == 2
    assert "the data folder /proc/secmon cannot be written" in ended.line


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("secmon.db", lambda path: path.write_text("this is no database, whatever its name says")),
        ("secmon.db", lambda path: path.mkdir()),
        ("collector.lock", lambda path: path.mkdir()),
        ("tls", lambda path: path.touch()),
        ("tls/ca.pem", lambda path: (path.parent.mkdir(), path.write_text("no certificate"))),
    ],
)
def test_it_names_what_cannot_be_used_in_the_data_folder(
    tmp_path: Path, name: str, make: Callable[[Path], object]
) -> None:
    make(tmp_path / name)

    ended = secmon("serve", "--data-dir", tmp_path, *FREE)

    assert ended.status == 2
    assert str(tmp_path / Path(name).parts[0]) in ended.line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[office]\nname = "町"\nbogus = 1\n', "secmon.toml:3: "),
        ('[ingest]\ninterval_s = "often"\n', "secmon.toml:2: "),
        ("[office\n", "line 1"),
        ('[office]\ntime_zone = "Asia/Nowhere"\n', "office.time_zone"),
        ('[ingest]\naddress = "8443"\n', "ingest.address"),
        ('[[zones]]\nid = "a"\nname = "A"\nnetworks = ["10.0.0.1/8"]\n', "zones: a"),
        ('[mail]\nhost = "mail"\npassword_file = "nowhere"\n', "mail.password_file"),
        ('[mail]\nhost = "mail"\npassword_file = "empty"\n', "is empty"),
        ('[rules]\nfolder = "nowhere"\n', "nowhere"),
    ],
)
@pytest.mark.parametrize("command", [("config", "check"), ("serve", *FREE)])
def test_it_says_what_is_wrong_in_the_settings(tmp_path: Path, command: tuple[str, ...], text: str, said: str) -> None:
    (tmp_path / "empty").write_text("\n")

    ended = secmon(*command, "--config", settings(tmp_path, text))

    assert ended.status == 2
    assert said in ended.line


@pytest.mark.parametrize("url", ["nonsense", "mysql://u:sekret@127.0.0.1/x", "postgresql://u:sekret@127.0.0.1:1/x"])
def test_it_says_that_the_database_cannot_be_used_and_keeps_the_password(tmp_path: Path, url: str) -> None:
    ended = secmon("serve", "--config", settings(tmp_path, f'[database]\nurl = "{url}"\n'), *FREE)

    assert ended.status == 2
    assert "database" in ended.line
    assert "sekret" not in ended.line


def test_it_calls_settings_good_only_that_a_collector_starts_with(tmp_path: Path) -> None:
    plain = '[mail]\nhost = "mail"\nsecurity = "none"\nusername = "u"\npassword = "sekret"\n'
    (tmp_path / "other").mkdir()

    mail = secmon("config", "check", "--config", settings(tmp_path, plain))
    database = secmon(
        "config", "check", "--config", settings(tmp_path / "other", '[database]\nurl = "mysql://u@127.0.0.1/x"\n')
    )

    assert [mail.status, database.status] == [2, 2]
    assert "never sent without TLS" in mail.line
    assert "'mysql' is not supported" in database.line


def test_it_names_file_and_line_of_a_broken_rule(tmp_path: Path) -> None:
    shutil.copytree(rules_dir(), tmp_path / "rules")
    broken = tmp_path / "rules" / "checks" / "access" / "broken.yaml"
    broken.write_text("id: access.broken\ntitle: [\n", encoding="utf-8")
    file = settings(tmp_path, '[rules]\nfolder = "rules"\n')

    found = [secmon(*command, "--config", file) for command in (("serve", *FREE), ("config", "check"))]

    assert [ended.status for ended in found] == [2, 2]
    assert all("rules/checks/access/broken.yaml:3: not YAML" in ended.line for ended in found)


def test_it_refuses_to_stand_in_two_zones(tmp_path: Path) -> None:
    addresses = [
        each.address for found in psutil.net_if_addrs().values() for each in found if each.family == socket.AF_INET
    ]
    if len(addresses) < 2:
        pytest.skip("this machine has one address")
    zones = "".join(f'[[zones]]\nid = "z{n}"\nname = "Z"\nnetworks = ["{addresses[n]}/32"]\n' for n in range(2))
    file = settings(tmp_path, zones)

    found = [secmon(*command, "--config", file) for command in (("serve", *FREE), ("up", *FREE), ("config", "check"))]

    assert [ended.status for ended in found] == [2, 2, 2]
    assert all(f"{addresses[0]} in z0, {addresses[1]} in z1" in ended.line for ended in found)
    assert not (tmp_path / "data").exists()


def test_it_says_that_there_is_no_data(tmp_path: Path) -> None:
    ended = secmon("host", "list", "--data-dir", tmp_path / "nowhere")

    assert (ended.status, "there is no secmon data" in ended.line) == (2, True)
    assert not (tmp_path / "nowhere").exists()


def test_it_makes_no_string_for_a_pool_that_would_hold_everywhere(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "secmon.db").close()
    settings = tmp_path / "secmon.toml"
    zones = '[[zones]]\nid = "{}"\nname = "{}"\nnetworks = [{}]\n'
    settings.write_text(zones.format("lgwan", "LGWAN", '"10.1.0.0/16"') + zones.format("school", "学校", ""))
    here = ("--data-dir", tmp_path)

    nowhere = secmon("enroll", "--pool", *here)
    without = secmon("enroll", "--pool", "--config", settings, *here)
    unbounded = secmon("enroll", "--pool", "--zone", "school", "--config", settings, *here)
    both = secmon("enroll", "--pool", "--uses", "3", *here)

    assert [each.status for each in (nowhere, without, unbounded, both)] == [2, 2, 2, 2]
    assert ["--network" in nowhere.line, "--zone" in without.line, "--network" in unbounded.line] == [True] * 3
    for bounded in (("--network", "10.9.0.0/16"), ("--zone", "lgwan", "--config", settings)):
        made = secmon("enroll", "--pool", *bounded, *here)
        assert (made.status, made.out.startswith("secmon1/")) == (0, True)
        assert any("365 days" in line for line in made.lines)


def test_it_fails_for_what_is_not_there_and_refuses_what_cannot_be(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "secmon.db").close()
    here = ("--data-dir", tmp_path)

    unknown = secmon("host", "set", "nobody", "--role", "office-pc", *here)
    revoked = secmon("agent", "revoke", "nobody", *here)
    waiting = secmon("enrollment", "approve", "1234", *here)
    long = secmon("host", "set", "nobody", "--zone", "z" * 65, *here)
    odd = secmon("host", "set", "nobody", "--department", "a\nb", *here)
    nothing = secmon("host", "set", "nobody", *here)
    lives = [
        secmon("host", *words, *here)
        for words in (("rename", "nobody", "x"), ("replace", "nobody", "x"), ("merge", "nobody", "x"),
                      ("store", "nobody"), ("store", "--back", "nobody"), ("retire", "nobody"))
    ]  # fmt: skip

    assert [each.status for each in (unknown, revoked, waiting)] == [1, 1, 1]
    assert "there is no host 'nobody'" in unknown.line
    assert "there is no host 'nobody'" in revoked.line
    assert "1234" in waiting.line
    assert [(each.status, "there is no host 'nobody'" in each.line) for each in lives] == [(1, True)] * 6
    assert [each.status for each in (long, odd, nothing)] == [2, 2, 2]
    assert "--zone" in long.line
    assert "--department" in odd.line
    assert "nothing to set" in nothing.line


def test_it_says_in_one_line_what_nobody_foresaw(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "secmon.db").close()
    assert secmon("host", "list", "--data-dir", tmp_path).status == 0
    with sqlite3.connect(tmp_path / "secmon.db") as database:
        database.execute("DROP TABLE contacts")

    ended = secmon("host", "list", "--data-dir", tmp_path)

    assert (ended.status, "no such table: contacts" in ended.line) == (1, True)


def test_it_serves_alone_and_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with started("serve", "--data-dir", data, *FREE) as process:
        until((data / "listening.json").exists)
        second = secmon("serve", "--data-dir", data, *FREE)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)

    assert (second.status, "another collector is running" in second.line) == (2, True)
    assert process.returncode == 0
    assert said.splitlines()[-1] == "stopped"
    assert "Traceback" not in said
    assert {path.stat().st_mode & 0o077 for path in (data, *data.glob("secmon.db*"))} == {0}


def test_it_leaves_no_agent_behind_even_when_it_is_killed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with started("up", "--data-dir", data, *FREE) as process:
        until(lambda: _has_reported(data))  # enrolling, which takes the same lock for a moment, is over
        agents = until(lambda: _agents(process.pid, data))
        process.kill()
        process.wait()

        until(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in agents))


def _has_reported(data: Path) -> bool:
    remembered = state.peek(data / "agent")
    return remembered is not None and remembered.last_ack_sequence is not None


def _agents(pid: int, data: Path) -> list[psutil.Process]:
    """Processes below this one that hold a lock of the agent's: the one that stays, and one that reports just now."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        try:
            held = [file.path for file in child.open_files()]
        except psutil.Error:
            continue
        if {str(data / "agent" / name) for name in (session.LOCK_FILE, session.RUNNING_FILE)} & set(held):
            found.append(child)
    return found
