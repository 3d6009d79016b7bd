"""The present answers of every machine, remembered by the host's revision: only what changed is read again."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.metrics.labels import STATUSES
from secmon.store.exceptions import softened
from secmon.store.schema import results

_CHUNK: Final = 500
_RANK: Final = {status: rank for rank, status in enumerate(STATUSES)}
_UNKNOWN: Final = _RANK["unknown"]

Vector = bytes
"""One byte a check, in the order given: index into STATUSES. A check without an answer is unknown."""


class Answers:
    """Vectors by host. `checks` in another order, or another rule set, starts anew."""

    def __init__(self) -> None:
        self._checks: tuple[str, ...] = ()
        self._vectors: dict[uuid.UUID, tuple[int, Vector]] = {}

    def read(
        self, connection: Connection, checks: tuple[str, ...], revisions: Mapping[uuid.UUID, int]
    ) -> dict[uuid.UUID, Vector]:
        """`revisions`: the hosts that are asked for, each with the revision of its rows."""
        if checks != self._checks:
            self._checks, self._vectors = checks, {}
        changed = [
            host_id for host_id, revision in revisions.items() if self._vectors.get(host_id, (None, b""))[0] != revision
        ]
        fresh = _vectors(connection, checks, changed)
        self._vectors = {
            host_id: (revision, fresh[host_id]) if host_id in fresh else self._vectors[host_id]
            for host_id, revision in revisions.items()
        }
        return {host_id: vector for host_id, (_, vector) in self._vectors.items()}


def _vectors(connection: Connection, checks: tuple[str, ...], host_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Vector]:
    ordered = sorted(host_ids)
    place = {check: index for index, check in enumerate(checks)}
    vectors = {host_id: bytearray([_UNKNOWN]) * len(checks) for host_id in ordered}
    for start in range(0, len(ordered), _CHUNK):
        rows = connection.execute(
            sa.select(results.c.host_id, results.c.check_id, results.c.status).where(
                results.c.host_id.in_(ordered[start : start + _CHUNK]), results.c.observed_to.is_(None)
            )
        )
        for host_id, check, status in rows:
            index = place.get(check)
            if index is not None:
                vectors[host_id][index] = _RANK.get(status, _UNKNOWN)
        borne = softened(connection, ordered[start : start + _CHUNK])
        for (host_id, check), (standing, _) in borne.items():
            if check in place:
                vectors[host_id][place[check]] = _RANK[standing]
    return {host_id: bytes(vector) for host_id, vector in vectors.items()}
