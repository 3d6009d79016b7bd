"""What a check found, in both languages, with the next step where there is one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct
from nacl.signing import SigningKey

from secmon_agent.config import Config
from secmon_agent.host import Host
from secmon_agent.identity import Identity
from secmon_agent.state import State
from secmon_agent.words import Words

Mark = Literal["ok", "note", "action", "unknown"]

MARKS: Final[dict[Mark, Words]] = {
    "ok": Words(ja="良好", en="OK"),
    "note": Words(ja="注意", en="NOTE"),
    "action": Words(ja="要対応", en="ACTION"),
    "unknown": Words(ja="確認不能", en="UNKNOWN"),
}


class Finding(Struct, frozen=True, kw_only=True):
    id: str
    """For programs: stable, in English."""
    mark: Mark
    title: Words
    said: Words
    step: Words | None = None
    """The one thing to do next."""


class Look(Struct, frozen=True, kw_only=True):
    """What the checks look at, read once. What could not be read is None, and a check of its own says why."""

    settings: Config
    state_dir: Path
    host: Host
    now: datetime
    where: Identity | None
    key: SigningKey | None
    known: State | None
