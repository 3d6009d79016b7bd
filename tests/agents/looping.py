"""An agent that reports in a loop until somebody kills it, for the crash test; a new process imports it."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from secmon_agent import durable, identity, keys
from secmon_agent.agent import Agent
from secmon_agent.config import Config
from secmon_agent.errors import AgentError
from tests.agents.desk import absent, host, ports


def loop(folder: Path) -> None:
    counter = itertools.count(os.getpid() % 1000)
    key, where = keys.load(folder), identity.load(folder)
    assert key is not None
    assert where is not None
    (folder / "up").touch()
    with durable.exclusive(folder / "lock"):
        while True:
            number = next(counter)
            sections = {"host": host(), "screen_lock": absent(), "ports": ports(22, number // 2 % 5 + 1)}
            agent = Agent(folder, Config(), key, where, lambda now=sections: now)  # type: ignore[misc]
            try:
                agent.cycle(deliver=number % 3 > 0)
            except AgentError:
                continue
