"""`secmon up` as a person runs it: a real collector, a real agent for this machine, Ctrl-C, and once more."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess  # noqa: TID251 — the program is started as a person starts it
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from secmon.ingest.enrollment import pending
from secmon.store.database import Database, sqlite_url
from secmon.store.schema import contacts, deliveries, hosts, results

CHECKOUT = Path(__file__).parents[2]


class Up:
    """A running `secmon up` and what it has printed until it waits."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""

    def read_until(self, end: str) -> None:
        assert self.process.stdout is not None
        while end not in self.said:
            line = self.process.stdout.readline()
            assert line, f"it ended with {self.process.wait()}:\n{self.said}"
            self.said += line

    def url(self, path: str) -> str:
        found = re.search(r"http://[0-9.:]+", self.said)
        assert found is not None, self.said
        return found[0] + path


@contextmanager
def up(folder: Path, *arguments: str) -> Iterator[Up]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(CHECKOUT / "agents"), str(CHECKOUT))),
        "COLUMNS": "100",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "secmon.cli", "up", "--data-dir", str(folder), "--ingest", "127.0.0.1:0",
         "--console", "127.0.0.1:0", *arguments],
        cwd=folder.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield Up(process)
    finally:
        process.kill()
        process.wait()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 — our own loopback address
        return str(response.read().decode())


def test_it_shows_this_machine_ends_on_ctrl_c_and_continues_with_the_same_data(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with up(folder) as first:
        first.read_until("Ctrl-C")
        assert "確認できなかった項目" in first.said or "対応が必要な項目" in first.said
        assert "/sign-in/" in first.said
        assert "secmon_build_info" in get(first.url("/metrics"))
        assert '"status":"ok"' in get(first.url("/healthz")).replace(" ", "")
        first.process.send_signal(signal.SIGINT)
        first.read_until("終了しました")
        assert first.process.wait(timeout=60) == 0

    with up(folder, "--once", "--lang", "en") as second:
        second.read_until("Stopped.")
        assert second.process.wait(timeout=60) == 0
    assert "checks:" in second.said

    database = Database(sqlite_url(folder / "secmon.db"))
    with database.read() as connection:
        assert len(connection.execute(sa.select(hosts)).all()) == 1
        assert connection.execute(sa.select(contacts.c.sequence)).scalar_one() > 1
        statuses = set(connection.execute(sa.select(results.c.status)).scalars())
        mails = connection.execute(sa.select(deliveries.c.rule, deliveries.c.status)).all()
    database.close()
    assert {"pass", "fail"} <= statuses
    assert [mail.status for mail in mails] == ["sent"] * len(mails)
    assert [mail.rule for mail in mails][:1] == ["new-machine"]
    assert len(list((folder / "mail").glob("*.eml"))) == len(mails)


def test_it_says_at_once_how_to_let_a_machine_in_that_lost_its_key(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with up(folder, "--once") as first:
        first.read_until("終了しました")
    shutil.rmtree(folder / "agent")

    with up(folder, "--once", "--lang", "en") as again:
        again.read_until("Stopped.")

    asked = re.search(r"secmon enrollment approve ([0-9a-f]{8}) --data-dir ", again.said)
    assert asked is not None, again.said
    database = Database(sqlite_url(folder / "secmon.db"))
    with database.read() as connection:
        (waiting,) = pending(connection)
    database.close()
    assert str(waiting.enrollment_id).startswith(asked[1])


def test_it_leaves_no_process_behind(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with up(folder, "--once") as only:
        only.read_until("終了しました")
        assert only.process.wait(timeout=60) == 0

    left = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder) in command.read_text():
                left.append(command.read_text())
        except OSError:
            continue
    assert left == []
