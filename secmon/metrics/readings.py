"""What the families need of machines' facts: a host that did not change is not read, a section decoded once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection

from secmon.store.schema import section_versions
from secmon_agent import facts
from secmon_agent.wire import WireError, decode_facts

Digest = bytes
Brief = Callable[[facts.Section], object]
"""What a family needs of a section's facts; never of the clock."""

_CHUNK: Final = 500
_CURRENT: Final = section_versions.c.observed_to.is_(None)


class Reading(Struct, frozen=True, kw_only=True):
    """The present answer of one section of one machine."""

    status: str
    brief: Any
    """What `brief` made of the facts; None unless the section is `ok` and of a shape this version can read."""
    since: datetime
    """When this answer was first seen."""
    digest: Digest


class Readings:
    """By section and host, good until the host's revision rises; briefs by digest. What no host has is forgotten."""

    def __init__(self) -> None:
        self._readings: dict[str, dict[uuid.UUID, tuple[int, Reading | None]]] = {}
        self._briefs: dict[str, dict[Digest, object]] = {}

    def read(
        self, connection: Connection, section: str, brief: Brief, revisions: Mapping[uuid.UUID, int]
    ) -> dict[uuid.UUID, Reading]:
        """Readings of the hosts in `revisions` that have the section; each host with the revision of its rows."""
        known = self._readings.get(section, {})
        changed = [host_id for host_id, revision in revisions.items() if known.get(host_id, (None,))[0] != revision]
        fresh = self._fresh(connection, section, brief, changed)
        known = {
            host_id: (revision, fresh.get(host_id)) if host_id in fresh else known[host_id]
            for host_id, revision in revisions.items()
        }
        self._readings[section] = known
        present = {host_id: reading for host_id, (_, reading) in known.items() if reading is not None}
        used = {reading.digest for reading in present.values()}
        self._briefs[section] = {
            digest: made for digest, made in self._briefs.get(section, {}).items() if digest in used
        }
        return present

    def _fresh(
        self, connection: Connection, section: str, brief: Brief, host_ids: Sequence[uuid.UUID]
    ) -> dict[uuid.UUID, Reading | None]:
        """Of the hosts that changed; None for one without the section."""
        rows = list(_rows(connection, section, host_ids))
        briefs = self._briefs.setdefault(section, {})
        lacking = {digest: host_id for host_id, status, digest, _ in rows if status == "ok" and digest not in briefs}
        for digest, data in _data(connection, section, list(lacking.values())):
            briefs[digest] = _decoded(section, data, brief)
        fresh: dict[uuid.UUID, Reading | None] = dict.fromkeys(host_ids)
        for host_id, status, digest, since in rows:
            made = briefs.get(digest) if status == "ok" else None
            fresh[host_id] = Reading(status=status, brief=made, since=since, digest=digest)
        return fresh


def _rows(
    connection: Connection, section: str, host_ids: Sequence[uuid.UUID]
) -> Iterator[tuple[uuid.UUID, str, Digest, datetime]]:
    for start in range(0, len(host_ids), _CHUNK):
        rows = connection.execute(
            sa.select(
                section_versions.c.host_id,
                section_versions.c.status,
                section_versions.c.digest,
                section_versions.c.observed_from,
            ).where(
                section_versions.c.host_id.in_(host_ids[start : start + _CHUNK]),
                section_versions.c.section == section,
                _CURRENT,
            )
        )
        yield from map(tuple, rows)


def _data(connection: Connection, section: str, host_ids: Sequence[uuid.UUID]) -> Iterator[tuple[Digest, bytes]]:
    for start in range(0, len(host_ids), _CHUNK):
        rows = connection.execute(
            sa.select(section_versions.c.digest, section_versions.c.data).where(
                section_versions.c.host_id.in_(host_ids[start : start + _CHUNK]),
                section_versions.c.section == section,
                section_versions.c.data.is_not(None),
                _CURRENT,
            )
        )
        yield from map(tuple, rows)


def _decoded(section: str, data: bytes, brief: Brief) -> object:
    try:
        return brief(decode_facts(section, data))
    except WireError:
        return None  # stored by a later agent in a shape that this version cannot read: undetermined
