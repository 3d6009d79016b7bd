"""Errors that a person at a terminal sees as one line."""

from __future__ import annotations


class Failure(Exception):  # noqa: N818 — it is what the exit status says, not an internal error
    """Something that was asked for could not be done; exit status 1."""


class UsageError(Exception):
    """What was asked for is not right (arguments, configuration, an occupied port); exit status 2."""
