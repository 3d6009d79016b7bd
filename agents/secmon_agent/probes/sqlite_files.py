"""Rows of a sqlite database that another program keeps. It is never written to, not even its lock files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import quote

from secmon_agent.host import Host, ProbeError

_BUSY_S = 5.0


def rows(host: Host, name: str, question: str) -> Iterator[tuple[object, ...]]:
    """What `question` finds in the database file `name`; ProbeError where sqlite cannot read it.

    Without pending writes in its log (the file's name with `-wal`) the database is taken as it lies there, which needs
    no lock and no right to write. With some, sqlite joins them in through the writer's own shared memory file.
    """
    log = host.stat(f"{name}-wal")
    mode = "immutable=1" if log is None or log.size == 0 else "mode=ro"
    place = quote(host.files.path(name))
    try:
        with closing(sqlite3.connect(f"file:{place}?{mode}", uri=True, timeout=_BUSY_S)) as connection:
            yield from connection.execute(question)
    except sqlite3.Error as error:
        raise ProbeError(f"{name} cannot be read: {type(error).__name__}") from None
