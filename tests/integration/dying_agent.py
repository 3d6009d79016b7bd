"""A real agent on made-up facts that reports once: `python -m … STATE_DIR MOMENT`.

It kills itself with signal 9 at the moment of this number: before or after a change of the disk or an exchange with the
collector. Exit status 0 when it came to its end.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from secmon_agent import durable, identity, keys, session, transport, wire
from secmon_agent.agent import open_agent
from secmon_agent.config import Config
from tests.integration.looping_agent import sections

_passed = 0


def _around(change: Callable[..., object], fatal: int) -> Callable[..., object]:
    def changed(*arguments: object) -> object:
        _moment(fatal)
        result = change(*arguments)
        _moment(fatal)
        return result

    return changed


def _moment(fatal: int) -> None:
    global _passed  # noqa: PLW0603 — one process, one count
    if _passed == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    _passed += 1


def main(state_dir: Path, fatal: int) -> None:
    for name in ("write", "remove", "move"):
        setattr(durable, name, _around(getattr(durable, name), fatal))
    transport.Collector.post = _around(transport.Collector.post, fatal)  # type: ignore[method-assign,assignment]
    with session.alone(state_dir):
        session.joined(state_dir, Config())
        agent = open_agent(state_dir, Config(), keys.load(state_dir), identity.load(state_dir))
        agent._collect = lambda: _sections(fatal)
        sys.stdout.write(agent.cycle().line() + "\n")


def _sections(number: int) -> dict[str, wire.Section]:
    return sections(number) | {"boot": wire.other_section("absent", f"number {number}", datetime.now(UTC))}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
