"""Killed at any instant, an agent neither loses a stored report nor says two things under one sequence."""

from __future__ import annotations

import hashlib
import multiprocessing
import random
import sys
import time
from itertools import pairwise

from msgspec import UNSET

from secmon_agent import wire
from tests.agents.desk import Desk
from tests.agents.looping import loop
from tests.agents.server import Answer, Collector, Handler, cut, refuse

KILLS = 8 if sys.platform == "win32" else 36  # starting a process is slow there


class Witness:
    """Looks at every report on its way in; every now and then the collector is busy, or the answer is lost."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self.contents: dict[tuple[bytes, int], set[str]] = {}
        self.answers = 0
        self._random = random.Random(7)  # noqa: S311 - repeatable

    def __call__(self, handler: Handler) -> Answer | None:
        self.collector.script.append(self)
        self.answers += 1
        report = wire.read_report(wire.read_envelope(handler.body))
        content = hashlib.sha256(handler.body).hexdigest()
        self.contents.setdefault((report.stream, report.sequence), set()).add(content)
        chance = self._random.random()
        if chance < 0.1:
            return refuse("busy", 503)(handler)
        if chance < 0.2:
            cut(handler)
            return None
        return handler.usual(self.collector)


def test_it_survives_kill_9_at_any_instant(desk: Desk, collector: Collector) -> None:
    witness = Witness(collector)
    collector.script = [witness]
    context = multiprocessing.get_context("spawn")
    rng = random.Random(20261120)  # noqa: S311 - repeatable
    spooled: dict[tuple[bytes, int], str] = {}
    for _ in range(KILLS):
        (desk.folder / "up").unlink(missing_ok=True)
        process = context.Process(target=loop, args=(desk.folder,), daemon=True)
        process.start()
        while not (desk.folder / "up").exists():
            assert process.is_alive()
            time.sleep(0.002)
        enough = witness.answers + rng.randint(0, 6)
        while witness.answers < enough:
            assert process.is_alive()
            time.sleep(0.001)
        time.sleep(rng.random() * 0.02)
        process.kill()
        process.join()
        spooled.update(waiting(desk))
    collector.script.clear()
    assert witness.answers > KILLS
    desk.agent().drain()
    desk.agent().cycle()
    last = desk.agent().cycle()
    assert (last.waiting, last.trouble) == (0, "")
    assert all(len(contents) == 1 for contents in witness.contents.values()), "a sequence was used for two contents"
    assert collector.bodies.items() >= spooled.items(), "a stored report was lost or changed"
    order = [(report.stream, report.sequence) for report in collector.received]
    assert len({stream for stream, _ in order}) == 1
    assert all(before[1] < after[1] for before, after in pairwise(order)), "reports were applied out of order or twice"
    assert not list((desk.folder / "rejected").iterdir())
    assert not list((desk.folder / "damaged").iterdir())
    assert collector.received[-1].sections is UNSET
    assert {name: row[1] for name, row in collector.sections.items()} == {
        name: section.digest for name, section in desk.sections.items()
    }


def waiting(desk: Desk) -> dict[tuple[bytes, int], str]:
    """What lies whole in the spool: place and content. A file that cannot be opened fails the test."""
    found: dict[tuple[bytes, int], str] = {}
    for path in (desk.folder / "spool").glob("*"):
        if path.suffix in {".full", ".beat"}:
            body = path.read_bytes()
            report = wire.open_envelope(body, bytes(desk.key.verify_key))
            found[report.stream, report.sequence] = hashlib.sha256(body).hexdigest()
    return found
