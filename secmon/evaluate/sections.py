"""Stored sections as a judge sees them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from secmon.evaluate.kinds import Kind, section_kinds
from secmon.evaluate.model import SectionState
from secmon_agent import facts
from secmon_agent.wire import WireError, decode_facts

Stored = tuple[str, str, bytes | None]
"""Status, reason, and the section's bytes as they came (None unless the status is `ok`)."""


def read_sections(sections: Mapping[str, Stored]) -> dict[str, SectionState]:
    """Every section decoded; one that this version cannot decode becomes `undecodable` and never an error."""
    return {name: _read(name, *stored) for name, stored in sections.items()}


def _read(name: str, status: str, reason: str, data: bytes | None) -> SectionState:
    if status != "ok":
        return SectionState(status=status, reason=reason)
    if data is None:
        return SectionState(status="undecodable", reason="its content is not stored")
    try:
        return SectionState(status="ok", facts=builtins(decode_facts(name, data)))
    except WireError as error:
        return SectionState(status="undecodable", reason=error.detail)
    except ValueError as error:
        return SectionState(status="undecodable", reason=f"section {name}: {error}")


def builtins(section: facts.Section) -> Mapping[str, object]:
    """Facts as a judge sees them: undetermined fields left out, instants in UTC. ValueError for one without a zone."""
    plain_facts: dict[str, object] = msgspec.to_builtins(section, builtin_types=(datetime,))
    if isinstance(section, WITH_INSTANTS):
        return {name: _in_utc(value) for name, value in plain_facts.items()}
    return plain_facts


def _holds_instants(kind: Kind) -> bool:
    inner = [*kind.fields.values(), *([kind.element] if kind.element else [])]
    return kind.name == "timestamp" or any(map(_holds_instants, inner))


WITH_INSTANTS: Final = tuple(facts.SECTIONS[name] for name, kind in section_kinds().items() if _holds_instants(kind))


def _in_utc(value: object) -> object:
    """The value with its instants in UTC: the same instant is the same value, and gives the same text."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("an instant has no time zone")
        return value if value.tzinfo is UTC else value.astimezone(UTC)
    if isinstance(value, dict):
        return {name: _in_utc(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(map(_in_utc, value))
    return value
