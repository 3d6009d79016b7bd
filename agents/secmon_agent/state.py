"""What the agent remembers between cycles: its stream, what the collector has acknowledged, the clock offset.

Losing the file costs a new stream and one full report, nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from secmon_agent import durable
from secmon_agent.limits import MAX_INTERVAL_S, MIN_INTERVAL_S

STATE_FILE = "state.json"

Known = tuple[str, bytes]
"""Status and digest of a section."""


class State(Struct, frozen=True, kw_only=True, omit_defaults=True):
    stream: Annotated[bytes, Meta(min_length=16, max_length=16)]
    sequence: Annotated[int, Meta(ge=0, lt=2**62)] = 0
    """Last one used; made durable before the report that carries it is sealed."""
    acked: Mapping[str, Known] = {}
    """Sections as the collector is known to have them, of the whole machine."""
    unsettled: tuple[str, ...] = ()
    """Sections of which a report that waits in the spool says something else than `acked`. Until the spool is empty
    their data is sent even when the digest is an acknowledged one: the waiting reports reach the collector first."""
    collector_id: bytes = b""
    generation: int | None = None
    interval_s: Annotated[int, Meta(ge=MIN_INTERVAL_S, le=MAX_INTERVAL_S)] | None = None
    """As the collector last set it."""
    offset_s: float | None = None
    """Collector's clock minus this machine's."""
    last_ack_at: Annotated[datetime, Meta(tz=True)] | None = None
    last_ack_sequence: int | None = None
    rotate_after: Annotated[datetime, Meta(tz=True)] | None = None
    """The collector did not let the key be changed; not to be asked again before, by its clock."""
    told_ca: bytes = b""
    """Mark of the successor CA that the collector is known to know of."""
    booted_at: float | None = None
    """Boot time that `boot_id` was made from, where the system has no boot id of its own."""


def new_state() -> State:
    return State(stream=os.urandom(16))


def new_stream(state: State) -> State:
    """The same agent in a fresh stream: it will send full state."""
    return msgspec.structs.replace(state, stream=os.urandom(16), sequence=0, acked={}, unsettled=())


def peek(state_dir: Path) -> State | None:
    """None when nothing is remembered, or nothing that can be understood."""
    data = durable.read(state_dir / STATE_FILE)
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=State)
    except (msgspec.DecodeError, ValueError):
        return None


def load(state_dir: Path) -> State | None:
    """As `peek`; a file that cannot be understood is moved aside."""
    path = state_dir / STATE_FILE
    state = peek(state_dir)
    if state is None and path.exists():
        durable.move(path, path.with_name(STATE_FILE + durable.DAMAGED))
    return state


def save(state_dir: Path, state: State) -> None:
    durable.write(state_dir / STATE_FILE, msgspec.json.format(msgspec.json.encode(state), indent=1) + b"\n")
