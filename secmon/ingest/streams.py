"""Order: where a report stands among those already taken. By stream and sequence, never by a clock."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy.engine import Connection, Row

from secmon.ingest.admission import Admitted
from secmon.ingest.clones import machine_of
from secmon.store.bulk import execute_many
from secmon.store.schema import stream_window, streams
from secmon_agent import wire

WINDOW = 256
"""Reports of a stream whose payload hash is kept."""

Place = Literal["next", "new_stream", "repeated", "late", "fork"]
"""`next`: newer than all; `repeated`: the very same again; `late`: never seen, but newer ones were applied;
`fork`: the sequence was used with another content, is older than the window, or its stream was given up."""


def place(connection: Connection, host: Row[Any], admitted: Admitted) -> Place:
    """`host` is a row of `host_state`."""
    report = admitted.report
    if host.stream is None:
        return "new_stream"
    current = report.stream == host.stream
    if current and report.sequence > host.sequence:
        return "next"
    if not current and not _is_known(connection, host, report.stream):
        return "new_stream"
    seen = connection.execute(
        sa.select(stream_window.c.sequence, stream_window.c.payload_hash).where(
            stream_window.c.host_id == host.host_id,
            stream_window.c.stream == report.stream,
            stream_window.c.slot == report.sequence % WINDOW,
        )
    ).first()
    if seen is not None and seen.sequence == report.sequence:
        return "repeated" if seen.payload_hash == admitted.payload_hash else "fork"
    if current and report.sequence > host.sequence - WINDOW and (seen is None or seen.sequence < report.sequence):
        return "late"
    return "fork"


def _is_known(connection: Connection, host: Row[Any], stream: bytes) -> bool:
    return (
        connection.execute(
            sa.select(streams.c.opened_at).where(streams.c.host_id == host.host_id, streams.c.stream == stream)
        ).first()
        is not None
    )


def open_stream(connection: Connection, host: Row[Any], admitted: Admitted) -> None:
    """The report's stream takes over from the one before."""
    connection.execute(
        sa.update(streams)
        .where(streams.c.host_id == host.host_id, streams.c.superseded_at.is_(None))
        .values(superseded_at=admitted.received_at, last_sequence=host.sequence, boot_id=host.boot_id)
    )
    connection.execute(
        sa.insert(streams).values(
            host_id=host.host_id,
            stream=admitted.report.stream,
            agent_id=admitted.key.agent_id,
            opened_at=admitted.received_at,
            **machine_of(admitted.report),
        )
    )


_REMEMBER = (
    "INSERT INTO stream_window (host_id, stream, slot, sequence, payload_hash) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (host_id, stream, slot) "
    "DO UPDATE SET sequence = excluded.sequence, payload_hash = excluded.payload_hash"
)


def remember(connection: Connection, taken: list[Admitted]) -> None:
    """Put the reports into their streams' windows."""
    rows = [
        (each.key.host_id, each.report.stream, each.report.sequence % WINDOW, each.report.sequence, each.payload_hash)
        for each in taken
    ]
    if rows:
        execute_many(connection, _REMEMBER, rows)


def offset_of(report: wire.Report) -> float | None:
    """Collector's clock minus the agent's, as far as it says a number."""
    return report.offset_s if report.offset_s is not UNSET and math.isfinite(report.offset_s) else None


def corrected(admitted: Admitted, previous: datetime | None) -> datetime:
    """When it was so: the agent's time corrected by its offset, not before `previous` and not after it was received."""
    report = admitted.report
    observed = report.collected_at
    offset = offset_of(report)
    if offset is not None:
        try:
            observed += timedelta(seconds=offset)
        except OverflowError:
            observed = admitted.received_at
    observed = min(observed, admitted.received_at)
    return observed if previous is None else max(observed, previous)
