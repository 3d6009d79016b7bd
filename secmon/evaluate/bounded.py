"""Reading what lies in a rules folder: plain files in it, and no further than needed to see that one is too long."""

from __future__ import annotations

import errno
import os
import stat
from itertools import islice
from pathlib import Path
from typing import Final

from secmon.evaluate.document import MAX_FILE_BYTES

MAX_ENTRIES: Final = 10_000
"""Files and folders that are looked at to find those that count; whoever has more has pointed to the wrong folder."""


def read_bounded(path: Path, folder: Path) -> bytes:
    """The content of a file in `folder`. Raises OSError for a link that leads out of it, and for a pipe or a device,
    which would be waited for."""
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise OSError(errno.EXDEV, "a link that leads out of the rules folder")
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        return stream.read(MAX_FILE_BYTES + 1)


def listed(folder: Path, pattern: str) -> list[Path]:
    """What is found, in the order of names, up to one more than `MAX_ENTRIES`."""
    return sorted(islice(folder.glob(pattern), MAX_ENTRIES + 1))
