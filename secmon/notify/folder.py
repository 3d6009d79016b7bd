"""The channel of an office without a mail server: a file for each mail, for a person to open."""

from __future__ import annotations

import os
from datetime import UTC
from pathlib import Path

from secmon.notify.channel import DeliveryError, Parcel


class FolderChannel:
    """Writes `<time>-<delivery>.eml` into `folder`: complete or not at all, and the same file when repeated."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, parcel: Parcel) -> None:
        stamp = parcel.created_at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        target = self._folder / f"{stamp}-{parcel.delivery_id}.eml"
        partial = target.with_suffix(".partial")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with partial.open("wb") as stream:
                stream.write(parcel.message)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(target)
            _sync(self._folder)
        except OSError as error:
            raise DeliveryError(f"{target}: {error.strerror or error}", permanent=False) from None


def _sync(folder: Path) -> None:
    """Make a new name durable, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
