"""The MSI on a Windows Python, its service, and the whole collector over TLS. Needs the Windows testbed and wixl."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess  # noqa: TID251 - another system, in the testbed
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from secmon.app import Collector
from secmon.store.schema import agents, stream_window
from secmon_agent.invitation import Invitation
from tests.packaging.room import ROOT, build
from tests.support import embeddable
from tests.support.running import BareAgent, running

TESTBED = ROOT.parent / "shared" / "windows" / "testbed"
BUILDER = ROOT / "agents" / "packaging" / "windows" / "build_msi.py"
PROGRAMS = embeddable.DRIVE_C / "Program Files" / "secmon-agent"
STATE = embeddable.DRIVE_C / "ProgramData" / "secmon-agent"

pytestmark = [
    pytest.mark.skipif(
        not (TESTBED.exists() and (embeddable.TESTBED_ROOT.parent / "ready").exists()),
        reason="no Windows testbed here: the service on Windows is not tried",
    ),
    pytest.mark.skipif(shutil.which("wixl") is None, reason="no wixl: no MSI for Windows is built"),
]


def windows(*arguments: str) -> tuple[int, str]:
    """Exit code and output of a Windows program."""
    done = subprocess.run(
        [str(TESTBED), "run", *arguments],
        cwd=ROOT, capture_output=True, timeout=300, check=False, stdin=subprocess.DEVNULL, env={**os.environ},
    )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")


def msiexec(*arguments: str) -> int:
    return windows("msiexec", *arguments, "/qn")[0]


def agent(*arguments: str) -> tuple[int, str]:
    """The installed agent's command."""
    return windows(r"C:\Program Files\secmon-agent\python.exe", "-B", "-m", "secmon_agent", *arguments)


def until(condition: Callable[[], bool], limit_s: float = 90) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.5)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Windows paths of the same agent as version 1.0.0 and as 1.1.0."""
    folder = tmp_path_factory.mktemp("msi")
    python, wheels = embeddable.python(folder / "python"), folder / "wheels"
    wheels.mkdir()
    embeddable.wheels(wheels)
    build(ROOT / "agents", wheels)
    there = embeddable.DRIVE_C / f"secmon-{uuid.uuid4().hex}"
    there.mkdir()
    for version in ("1.0.0", "1.1.0"):
        options = ["--python", python, "--wheels", wheels, "--version", version, "--out", there / f"{version}.msi"]
        subprocess.run([sys.executable, BUILDER, *map(str, options)], check=True, capture_output=True)
    yield [f"C:\\{there.name}\\{version}.msi" for version in ("1.0.0", "1.1.0")]
    shutil.rmtree(there)


@pytest.fixture
def session(packages: list[str]) -> Iterator[None]:
    """Wine ends services with its last program: one stays. Nothing of an earlier run is there, and nothing is left."""
    with (embeddable.TESTBED_ROOT.parent / "service.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # there is one service of this name for all workers
        shutil.rmtree(STATE, ignore_errors=True)
        staying = subprocess.Popen(
            [str(TESTBED), "python", "-c", "import sys; print(flush=True); sys.stdin.read()"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert staying.stdout is not None
        assert staying.stdout.readline()
        try:
            yield
        finally:
            for package in packages:
                msiexec("/x", package)
            staying.communicate(timeout=60)
            shutil.rmtree(STATE, ignore_errors=True)


def invitation(collector: Collector) -> str:
    host, port = collector.started.ingest
    fingerprint = hashlib.sha256(collector.certificates.ca_der).digest()
    return str(Invitation(host=host, port=port, ca_sha256=fingerprint, token=BareAgent(collector).token()))


def count(collector: Collector, table: sa.Table) -> int:
    with collector.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def service() -> str:
    return windows("sc", "query", "secmon-agent")[1]


def restarted() -> None:
    """A start by hand reports at once; after an installation the service takes its time, for the network's sake."""
    assert agent("service", "stop")[0] == 0
    assert agent("service", "start")[0] == 0


@pytest.mark.usefixtures("session")
def test_it_installs_enrolls_reports_upgrades_repairs_and_leaves(packages: list[str], tmp_path: Path) -> None:
    old, new = packages
    with running(tmp_path) as collector:
        text = invitation(collector)
        assert msiexec("/i", old, f"ENROLLMENT={text}") == 0
        restarted()
        until(lambda: count(collector, stream_window) >= 1)
        assert not (STATE / "invitation").exists()
        key = (STATE / "agent.key").read_bytes()

        assert msiexec("/i", new) == 0
        assert "RUNNING" in service()
        assert "enrollment: enrolled" in agent("status")[1]
        before = count(collector, stream_window)
        restarted()
        until(lambda: count(collector, stream_window) > before)

        assert msiexec("/i", old) != 0, "a downgrade"
        (PROGRAMS / "python3.dll").unlink()
        assert msiexec("/i", new, "REINSTALL=ALL", "REINSTALLMODE=amus") == 0, "what /fa stands for, which Wine lacks"
        assert (PROGRAMS / "python3.dll").exists()
        assert "RUNNING" in service()

        assert msiexec("/x", new) == 0
        # Wine cannot delete a library while the process of the stopped service ends; Windows would at its next start.
        assert {path.suffix for path in PROGRAMS.rglob("*") if path.is_file()} <= {".dll", ".pyd"}
        assert "RUNNING" not in service()
        assert (STATE / "agent.key").read_bytes() == key
        assert count(collector, agents) == 1


@pytest.mark.usefixtures("session")
def test_it_takes_the_string_from_a_file_beside_the_package_and_no_cut_one(packages: list[str], tmp_path: Path) -> None:
    beside = embeddable.DRIVE_C / packages[0].split("\\")[1] / "enrollment.txt"
    with running(tmp_path) as collector:
        text = invitation(collector)
        assert msiexec("/i", packages[0], f"ENROLLMENT={text[:-3]}") != 0
        assert not PROGRAMS.exists()
        assert "RUNNING" not in service()

        beside.write_text(text)
        try:
            assert msiexec("/i", packages[0]) == 0
            restarted()
            until(lambda: count(collector, stream_window) >= 1)
        finally:
            beside.unlink()
