"""The spool: order, bounds, and what it makes of files that are not what they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from secmon_agent import durable, wire
from secmon_agent.spool import MAX_SET_ASIDE, Spool
from tests.agents.make_vectors import KEY, OTHER_KEY, PUBLIC_KEY, full, heartbeat

NOW_S = 1_800_000_000.0


def report(sequence: int) -> bytes:
    return wire.seal(wire.REPORT_TYPE, replace(full(), sequence=sequence), KEY)


def beat(sequence: int) -> bytes:
    return wire.seal(wire.REPORT_TYPE, replace(heartbeat(), sequence=sequence), KEY)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path, PUBLIC_KEY, max_bytes=10_000, max_age_s=1000)
    made.prepare()
    return made


def sequences(spool: Spool) -> list[int]:
    return [message.sequence for _, _, message in spool.reports()]


def test_it_gives_reports_back_oldest_first_with_their_very_bytes(spool: Spool) -> None:
    bodies = [report(1), beat(2), report(3)]
    for body in bodies:
        spool.put(body, heartbeat=body is bodies[1])
    assert [body for _, body, _ in spool.reports()] == bodies
    assert sequences(spool) == [1, 2, 3]
    assert spool.size_bytes() == sum(map(len, bodies))


def test_it_forgets_only_what_is_done(spool: Spool) -> None:
    first = spool.put(report(1), heartbeat=False)
    spool.put(report(2), heartbeat=False)
    spool.done(first)
    assert sequences(spool) == [2]
    spool.put(report(3), heartbeat=False)
    assert sequences(spool) == [2, 3]


@pytest.mark.parametrize("garbage", [b"", b"\0" * 700, report(5)[:-9], wire.seal(wire.REPORT_TYPE, full(), OTHER_KEY)])
def test_it_moves_a_damaged_file_aside_and_goes_on(spool: Spool, tmp_path: Path, garbage: bytes) -> None:
    spool.put(report(1), heartbeat=False)
    name = spool.put(report(2), heartbeat=False)
    spool.put(report(3), heartbeat=False)
    (tmp_path / "spool" / name).write_bytes(garbage)
    assert sequences(spool) == [1, 3]
    assert [path.read_bytes() for path in (tmp_path / "damaged").iterdir()] == [garbage]
    assert len(spool.names()) == 2


def test_it_clears_away_what_an_interrupted_write_left(spool: Spool, tmp_path: Path) -> None:
    spool.put(report(1), heartbeat=False)
    torn = tmp_path / "spool" / f"000000000002.full{durable.TEMPORARY}"
    torn.write_bytes(report(2)[:100])
    assert sequences(spool) == [1]
    spool.prepare()
    assert not torn.exists()
    assert sequences(spool) == [1]


def test_it_passes_over_files_that_are_not_its_own(spool: Spool, tmp_path: Path) -> None:
    (tmp_path / "spool" / "README").write_text("hello")
    spool.put(report(1), heartbeat=False)
    assert sequences(spool) == [1]


def test_it_drops_the_oldest_beyond_its_bytes_and_keeps_the_newest(spool: Spool) -> None:
    size = len(report(1))
    count = 10_000 // size + 3
    for sequence in range(1, count + 1):
        spool.put(report(sequence), heartbeat=False)
    dropped = spool.trim(0)
    assert dropped > 0
    assert sequences(spool) == list(range(dropped + 1, count + 1))
    assert 10_000 - size < spool.size_bytes() <= 10_000


def test_it_keeps_the_newest_report_with_sections_however_large_or_old(tmp_path: Path) -> None:
    spool = Spool(tmp_path, PUBLIC_KEY, max_bytes=10, max_age_s=10)
    spool.prepare()
    spool.put(report(1), heartbeat=False)
    spool.put(report(2), heartbeat=False)
    spool.put(beat(3), heartbeat=True)
    assert spool.trim(100) == 2
    assert sequences(spool) == [2]


def test_it_drops_what_is_too_old(spool: Spool, tmp_path: Path) -> None:
    for sequence, age_s in ((1, 2000), (2, 1001), (3, 999), (4, 0)):
        name = spool.put(report(sequence), heartbeat=False)
        os.utime(tmp_path / "spool" / name, (NOW_S - age_s, NOW_S - age_s))
    assert spool.trim(1000) == 2
    assert sequences(spool) == [3, 4]


def test_it_keeps_a_bounded_number_of_refused_reports(spool: Spool, tmp_path: Path) -> None:
    for sequence in range(1, MAX_SET_ASIDE + 4):
        spool.reject(spool.put(report(sequence), heartbeat=False))
    assert spool.rejected() == MAX_SET_ASIDE
    kept = sorted((tmp_path / "rejected").iterdir())
    assert kept[0].read_bytes() == report(4)
    assert kept[-1].read_bytes() == report(MAX_SET_ASIDE + 3)
    assert spool.names() == []
