"""The agent's full cycle, a fresh process each, side by side with the two inventory agents that Debian ships.

Ours reads, signs, keeps and hands over to a collector over TLS; the others only inventory, into a file. *Cold*: nothing
cached, everything sent. *Warm*: nothing changed since the cycle before, as every quarter of an hour.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.agents.server import Collector
from tests.bench.child import Cost, cost
from tests.bench.figures import Figure, Note

ROUNDS = 5
PEERS = {
    "ocsinventory-agent": ["ocsinventory-agent", "--local={folder}", "--force"],
    "fusioninventory-agent": ["fusioninventory-agent", "--local={folder}", "--force"],
}
COLD, WARM = "secmon-agent, cold", "secmon-agent, warm"


def figures() -> Iterator[Figure | Note]:
    if sys.platform != "linux":
        yield Note(text="the agent's cycle is measured on Linux only")
        return
    peers = [name for name in PEERS if shutil.which(name)]
    for name in PEERS.keys() - set(peers):
        yield Note(text=f"{name} is not installed, so nothing is held against it (apt-get install {name})")
    if os.geteuid() != 0:
        yield Note(text="not run as root: every agent here reads less than it would on duty")
    costs = _measured(peers)
    cpu = {name: statistics.median(each.cpu_s for each in several) for name, several in costs.items()}
    peak = {name: statistics.median(each.peak_bytes for each in several) / 2**20 for name, several in costs.items()}
    for name in peers:
        yield Figure(measure="agent CPU", subject=name, value=cpu[name], unit="s")
    yield Figure(
        measure="agent CPU", subject=COLD, value=cpu[COLD], unit="s", against="ocsinventory-agent", at_most=1.0
    )
    yield Figure(
        measure="agent CPU", subject=WARM, value=cpu[WARM], unit="s", against="fusioninventory-agent", at_most=0.2
    )
    for name in peers:
        yield Figure(measure="agent peak memory", subject=name, value=peak[name], unit="MiB")
    for name in (COLD, WARM):
        yield Figure(measure="agent peak memory", subject=name, value=peak[name], unit="MiB", at_most=48.0)


def _measured(peers: list[str]) -> dict[str, list[Cost]]:
    """Costs of each, one after the other in every round, so that a busy moment of the machine meets all alike."""
    costs: dict[str, list[Cost]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, Collector() as collector:
        _cycle(Path(folder) / "first", collector)  # fills the page cache and Python's own
        for number in range(ROUNDS):
            for name in peers:
                into = Path(folder) / f"{name}-{number}"
                into.mkdir()
                costs[name].append(cost([part.format(folder=into) for part in PEERS[name]]))
            cold, warm = _cycle(Path(folder) / f"state-{number}", collector)
            costs[COLD].append(cold)
            costs[WARM].append(warm)
    return costs


def _cycle(state_dir: Path, collector: Collector) -> tuple[Cost, Cost]:
    """A newly enrolled agent's first cycle, and a later one when all has settled."""
    collector.sections = {}
    program = [sys.executable, "-m", "secmon_agent"]
    rest = ["--state-dir", str(state_dir)]
    cost([*program, "enroll", str(collector.invitation()), *rest])
    cold = cost([*program, "once", *rest])
    cost([*program, "once", *rest])
    return cold, cost([*program, "once", *rest])
