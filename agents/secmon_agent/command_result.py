"""What a program said. Here and not in `command.py` for those who have an answer without starting one."""

from __future__ import annotations

from msgspec import Struct


class CommandResult(Struct, frozen=True, kw_only=True):
    exit_code: int
    stdout: bytes
