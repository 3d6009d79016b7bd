"""Which lines of the resident agent are worth an entry in a log that people read: what begins and what ends, not every
report and not the same trouble again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

STARTED: Final = 1
STOPPED: Final = 2
ENROLLMENT: Final = 3
TROUBLE: Final = 4
TROUBLE_OVER: Final = 5
"""Numbers of events, as the Windows Event Log shows them."""

_LINE: Final = re.compile(
    r"(?:(?P<enrolled>enrolled at [^;]+)(?:; )?)?(?:\d+ [a-z ]+(?:, |(?=: |$)))*(?:: )?(?P<trouble>.*)"
)
"""Of `Outcome.line()`."""

Write = Callable[[int, str], None]


class Journal:
    """Takes lines of the supervisor and writes events."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._trouble = ""

    def note(self, line: str) -> None:
        found = _LINE.fullmatch(line)
        enrolled, trouble = (found["enrolled"], found["trouble"]) if found else (None, line)
        if enrolled:
            self._write(ENROLLMENT, enrolled)
        if trouble and trouble != self._trouble:
            self._write(TROUBLE, trouble)
        elif self._trouble and not trouble:
            self._write(TROUBLE_OVER, "reports reach the collector again")
        self._trouble = trouble
