"""The collector that `bench_rejudge` measures: `python -m tests.bench.rejudge_server DATA RULES`, pinned to one core.

Prints a line of JSON once it listens.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import msgspec

from secmon import app
from secmon.config import Config, Console, Ingest, Rules
from tests.support.office import ZONES

LOOK_S = 0.2
"""How often it looks for changed rules: the wait is no work and belongs into no figure."""


def config(data: Path, rules: Path) -> Config:
    address = "127.0.0.1:0"
    return Config(
        data_dir=str(data), ingest=Ingest(address=address), console=Console(address=address), zones=ZONES,
        rules=Rules(folder=str(rules)),
    )  # fmt: skip


if __name__ == "__main__":
    os.sched_setaffinity(0, {0})
    app.WATCH_S = LOOK_S
    started = app.Collector(config(Path(sys.argv[1]), Path(sys.argv[2]))).start()
    sys.stdout.write(msgspec.json.encode(started).decode() + "\n")
    sys.stdout.flush()
    threading.Event().wait()
