"""What an agent cannot do, said in one line for the person who reads its journal."""

from __future__ import annotations


class AgentError(Exception):
    """What, where and what to do, in one line; the process ends with `exit_code`."""

    exit_code = 1


class ConfigError(AgentError):
    """The configuration or an argument is wrong."""

    exit_code = 2


class StorageError(AgentError):
    """The state folder cannot be read or written; what was there before is still whole."""
