"""A Windows machine that answers as a test says."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from secmon_agent.host import Host, Programs
from secmon_agent.questions import Answer
from secmon_agent.system import RecordedSystem, Recording


def answering(host: Host, answer: Struct | None, running: dict[str, bool] | None = None) -> Host:
    """`host` with this answer to every question (None: the child process does not end in time), and these services."""

    def ask(question: str, *, timeout_s: float) -> bytes:
        if answer is None:
            raise TimeoutError(110, "took too long")
        return msgspec.json.encode(Answer(status="ok", value=msgspec.Raw(msgspec.json.encode(answer))))

    host.programs = Programs(host.run, ask)
    if running is not None:
        host.system = RecordedSystem(Recording(running_services=running))
    return host
