"""Limits that settings are held against, too; they stand here so that settings are read without all of the wire."""

from __future__ import annotations

from typing import Final

MAX_WIRE_BYTES: Final = 1 << 20
"""An envelope on the wire."""
MIN_INTERVAL_S: Final = 60
MAX_INTERVAL_S: Final = 86_400
