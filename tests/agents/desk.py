"""An enrolled agent's state folder with sections to report at will, as the tests need it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from nacl.signing import SigningKey

from secmon_agent import durable, facts, identity, keys, state, wire
from secmon_agent.agent import Agent
from secmon_agent.config import Config
from secmon_agent.identity import Identity
from tests.agents.server import CA, Collector

WHEN = datetime(2026, 11, 20, 3, 4, 5, tzinfo=UTC)


def ports(*numbers: int) -> wire.Section:
    listening = tuple(
        facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=number, reach="network") for number in numbers
    )
    return wire.ok_section(facts.Ports(listening=listening), WHEN)


def host(name: str = "pc-0042") -> wire.Section:
    return wire.ok_section(facts.Host(hostname=name, memory_bytes=8 << 30), WHEN)


def absent(reason: str = "no graphical session") -> wire.Section:
    return wire.other_section("absent", reason, WHEN)


class Desk:
    def __init__(self, folder: Path, collector: Collector, config: Config | None = None) -> None:
        self.folder = folder
        self.collector = collector
        self.config = config or Config()
        self.sections: dict[str, wire.Section] = {"host": host(), "ports": ports(22, 443), "screen_lock": absent()}
        durable.private_directory(folder)
        self.key: SigningKey = keys.load_or_create(folder)
        public_key = bytes(self.key.verify_key)
        collector.keys[wire.key_id(public_key)] = public_key
        invitation = collector.invitation()
        self.identity = Identity(
            host=invitation.host, port=invitation.port, ca_sha256=invitation.ca_sha256, ca=CA, status="enrolled"
        )
        identity.save(folder, self.identity)

    def agent(self) -> Agent:
        """As after a fresh start of the process."""
        return Agent(self.folder, self.config, self.key, self.identity, lambda: self.sections)

    def state(self) -> state.State:
        loaded = state.load(self.folder)
        assert loaded is not None
        return loaded

    def waiting(self) -> list[Path]:
        return sorted((self.folder / "spool").iterdir())

    def rejected(self) -> list[Path]:
        return sorted((self.folder / "rejected").iterdir())
