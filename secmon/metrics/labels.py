"""Values of labels that every family uses alike."""

from __future__ import annotations

from typing import Final, NamedTuple

from secmon.evaluate.model import STANDINGS

NONE: Final = "none"
"""Zone, department or role of a machine to which the office gave none. Not the empty string: Prometheus takes an empty
label for a missing one, and `by (department)` would then lose the bar's name."""
UNKNOWN: Final = "unknown"
"""What could not be determined (operating system, version)."""

SEVERITIES: Final = ("high", "medium", "low")
STATUSES: Final = STANDINGS
"""Answers of a check as they count, worst first."""
SECTION_STATUSES: Final = ("ok", "absent", "denied", "failed", "unsupported")


class Place(NamedTuple):
    """Where the office puts a machine."""

    zone: str
    department: str
