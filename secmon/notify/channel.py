"""A channel carries one rendered mail, or says why not."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime

from msgspec import Struct


class DeliveryError(Exception):
    """The mail did not leave. `permanent`: the same mail would be refused again. Never holds a secret."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class Parcel(Struct, frozen=True, kw_only=True):
    """A delivery on its way."""

    delivery_id: uuid.UUID
    recipient: str
    message: bytes
    created_at: datetime


Channel = Callable[[Parcel], None]
"""Returns when the mail was taken over for good; raises DeliveryError."""
