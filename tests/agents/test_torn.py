"""Files of the state folder that were cut short or changed, as by a power cut or a dying disk: at every length."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from secmon_agent import agent, identity, invited, turn, wire
from secmon_agent.config import Config
from secmon_agent.errors import AgentError
from secmon_agent.identity import IDENTITY_FILE
from secmon_agent.keys import KEY_FILE
from secmon_agent.memory import FileMemory
from secmon_agent.outcome import Outcome, Turn
from secmon_agent.spool import Spool
from secmon_agent.state import STATE_FILE
from secmon_agent.supervisor import supervise
from tests.agents.desk import Desk, ports
from tests.agents.server import Collector

MASKS = (0x01, 0x20, 0x80)
STEP = 24 if sys.platform == "win32" else 1
"""Every length; on Windows, where each file is slow, some of them."""


def torn(whole: bytes) -> Iterator[bytes]:
    """Cut at every length, and with the rest as zeros, which some file systems leave."""
    for length in range(0, len(whole), STEP):
        yield whole[:length]
        if any(whole[length:]):
            yield whole[:length] + bytes(len(whole) - length)


def flipped(whole: bytes) -> Iterator[bytes]:
    for place in range(0, len(whole), STEP):
        for mask in MASKS:
            yield whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1 :]


@pytest.fixture
def started(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The agent as a turn's process opens it, with the desk's sections instead of this machine's; the disk need not
    be waited for."""
    opened = agent.open_agent

    def quickly(*given: object) -> object:
        made = opened(*given)  # type: ignore[arg-type]
        made._collect = lambda: desk.sections
        return made

    monkeypatch.setattr("secmon_agent.turn.open_agent", quickly)
    monkeypatch.setattr("secmon_agent.durable.os.fsync", lambda _: None)
    identity.save(desk.folder, replace(desk.identity, key_id=wire.key_id(bytes(desk.key.verify_key))))
    return desk


def take(desk: Desk, what: str) -> Outcome:
    return turn.take(None, str(desk.folder), what).outcome


def waiting(desk: Desk) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in desk.waiting()}


def two_waiting(desk: Desk) -> dict[str, bytes]:
    """One report is acknowledged, two wait."""
    assert take(desk, "cycle").delivered == 1
    for number in (80, 8080):
        desk.sections["ports"] = ports(number)
        take(desk, "store")
    return waiting(desk)


def put_back(desk: Desk, files: dict[str, bytes]) -> None:
    for path in desk.waiting():
        if path.name not in files:
            path.unlink()
    for name, content in files.items():
        (desk.folder / "spool" / name).write_bytes(content)


def test_it_draws_a_new_stream_where_its_state_is_torn_and_keeps_what_waits(started: Desk) -> None:
    before = two_waiting(started)
    path = started.folder / STATE_FILE
    whole = path.read_bytes()
    stream = started.state().stream
    for damaged in torn(whole[:-1]):
        path.write_bytes(damaged)
        assert take(started, "store") == Outcome(waiting=3)
        now = waiting(started)
        assert now.items() >= before.items()
        (new,) = set(now) - set(before)
        report = wire.open_envelope(now[new], bytes(started.key.verify_key))
        assert (report.stream != stream, report.sequence) == (True, 1)
        assert isinstance(report.sections, dict)
        assert all(section.data for section in report.sections.values() if section.status == "ok")
        assert (started.folder / f"{STATE_FILE}.damaged").read_bytes() == damaged
        put_back(started, before)


def test_it_delivers_everything_after_its_state_was_torn(started: Desk, collector: Collector) -> None:
    before = two_waiting(started)
    (started.folder / STATE_FILE).write_bytes((started.folder / STATE_FILE).read_bytes()[:100])
    take(started, "cycle")
    assert len(collector.received) == 1 + len(before) + 1
    settled(started, collector)


def settled(desk: Desk, collector: Collector) -> None:
    """Nothing waits, and the collector has the machine as it is."""
    for _ in range(3):
        last = take(desk, "cycle")
    assert (last.waiting, last.trouble) == (0, "")
    assert {name: row[1] for name, row in collector.sections.items()} == {
        name: section.digest for name, section in desk.sections.items()
    }


def some(changes: Iterator[bytes], count: int) -> Sequence[bytes]:
    every = list(changes)
    return random.Random(20261128).sample(every, min(len(every), -(-count // STEP)))  # noqa: S311 - repeatable


def test_it_comes_to_the_truth_however_its_state_was_changed(started: Desk, collector: Collector) -> None:
    two_waiting(started)
    path = started.folder / STATE_FILE
    for damaged in some(flipped(path.read_bytes()), 20):
        path.write_bytes(damaged)
        settled(started, collector)
        assert 60 <= turn.take(None, str(started.folder), "store").interval_s <= 86_400
    assert collector.received[-1].sections is msgspec.UNSET


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("interval_s", -900),
        ("interval_s", 10**9),
        ("sequence", -1),
        ("sequence", 2**62),
        ("stream", "c2hvcnQ="),
        ("last_ack_at", "2026-11-28T05:03:38"),
    ],
)
def test_it_does_not_go_by_a_state_that_it_never_wrote(started: Desk, name: str, value: object) -> None:
    take(started, "cycle")
    path = started.folder / STATE_FILE
    path.write_bytes(msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), name: value}))
    assert turn.take(None, str(started.folder), "cycle").interval_s == 3600
    assert (started.folder / f"{STATE_FILE}.damaged").exists()


def test_it_sets_aside_a_torn_or_changed_report_and_no_other(started: Desk) -> None:
    whole = two_waiting(started)
    take(started, "store")
    names = sorted(waiting(started))
    whole = waiting(started)
    spool = Spool(started.folder, bytes(started.key.verify_key), max_bytes=1 << 30, max_age_s=1e9)
    middle = whole[names[1]]
    for damaged in (*torn(middle), *some(flipped(middle), 300)):
        (started.folder / "spool" / names[1]).write_bytes(damaged)
        spool.prepare()
        assert [(name, body) for name, body, _ in spool.reports()] == [(name, whole[name]) for name in names[::2]]
        aside = sorted((started.folder / "damaged").iterdir())
        assert aside[-1].read_bytes() == damaged
        assert len(aside) <= 20


def test_it_says_in_one_line_that_its_identity_is_torn_and_touches_nothing(started: Desk) -> None:
    before = two_waiting(started)
    path = started.folder / IDENTITY_FILE
    whole = path.read_bytes()
    for damaged in torn(whole[:-1]):
        path.write_bytes(damaged)
        outcome = take(started, "cycle")
        assert "cannot be understood" in outcome.trouble
        assert "enroll again" in outcome.trouble
        assert "\n" not in outcome.trouble
        assert waiting(started) == before
        assert path.read_bytes() == damaged


def test_it_enrolls_again_over_a_torn_identity_and_goes_on(started: Desk, collector: Collector) -> None:
    before = two_waiting(started)
    path = started.folder / IDENTITY_FILE
    damaged = path.read_bytes()[:70]
    path.write_bytes(damaged)
    assert invited.keep(started.folder, collector.invitation())
    assert take(started, "deliver").delivered == len(before)
    assert path.with_name(f"{IDENTITY_FILE}.damaged").read_bytes() == damaged
    settled(started, collector)


def test_it_never_reports_elsewhere_or_dies_of_a_changed_identity(started: Desk, collector: Collector) -> None:
    path = started.folder / IDENTITY_FILE
    whole = path.read_bytes()
    before = two_waiting(started)
    received = len(collector.received)
    for damaged in some(flipped(whole), 150):
        path.write_bytes(damaged)
        take(started, "store")
        put_back(started, before)
    assert len(collector.received) == received
    path.write_bytes(whole)
    settled(started, collector)


@pytest.mark.parametrize("change", [torn, flipped])
def test_it_keeps_what_waits_while_its_key_is_torn_or_changed(started: Desk, change: object) -> None:
    before = two_waiting(started)
    path = started.folder / KEY_FILE
    whole = bytes(started.key)
    for damaged in change(whole):  # type: ignore[operator]
        path.write_bytes(damaged)
        outcome = take(started, "cycle")
        assert "enroll again" in outcome.trouble
        assert waiting(started) == before
        assert not list((started.folder / "damaged").iterdir())
    path.write_bytes(whole)
    assert take(started, "deliver").delivered == len(before)


def test_it_does_not_enroll_by_a_torn_or_changed_string(tmp_path: Path, collector: Collector) -> None:
    whole = str(collector.invitation()).encode()
    path = tmp_path / invited.INVITATION_FILE
    for damaged in (*torn(whole), *flipped(whole)):
        path.write_bytes(damaged)
        with pytest.raises(AgentError, match="damaged"):
            invited.follow(tmp_path, Config())
        assert not path.exists()
        assert path.with_name(f"{invited.INVITATION_FILE}.damaged").read_bytes() == damaged
    assert collector.paths == []


def test_it_remembers_nothing_by_a_torn_or_changed_file(tmp_path: Path) -> None:
    memory = FileMemory(tmp_path)
    memory.put("answer", b"forty-two, as of yesterday")
    path = tmp_path / "answer"
    whole = path.read_bytes()
    for damaged in (*torn(whole), *flipped(whole)):
        path.write_bytes(damaged)
        assert memory.get("answer") is None
    memory.put("answer", b"new")
    assert memory.get("answer") == b"new"


def test_it_goes_on_whatever_a_turn_said(started: Desk) -> None:
    """What its process prints may end anywhere when it is killed; the supervisor stays and starts the next one."""
    said = Turn(outcome=Outcome(delivered=1, trouble="記録", retry_after_s=3.5), interval_s=900)
    whole = msgspec.json.encode(said)
    for damaged in (*torn(whole), *flipped(whole)):
        lines: list[str] = []
        supervise(["turn"], lines.append, lambda _: True, at_once=True, start=lambda *_, now=damaged: now)
        assert len(lines) == 1
