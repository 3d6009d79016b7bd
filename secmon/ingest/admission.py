"""Who may send what: keys known here, and the report in a verified envelope. No database work beyond a key look-up."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, Struct

from secmon.store.database import Database
from secmon.store.schema import agent_keys, agents, host_agents
from secmon_agent import wire

SENSOR_SECTIONS = frozenset({"devices", "reachability"})
"""What only an agent enrolled for it may send."""
CLOCKS_FROM = datetime(1969, 12, 30, tzinfo=UTC)
CLOCKS_TO = datetime(9000, 1, 1, tzinfo=UTC)
"""What the clock of a machine may show. An empty battery makes it 1970, west of Greenwich the day before."""


class Refused(Exception):  # noqa: N818 — an answer, not a fault of this program
    """A request that gets a problem instead of an Ack. `problem` is one of `wire.PROBLEMS`."""

    def __init__(self, problem: str, status: int, detail: str = "") -> None:
        super().__init__(detail or wire.PROBLEMS[problem])
        self.problem = problem
        self.status = status
        self.detail = detail


class KnownKey(Struct, frozen=True, kw_only=True):
    """What must be known of a key before a body is read."""

    key_id: bytes
    public_key: bytes
    agent_id: uuid.UUID
    host_id: uuid.UUID
    sections: frozenset[str] | None
    """Sections it may send; None: all of a machine."""


class Admitted(Struct, frozen=True, kw_only=True):
    """A verified report on its way to the writer."""

    key: KnownKey
    report: wire.Report
    payload_hash: bytes
    received_at: datetime


class KeyRing:
    """Public keys by key id, remembered once seen. Revocation is decided in the writer's transaction, not here."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: dict[bytes, KnownKey] = {}

    def cached(self, key_id: bytes) -> KnownKey | None:
        return self._keys.get(key_id)

    def find(self, key_id: bytes) -> KnownKey | None:
        """From memory, or from the database."""
        known = self._keys.get(key_id)
        if known is None:
            known = self._load(key_id)
            if known is not None:
                self._keys[key_id] = known
        return known

    def forget(self, key_id: bytes) -> None:
        self._keys.pop(key_id, None)

    def _load(self, key_id: bytes) -> KnownKey | None:
        query = (
            sa.select(agent_keys.c.public_key, agents.c.agent_id, host_agents.c.host_id, agents.c.sections)
            .join(agents, agents.c.agent_id == agent_keys.c.agent_id)
            .join(host_agents, sa.and_(host_agents.c.agent_id == agents.c.agent_id, host_agents.c.valid_to.is_(None)))
            .where(agent_keys.c.key_id == key_id)
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return KnownKey(
            key_id=key_id,
            public_key=row.public_key,
            agent_id=row.agent_id,
            host_id=row.host_id,
            sections=None if row.sections is None else frozenset(msgspec.json.decode(row.sections, type=list[str])),
        )


def admit(body: bytes, key: KnownKey, received_at: datetime) -> Admitted:
    """Verify, then decode. Raises Refused."""
    try:
        envelope = wire.read_envelope(body)
        wire.verify(envelope, key.public_key)
        report = wire.read_report(envelope)
    except wire.WireError as error:
        raise refusal(error) from None
    _check_instant(report.collected_at, "")
    if report.sections is not UNSET:
        _check_allowed(key, report.sections)
        for name, section in report.sections.items():
            _check_instant(section.collected_at, f"sections.{name}.")
            if "\0" in section.status:
                raise Refused("malformed", 400, f"report: status is no word - at `$.sections.{name}.status`")
    return Admitted(
        key=key, report=report, payload_hash=hashlib.sha256(envelope.payload).digest(), received_at=received_at
    )


def refusal(error: wire.WireError) -> Refused:
    problem = {401: "bad-signature", 413: "too-large", 415: "unknown-format"}.get(error.status, "malformed")
    return Refused(problem, error.status, error.detail)


def _check_instant(said: datetime, where: str) -> None:
    """A clock may be wrong by decades and the report is taken; what no clock shows cannot be counted with."""
    if not CLOCKS_FROM <= said <= CLOCKS_TO:
        raise Refused("malformed", 400, f"report: no clock shows this time - at `$.{where}collected_at`")


def _check_allowed(key: KnownKey, sections: dict[str, wire.Section]) -> None:
    for name in sections:
        allowed = name not in SENSOR_SECTIONS if key.sections is None else name in key.sections
        if not allowed:
            raise Refused("section-not-allowed", 400, f"section {name!r}")
