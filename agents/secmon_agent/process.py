"""A process that does one thing and ends: it leaves out what Python does for those that stay.

To collect garbage while modules load, and to take all of them apart at the end, costs a settled cycle a tenth of its
processor time.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from typing import Final, NoReturn

_USUAL: Final = gc.get_threshold()
_SELDOM: Final = 50_000
"""New objects that hold others until garbage is looked for: a settled cycle makes fewer, and none grows without end."""


def briefly(work: Callable[[], object]) -> NoReturn:
    """Do `work`, which imports what it needs, and end this process as `work` says, without further ado."""
    gc.set_threshold(_SELDOM, *_USUAL[1:])
    code = 0
    try:
        work()
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        code = ended.code or 0
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # as under pythonw.exe
                stream.flush()
    except OSError:  # nobody reads any more; Python says what it says then
        sys.exit(code)
    os._exit(code)


def stay() -> None:
    """For what began `briefly` and stays in memory after all."""
    gc.set_threshold(*_USUAL)
