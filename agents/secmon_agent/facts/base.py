"""What every fact is."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Family = Literal["linux", "windows"]
Reach = Literal["loopback", "network"]


class Fact(Struct, frozen=True, kw_only=True):
    """Base of everything that travels inside a section."""
