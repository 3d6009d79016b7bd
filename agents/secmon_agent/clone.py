"""This machine turned out to be a copy of another one: the collector has told the two apart by their streams.

The key is the other machine's, so it is set aside, and what belongs to it goes with it. A note is written first:
however the process ends in between, the next one goes on. It stays until the machine has enrolled as one of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from secmon_agent import durable, identity, keys
from secmon_agent.errors import AgentError, ClonedError, NotEnrolledError

NOTE_FILE = "clone.json"
ASIDE_FILE = keys.KEY_FILE + ".clone"
LINE = (
    "this machine is a copy of another one that reports under the same key; its key was set aside, and it enrolls anew "
    "by the enrollment string that waits here, or by: secmon-agent enroll STRING"
)


class Note(Struct, frozen=True, kw_only=True):
    key_id: bytes
    """Of the key that is the other machine's."""
    address: str
    """Of the collector that found it out."""
    noticed_at: datetime


def load(state_dir: Path) -> Note | None:
    path = state_dir / NOTE_FILE
    data = durable.read(path)
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=Note)
    except (msgspec.DecodeError, ValueError) as error:
        raise AgentError(f"{path} cannot be understood ({error}); remove it, then enroll again") from None


def set_aside(state_dir: Path, key_id: bytes, address: str) -> None:
    """Give up the key, and what this machine is at the collector."""
    note = Note(key_id=key_id, address=address, noticed_at=datetime.now(UTC).replace(microsecond=0))
    durable.write(state_dir / NOTE_FILE, msgspec.json.encode(note) + b"\n")
    settle(state_dir)


def settle(state_dir: Path) -> None:
    """Finish what `set_aside` began; once the machine has a key of its own and is enrolled, forget that it was one."""
    note = load(state_dir)
    if note is None:
        return
    if _key_id(state_dir) == note.key_id:
        durable.move(state_dir / keys.KEY_FILE, state_dir / ASIDE_FILE)
    if _key_id(state_dir) is None:
        from secmon_agent import leavings

        leavings.clear(state_dir)
        return
    where = identity.load(state_dir)
    if where is not None and where.status == "enrolled":
        durable.remove(state_dir / ASIDE_FILE)
        durable.remove(state_dir / NOTE_FILE)


def _key_id(state_dir: Path) -> bytes | None:
    from secmon_agent import wire

    key = keys.load(state_dir)
    return None if key is None else wire.key_id(bytes(key.verify_key))


def not_enrolled(state_dir: Path) -> NotEnrolledError:
    """What to say of a machine that is not enrolled: perhaps it was, under the key of another."""
    return ClonedError(state_dir) if (state_dir / NOTE_FILE).exists() else NotEnrolledError(state_dir)
