"""Limits that stand here and not in `wire.py` so that what stays in memory knows them without it."""

from __future__ import annotations

from typing import Final

MAX_WIRE_BYTES: Final = 1 << 20
"""An envelope on the wire."""
MIN_INTERVAL_S: Final = 60
MAX_INTERVAL_S: Final = 86_400

MAX_TURN_CPU_S: Final = 120
"""Processor time of one turn of the agent; a cold one needs less than a second."""
MAX_TURN_MEMORY_BYTES: Final = 128 << 20
"""Private memory of one process of the agent; a turn needs 30 MiB."""
