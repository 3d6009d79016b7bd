"""A small town office in a database, filled through the collector's own functions."""

from __future__ import annotations

import functools
import hashlib
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from msgspec import UNSET, Struct
from nacl.signing import SigningKey

from secmon.config import Config, Zone
from secmon.config import Office as OfficeSection
from secmon.evaluate.ruleset import RuleSet, load_rules
from secmon.ingest.admission import Admitted, KeyRing
from secmon.ingest.apply import Applied, Applier
from secmon.resources import rules_dir
from secmon.store.database import Database, sqlite_url
from secmon.store.hosts import create_host, link_asset
from secmon.store.schema import agent_keys, agents, host_agents
from secmon_agent import facts, wire

START = datetime(2026, 11, 2, 0, 0, tzinfo=UTC)
"""A Monday, 09:00 in Japan."""

ZONES = (
    Zone(id="lgwan", name="LGWAN接続系", networks=("10.1.0.0/16",)),
    Zone(id="mynumber", name="マイナンバー利用事務系", networks=("10.2.0.0/16",)),
    Zone(id="internet", name="インターネット接続系", networks=("10.3.0.0/16",)),
)


@functools.cache
def shipped_rules() -> RuleSet:
    """The rules of this checkout, read once."""
    return load_rules(rules_dir())


class _Speaker:
    """What an agent remembers of its stream."""

    def __init__(self, key: SigningKey) -> None:
        self.key = key
        self.stream = hashlib.sha256(bytes(key.verify_key)).digest()[:16]
        self.sequence = 0
        self.sections: dict[str, wire.Section] = {}


class Office:
    """Machines of one office. Times are aware UTC; reports are applied as the writer would, without a network."""

    def __init__(self, folder: Path, database_url: str | sa.URL | None = None, rules: RuleSet | None = None) -> None:
        self.config = Config(data_dir=str(folder), zones=ZONES, office=OfficeSection(name="北の町役場"))
        self.database = Database(database_url or sqlite_url(folder / "secmon.db"))
        self.database.migrate()
        self.rules = rules or shipped_rules()
        self.collector_id, self.generation = self.database.identity(START)
        self._speakers: dict[uuid.UUID, _Speaker] = {}

    def add_host(
        self,
        name: str,
        *,
        zone: str | None = None,
        department: str | None = None,
        role: str | None = None,
        asset_number: str | None = None,
        location: str | None = None,
        at: datetime = START,
    ) -> uuid.UUID:
        """An enrolled machine that has not reported yet."""
        given = {"zone": zone, "department": department, "role": role, "location": location}
        attributes = {key: value for key, value in given.items() if value is not None}
        key = SigningKey(hashlib.sha256(name.encode()).digest())
        agent_id = uuid.uuid4()
        with self.database.write() as connection:
            host_id = create_host(connection, hostname=name, now=at, attributes=attributes)
            connection.execute(sa.insert(agents).values(agent_id=agent_id, enrolled_at=at))
            connection.execute(
                sa.insert(agent_keys).values(
                    key_id=wire.key_id(bytes(key.verify_key)),
                    agent_id=agent_id,
                    public_key=bytes(key.verify_key),
                    valid_from=at,
                )
            )
            connection.execute(
                sa.insert(host_agents).values(host_id=host_id, agent_id=agent_id, valid_from=at, recorded_at=at)
            )
            if asset_number is not None:
                link_asset(connection, host_id, asset_number, at, name=name, location=location or "")
        self._speakers[host_id] = _Speaker(key)
        return host_id

    def report(
        self,
        host_id: uuid.UUID,
        sections: Mapping[str, Struct | wire.Section],
        at: datetime = START,
        *,
        received_at: datetime | None = None,
        keep: bool = True,
    ) -> Applied:
        """A report of these sections; with `keep` those of earlier reports that are not named stay as they were."""
        speaker = self._speakers[host_id]
        given = {
            name: each if isinstance(each, wire.Section) else wire.ok_section(each, at)  # type: ignore[arg-type]
            for name, each in sections.items()
        }
        speaker.sections = {**(speaker.sections if keep else {}), **given}
        return self._send(host_id, speaker, at, received_at, speaker.sections)

    def heartbeat(self, host_id: uuid.UUID, at: datetime, *, received_at: datetime | None = None) -> Applied:
        return self._send(host_id, self._speakers[host_id], at, received_at, None)

    def _send(
        self,
        host_id: uuid.UUID,
        speaker: _Speaker,
        at: datetime,
        received_at: datetime | None,
        sections: Mapping[str, wire.Section] | None,
    ) -> Applied:
        speaker.sequence += 1
        report = wire.Report(
            stream=speaker.stream,
            sequence=speaker.sequence,
            boot_id=bytes(16),
            collected_at=at,
            interval_s=900,
            state=wire.state_digest(speaker.sections),
            offset_s=0.0,
            agent_version="0.1.0",
            sections=UNSET if sections is None else dict(sections),
        )
        key = KeyRing(self.database).find(wire.key_id(bytes(speaker.key.verify_key)))
        assert key is not None
        admitted = Admitted(
            key=key,
            report=report,
            payload_hash=hashlib.sha256(repr(report).encode()).digest(),
            received_at=received_at or at + timedelta(seconds=1),
        )
        with self.database.write() as connection:
            (outcome,) = Applier(self.rules, self.config).apply(connection, [admitted])
        if not isinstance(outcome, Applied):
            raise outcome
        return outcome


def linux(version: str = "12", /, **other: object) -> dict[str, Struct]:
    """Sections of a small, well-kept Debian server; `other` replaces or adds sections."""
    sections: dict[str, Struct] = {
        "os": facts.Os(family="linux", id="debian", name=f"Debian GNU/Linux {version}", version=version),
        "host": facts.Host(hostname="server", chassis="server"),
        "ports": facts.Ports(
            listening=(
                facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=22, reach="network", process="sshd"),
            )
        ),
    }
    return sections | other  # type: ignore[return-value]
