"""What a machine's enrollment leaves in the state folder besides the key: identity, state and reports under way."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from secmon_agent import durable, identity, keys, state
from secmon_agent.errors import StorageError
from secmon_agent.spool import DAMAGED_DIR, REJECTED_DIR, SPOOL_DIR

FILES: Final = (identity.IDENTITY_FILE, keys.NEXT_FILE, keys.ROTATION_FILE, state.STATE_FILE)
FOLDERS: Final = (SPOOL_DIR, REJECTED_DIR, DAMAGED_DIR)
_LEFTOVERS: Final = ("*" + durable.TEMPORARY, "*" + durable.DAMAGED)
"""Of a write that was interrupted, and files that could not be understood: whose they are does not show."""


def clear(state_dir: Path) -> None:
    """Remove all of it, durably; raises StorageError. Harmless where some or all is gone already."""
    for name in FILES:
        durable.remove(state_dir / name)
    for pattern in _LEFTOVERS:
        for leftover in _found(state_dir, pattern):
            durable.remove(leftover)
    for name in FOLDERS:
        empty(state_dir / name)


def empty(folder: Path) -> None:
    """Remove the folder with the files in it."""
    for path in _found(folder, "*"):
        durable.remove(path)
    try:
        folder.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"cannot remove {folder}: {error.strerror or error}") from None


def _found(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError as error:
        raise StorageError(f"cannot list {folder}: {error.strerror or error}") from None
