"""What the families need of machines' facts, remembered by digest: an unchanged section is decoded once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
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


class Readings:
    """Briefs by section and digest. What no machine has any more is forgotten with the next reading."""

    def __init__(self) -> None:
        self._briefs: dict[str, dict[Digest, Any]] = {}

    def read(self, connection: Connection, section: str, brief: Brief) -> dict[uuid.UUID, Reading]:
        """Readings by host, of every host that ever sent the section and still does."""
        rows = connection.execute(
            sa.select(
                section_versions.c.host_id,
                section_versions.c.status,
                section_versions.c.digest,
                section_versions.c.observed_from,
            ).where(section_versions.c.section == section, _CURRENT)
        ).all()
        wanted = {row.digest for row in rows if row.status == "ok"}
        known = self._known(connection, section, brief, wanted)
        return {
            row.host_id: Reading(
                status=row.status,
                brief=known.get(row.digest) if row.status == "ok" else None,
                since=row.observed_from,
            )
            for row in rows
        }

    def _known(self, connection: Connection, section: str, brief: Brief, wanted: set[Digest]) -> Mapping[Digest, Any]:
        before = self._briefs.get(section, {})
        known = {digest: before[digest] for digest in wanted if digest in before}
        for digest, data in _data(connection, section, wanted - known.keys()):
            known[digest] = _decoded(section, data, brief)
        self._briefs[section] = known
        return known


def _data(connection: Connection, section: str, digests: Iterable[Digest]) -> Iterator[tuple[Digest, bytes]]:
    ordered = sorted(digests)
    for start in range(0, len(ordered), _CHUNK):
        rows = connection.execute(
            sa.select(section_versions.c.digest, section_versions.c.data).where(
                section_versions.c.section == section,
                section_versions.c.digest.in_(ordered[start : start + _CHUNK]),
                section_versions.c.data.is_not(None),
                _CURRENT,
            )
        )
        yield from dict(iter((row.digest, row.data) for row in rows)).items()


def _decoded(section: str, data: bytes, brief: Brief) -> object:
    try:
        return brief(decode_facts(section, data))
    except WireError:
        return None  # stored by a later agent in a shape that this version cannot read: undetermined
