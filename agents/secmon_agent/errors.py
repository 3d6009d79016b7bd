"""What an agent cannot do, said in one line for the person who reads its journal."""

from __future__ import annotations

from pathlib import Path


class AgentError(Exception):
    """What, where and what to do, in one line; the process ends with `exit_code`."""

    exit_code = 1


def printable(text: str, limit: int = 500) -> str:
    """Foreign text as one line that a terminal or a journal can take."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:limit]


class ConfigError(AgentError):
    """The configuration or an argument is wrong."""

    exit_code = 2


class StorageError(AgentError):
    """The state folder cannot be read or written; what was there before is still whole."""


class NotEnrolledError(AgentError):
    """There is no collector to report to."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__(f"this machine is not enrolled (nothing in {state_dir}); run: secmon-agent enroll STRING")


class ClonedError(NotEnrolledError):
    """Nor may this machine go on under the key that it had."""

    def __init__(self, state_dir: Path) -> None:
        AgentError.__init__(
            self,
            f"this machine is a copy of another one and not enrolled itself (see {state_dir}); "
            "ask for a new enrollment string and run: secmon-agent enroll STRING",
        )
