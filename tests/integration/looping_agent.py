"""The real agent on made-up facts, cycle after cycle until it is killed: `python -m … STATE_DIR ACK_LOG`.

Before it acts on an Ack it writes the acknowledged report's stream, sequence and state to the log, durably.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from secmon_agent import durable, facts, identity, keys, transport, wire
from secmon_agent.agent import Agent
from secmon_agent.config import Config
from secmon_agent.errors import AgentError
from secmon_agent.outcome import Outcome


class WitnessedAgent(Agent):
    log: Path

    def _acknowledged(self, name: str, message: wire.Report, reply: transport.Reply) -> Outcome:
        line = f"{message.stream.hex()} {message.sequence} {message.state.hex()}\n"
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
        os.close(descriptor)
        return super()._acknowledged(name, message, reply)


def sections(number: int) -> dict[str, wire.Section]:
    """A server on which telnet comes and goes, among other ports, and whose sshd settings change every third time."""
    now = datetime.now(UTC)
    ports = [22, *([23] if number % 2 else []), 8000 + number % 50]
    root = "yes" if number // 3 % 2 else "no"
    said: dict[str, facts.Section] = {
        "os": facts.Os(family="linux", id="debian", version="12", name="Debian GNU/Linux 12"),
        "host": facts.Host(hostname="crash", chassis="server"),
        "ports": facts.Ports(
            listening=tuple(
                facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=port, reach="network") for port in ports
            )
        ),
        "remote_access": facts.RemoteAccess(ssh_installed=True, ssh=facts.SshServer(permit_root_login=root)),  # type: ignore[arg-type]
    }
    return {name: wire.ok_section(each, now) for name, each in said.items()}


def main(state_dir: Path, log: Path) -> None:
    key, where = keys.load(state_dir), identity.load(state_dir)
    assert key is not None
    assert where is not None
    number = int(time.time() * 100)
    with durable.exclusive(state_dir / "lock"):
        while True:
            number += 1
            agent = WitnessedAgent(state_dir, Config(), key, where, lambda: sections(number))  # noqa: B023 — used at once
            agent.log = log
            try:
                trouble = agent.cycle().trouble
            except AgentError as error:
                trouble = str(error)
            if trouble:
                time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
