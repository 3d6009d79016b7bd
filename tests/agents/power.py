"""A power cut at any change of the disk and at any exchange with the collector, before it or just after."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from secmon_agent import durable, transport


class PowerCutError(BaseException):
    """Nothing catches it, as nothing goes on after the real thing."""


@contextlib.contextmanager
def cut_at(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The power fails at the moment of this number; the list names the moments that passed."""
    passed: list[str] = []

    def moment(name: str) -> None:
        if len(passed) == number:
            raise PowerCutError(name)
        passed.append(name)

    def around(name: str, change: Callable[..., object]) -> Callable[..., object]:
        def changed(*arguments: object) -> object:
            moment(f"before {name}")
            result = change(*arguments)
            moment(f"after {name}")
            return result

        return changed

    with monkeypatch.context() as patched:
        for name in ("write", "remove", "move"):
            patched.setattr(durable, name, around(name, getattr(durable, name)))
        patched.setattr(transport.Collector, "post", around("post", transport.Collector.post))
        yield passed
