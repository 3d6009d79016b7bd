"""What bears with a failing item, as exports and explanations tell it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import date, datetime, tzinfo

from msgspec import Struct

from secmon.evaluate.model import Standing, Verdict
from secmon.exceptions.model import COVERS, Kind, Record, Register, failing_items, standing


class Borne(Struct, frozen=True, kw_only=True):
    """A failing item that somebody said is borne with, and on whose word."""

    item: str
    """Empty for a check without items."""
    number: str
    kind: Kind
    approver: str
    """A post; empty for a dispute."""
    until: date
    """The last day, at the office."""
    ends_at: datetime
    """The first moment after it."""
    reason: str
    measure: str = ""
    """What is done instead."""


def borne(item: str, record: Record, tz: tzinfo) -> Borne:
    return Borne(
        item=item,
        number=record.number,
        kind=record.kind,
        approver=record.approver,
        until=record.last_day(tz),
        ends_at=record.valid_to,
        reason=record.reason,
        measure=record.measure,
    )


def weighed(
    verdict: Verdict, host_id: uuid.UUID, attributes: Mapping[str, str], register: Register
) -> tuple[Standing, Mapping[str, Record]]:
    """How the verdict counts, and by failing item what covers it."""
    if verdict.status != "fail":
        return verdict.status, {}
    found = {key: register.find(host_id, attributes, verdict.check, key) for key in failing_items(verdict.items)}
    covers = {key: record for key, record in found.items() if record is not None}
    counts_as, _ = standing(verdict.status, verdict.items, {key: COVERS[each.kind] for key, each in covers.items()}.get)
    return counts_as, covers
