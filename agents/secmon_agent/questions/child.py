"""The child process: answers one question, and ends."""

from __future__ import annotations

import importlib
import sys

import msgspec

from secmon_agent.questions import QUESTIONS, Answer


def main(name: str) -> None:
    from secmon_agent.collect import reason_of, status_of

    try:
        module = importlib.import_module(QUESTIONS[name])
        answer = Answer(status="ok", value=msgspec.Raw(msgspec.json.encode(module.answer())))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is the answer
        answer = Answer(status=status_of(error), reason=reason_of(error))
    sys.stdout.buffer.write(msgspec.json.encode(answer))
    sys.stdout.buffer.flush()
