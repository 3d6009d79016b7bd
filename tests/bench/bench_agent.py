"""The agent's full cycle, a fresh process each, side by side with the two inventory agents that Debian ships.

Ours reads, signs, keeps and hands over to a collector over TLS; the others only inventory, into a file. *Cold*: nothing
cached, everything sent. *Warm*: nothing changed since the cycle before, as every quarter of an hour. *Resident*: the
same in a process that stays and has paid for its start; what one further cycle of it costs.

Ours is measured as it is installed: in an environment that holds the agent and its dependencies alone, with its byte
code compiled before the first measurement (PYTHONDONTWRITEBYTECODE is lifted, the code goes to a temporary folder).
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import venv
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from tests.agents.server import Collector
from tests.bench.child import Cost, cost
from tests.bench.figures import Figure, Note

ROUNDS = 5
PEERS = {
    "ocsinventory-agent": ["ocsinventory-agent", "--local={folder}", "--force"],
    "fusioninventory-agent": ["fusioninventory-agent", "--local={folder}", "--force"],
}
DEPENDENCIES = ("msgspec", "psutil", "pynacl", "cffi", "pycparser")
AGENT = Path(__file__).parents[2] / "agents" / "secmon_agent"
COLD, WARM, RESIDENT = "secmon-agent, cold", "secmon-agent, warm", "secmon-agent, warm, resident"
CYCLES = 10
"""Cycles of the resident agent over which its cost is averaged."""
RESIDENT_PROGRAM = """
import sys
from pathlib import Path
from secmon_agent import config, identity, keys
from secmon_agent.agent import open_agent
folder = Path(sys.argv[1])
agent = open_agent(folder, config.load(None), keys.load(folder), identity.load(folder))
for _ in range(int(sys.argv[2])):
    assert not agent.cycle().trouble
"""


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
    yield Figure(
        measure="agent CPU",
        subject=RESIDENT,
        value=cpu[RESIDENT],
        unit="s",
        against="fusioninventory-agent",
        at_most=0.2,
    )
    for name in peers:
        yield Figure(measure="agent peak memory", subject=name, value=peak[name], unit="MiB")
    for name in (COLD, WARM, RESIDENT):
        yield Figure(measure="agent peak memory", subject=name, value=peak[name], unit="MiB", at_most=48.0)


def _measured(peers: list[str]) -> dict[str, list[Cost]]:
    """Costs of each, one after the other in every round, so that a busy moment of the machine meets all alike."""
    costs: dict[str, list[Cost]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, Collector() as collector:
        program = _environment(Path(folder) / "installed")
        _cycle(program, Path(folder) / "first", collector)  # fills the page cache and compiles
        for number in range(ROUNDS):
            for name in peers:
                into = Path(folder) / f"{name}-{number}"
                into.mkdir()
                costs[name].append(cost([part.format(folder=into) for part in PEERS[name]]))
            cold, warm, resident = _cycle(program, Path(folder) / f"state-{number}", collector)
            costs[COLD].append(cold)
            costs[WARM].append(warm)
            costs[RESIDENT].append(resident)
    return costs


def _environment(folder: Path) -> Path:
    """A virtual environment with links to the agent and what it depends on; answers the program in it."""
    venv.create(folder, symlinks=True)
    into = next(folder.glob("lib/python*/site-packages"))
    (into / AGENT.name).symlink_to(AGENT)
    for name in DEPENDENCIES:
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or () if file.parts[0] != ".."}:
            (into / top).symlink_to(Path(str(found.locate_file(top))))
    program = folder / "bin" / "secmon-agent"
    program.write_text(f"#!{folder}/bin/python\nfrom secmon_agent.cli import main\nmain()\n")
    program.chmod(0o755)
    program.with_name("cycles").write_text(RESIDENT_PROGRAM)
    return program


def _cycle(program: Path, state_dir: Path, collector: Collector) -> tuple[Cost, Cost, Cost]:
    """A newly enrolled agent's first cycle, a later one when all has settled, and one of an agent that stays."""
    collector.sections = {}

    def start(*command: object) -> Cost:
        around = {
            "PYTHONPATH": "",
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(program.parents[1] / "compiled"),
        }
        return cost([str(part) for part in command], environment=around)

    def run(*arguments: str) -> Cost:
        return start(program, *arguments, "--state-dir", state_dir)

    run("enroll", str(collector.invitation()))
    cold = run("once")
    run("once")
    warm = run("once")
    several, one = (
        start(program.with_name("python"), program.with_name("cycles"), state_dir, count) for count in (CYCLES + 1, 1)
    )
    resident = Cost(
        cpu_s=(several.cpu_s - one.cpu_s) / CYCLES, peak_bytes=several.peak_bytes, wall_s=several.wall_s - one.wall_s
    )
    return cold, warm, resident
