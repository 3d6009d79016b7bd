"""Stored sections as a judge sees them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

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


def builtins(section: facts.Section) -> Mapping[str, object]:
    """Facts as a judge sees them: undetermined fields left out, instants typed."""
    plain_facts: dict[str, object] = msgspec.to_builtins(section, builtin_types=(datetime,))
    return plain_facts
