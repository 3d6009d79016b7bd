"""Storing the sections of a report: a new version where one changed, an end where one is gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, Struct
from sqlalchemy.engine import Connection, Row

from secmon.evaluate.changes import Change
from secmon.evaluate.sections import Stored as Content
from secmon.evaluate.sections import read_sections
from secmon.store.schema import section_versions
from secmon_agent import wire


class Stored(Struct, frozen=True, kw_only=True):
    """Sections that are now other than before, those that are gone among them, as they were and as they are."""

    before: Mapping[str, Content]
    after: Mapping[str, Content]
    want: tuple[str, ...]
    """Sections that changed, whose data did not come along."""

    def changes(self) -> Iterator[Change]:
        before, after = read_sections(self.before), read_sections(self.after)
        for name in before.keys() | after.keys():
            yield Change(section=name, before=before.get(name), after=after.get(name))


def store_sections(
    connection: Connection, host: Row[Any], report: wire.Report, *, revision: int, observed_at: datetime, now: datetime
) -> Stored:
    assert report.sections is not UNSET  # noqa: S101 — the caller tells heartbeats apart
    current = _current(connection, host)
    changed = {
        name: section
        for name, section in report.sections.items()
        if current.get(name) != (section.status, section.digest)
    }
    want = tuple(name for name, section in changed.items() if section.status == "ok" and section.data is UNSET)
    fresh = {name: section for name, section in changed.items() if name not in want}
    gone = set(current) - set(report.sections)
    ended = (set(fresh) & set(current)) | gone
    before = _content(connection, host, ended)
    _end(connection, host, ended, observed_at)
    if fresh:
        connection.execute(
            sa.insert(section_versions),
            [
                {
                    "host_id": host.host_id,
                    "section": name,
                    "revision": revision,
                    "status": section.status,
                    "reason": legible(section.reason),
                    "digest": section.digest,
                    "data": None if section.data is UNSET else section.data,
                    "collected_at": section.collected_at,
                    "observed_from": observed_at,
                    "recorded_at": now,
                }
                for name, section in fresh.items()
            ],
        )
    after = {name: (it.status, legible(it.reason), None if it.data is UNSET else it.data) for name, it in fresh.items()}
    return Stored(before=before, after=after, want=want)


def legible(text: str) -> str:
    """Text of a machine as both databases take it: PostgreSQL refuses NUL."""
    return text.replace("\0", "\ufffd")


def lacking(connection: Connection, host: Row[Any], report: wire.Report) -> tuple[str, ...]:
    """What an acknowledgement of this report should still ask for."""
    if report.sections is UNSET:
        return () if report.state == host.state and not host.resyncing else (wire.FULL_STATE,)
    current = _current(connection, host)
    return tuple(
        name
        for name, section in report.sections.items()
        if section.status == "ok" and section.data is UNSET and current.get(name) != (section.status, section.digest)
    )


def _current(connection: Connection, host: Row[Any]) -> dict[str, tuple[str, bytes]]:
    rows = connection.execute(
        sa.select(section_versions.c.section, section_versions.c.status, section_versions.c.digest).where(
            section_versions.c.host_id == host.host_id, section_versions.c.observed_to.is_(None)
        )
    )
    return {name: (status, digest) for name, status, digest in rows}


def _content(connection: Connection, host: Row[Any], names: set[str]) -> dict[str, Content]:
    if not names:
        return {}
    table = section_versions.c
    rows = connection.execute(
        sa.select(table.section, table.status, table.reason, table.data).where(
            table.host_id == host.host_id, table.section.in_(sorted(names)), table.observed_to.is_(None)
        )
    )
    return {name: (status, reason, data) for name, status, reason, data in rows}


def _end(connection: Connection, host: Row[Any], names: set[str], observed_at: datetime) -> None:
    if not names:
        return
    connection.execute(
        sa.update(section_versions)
        .where(
            section_versions.c.host_id == host.host_id,
            section_versions.c.section.in_(sorted(names)),
            section_versions.c.observed_to.is_(None),
        )
        .values(observed_to=observed_at)
    )
