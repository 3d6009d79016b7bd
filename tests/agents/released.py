"""What a released version said on the wire and kept on disk, byte for byte, as `vectors/released/` has it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

FOLDER = Path(__file__).parent / "vectors" / "released"


class Exchange(Struct, frozen=True, kw_only=True):
    """One request of an agent and what the collector answered; bytes in base64."""

    path: str
    key_id: str
    """The header that repeats it."""
    body: bytes
    status: int
    headers: dict[str, str]
    """Of the answer: those that mean something to an agent."""
    answer: bytes


class Machine(Struct, frozen=True, kw_only=True):
    """An agent of that version from its enrollment to its second heartbeat."""

    version: str
    at: datetime
    """When the conversation began, by both clocks."""
    seed: bytes
    token: str
    exchanges: dict[str, Exchange]
    """`enrollment`, `full`, `changed`, `heartbeat`, `heartbeat-2`."""
    lines: list[str]
    """The reports among them as a bundle file would carry them."""
    facts: dict[str, dict[str, object]]
    """By section, as that version understood report `changed`."""
    folder: dict[str, bytes]
    """The state folder when `changed` was stored and had not left yet: path below it, content."""


def machines(version: str) -> list[str]:
    return sorted(path.stem for path in (FOLDER / version).glob("*.json") if path.stem != "answers")


def machine(version: str, name: str) -> Machine:
    return msgspec.json.decode((FOLDER / version / f"{name}.json").read_bytes(), type=Machine)


def answers(version: str) -> dict[str, Exchange]:
    """What the collector said to everything else, by the problem's name or by what the answer is about."""
    return msgspec.json.decode((FOLDER / version / "answers.json").read_bytes(), type=dict[str, Exchange])
