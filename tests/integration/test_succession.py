"""A successor of the site's CA: real agents take it from the real collector, over TLS, and go on when it takes over."""

from __future__ import annotations

import hashlib
import socket
import ssl
import subprocess  # noqa: TID251 — the agents and the commands are processes
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from secmon import succession
from secmon.app import Collector, now_utc
from secmon_agent import identity, state, wire
from secmon_agent.invitation import Invitation
from secmon_agent.successor import Successor
from tests.support.running import BareAgent, running


@pytest.fixture
def collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setattr("secmon.app.WATCH_S", 0.2)
    with running(tmp_path / "collector") as up:
        yield up


def enrolled(collector: Collector, folder: Path) -> Path:
    host, port = collector.started.ingest
    sha256 = hashlib.sha256(collector.certificates.ca_der).digest()
    string = str(Invitation(host=host, port=port, ca_sha256=sha256, token=BareAgent(collector).token()))
    for arguments in (("enroll", "-"), ("once",)):
        assert agent(folder, *arguments, said=string).returncode == 0
    return folder


def agent(folder: Path, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "secmon_agent", "--state-dir", str(folder), *arguments]
    return subprocess.run(command, input=said, capture_output=True, text=True, check=False, timeout=240)


def secmon(collector: Collector, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "secmon.cli", *arguments, "--data-dir", str(collector.config.folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


def where(folder: Path) -> identity.Identity:
    found = identity.load(folder)
    assert found is not None
    return found


OLD_GONE_S = 8.0
"""A server that takes a new certificate lets the one before accept for 3.5 s more."""


def until(holds: Callable[[], bool], limit_s: float = 60) -> None:
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def offers(collector: Collector) -> bool:
    return collector._writer.next_ca is not None


def serves(collector: Collector, ca: bytes) -> bool:
    """Whoever trusts this CA alone gets through, and has done so for longer than the server goes on accepting with the
    certificate before."""
    context = ssl.create_default_context(cadata=ca)
    end = time.monotonic() + OLD_GONE_S
    while time.monotonic() < end:
        try:
            with (
                socket.create_connection(collector.started.ingest, 30) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1"),
            ):
                pass
        except ssl.SSLCertVerificationError:
            return False
        time.sleep(0.1)
    return collector.certificates.ca_der == ca


def test_an_agent_takes_the_successor_and_goes_on_when_it_takes_over(collector: Collector, tmp_path: Path) -> None:
    folder = enrolled(collector, tmp_path / "agent")
    before = where(folder).ca
    assert "there is no successor" in secmon(collector, "ca", "switch").stderr
    assert secmon(collector, "ca", "renew").returncode == 0
    assert "trusted by 0 of 1" in secmon(collector, "ca", "show").stdout
    assert "do not trust the successor yet" in secmon(collector, "ca", "switch").stderr
    until(lambda: offers(collector))

    assert [agent(folder, "once").stdout for _ in range(2)] == ["1 delivered\n"] * 2

    assert (where(folder).ca, bool(where(folder).next_ca)) == (before, True)
    assert "trusted by 1 of 1" in secmon(collector, "ca", "show").stdout
    known = state.peek(folder)
    assert known is not None
    assert known.told_ca == wire.ca_mark(where(folder).next_ca)
    assert secmon(collector, "ca", "switch").returncode == 0
    until(lambda: serves(collector, where(folder).next_ca))
    assert agent(folder, "once").stdout == "1 delivered\n"
    assert collector.certificates.ca_der == where(folder).next_ca
    assert BareAgent(collector).enroll().status == 200  # whoever comes now trusts the new one alone

    assert secmon(collector, "ca", "renew").returncode == 0  # and once more
    until(lambda: offers(collector))
    assert agent(folder, "once").stdout == "1 delivered\n"
    assert where(folder).ca == collector.certificates.ca_der
    assert where(folder).next_ca not in (b"", where(folder).ca, before)


def test_an_agent_takes_no_successor_for_which_nobody_vouches(collector: Collector, tmp_path: Path) -> None:
    """As by somebody who has the server's key, but not the CA's."""
    folder = enrolled(collector, tmp_path / "agent")
    with running(tmp_path / "rogue") as rogue:
        forged = succession.renew(rogue.config, now_utc())
    collector._door.successor = msgspec.msgpack.encode(forged)
    collector._writer.next_ca = hashlib.sha256(forged.ca).digest()
    collector._offer_successor = lambda: None  # type: ignore[method-assign]

    said = agent(folder, "once")

    assert (said.returncode, "does not vouch" in said.stdout) == (0, True)
    assert where(folder).next_ca == b""
    assert not list(folder.glob("successor*"))
    collector._writer.next_ca = b"x" * 32
    assert "than it announced" in agent(folder, "once").stdout


def test_whoever_brings_certificates_of_his_own_has_no_ca_to_renew(collector: Collector) -> None:
    own = msgspec.structs.replace(collector.config.ingest, certificate="a", key="b", ca="c")
    with pytest.raises(Exception, match="the office's own"):
        succession.renew(msgspec.structs.replace(collector.config, ingest=own), now_utc())


def test_it_makes_one_successor_at_a_time(collector: Collector) -> None:
    made = succession.renew(collector.config, now_utc())
    with pytest.raises(Exception, match="already"):
        succession.renew(collector.config, now_utc())
    assert succession.offered(collector.config) == made
    assert isinstance(made, Successor)
    assert {path.stat().st_mode & 0o777 for path in (Path(collector.config.data_dir) / "tls").iterdir()} == {0o600}
