"""Sealed reports waiting on disk, oldest first, until the collector has acknowledged them.

One file a report, named by its place in the queue and its kind: `000000000007.full` carries sections, `….beat` is a
heartbeat. Every waiting report builds on acknowledged facts only, never on another waiting one, so that any of them may
be dropped: beyond the bounds the oldest go first, but the newest with sections stays. What the collector refuses for
good moves to `rejected/`, what is not readable any more to `damaged/`; both are bounded, neither blocks the queue.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

from secmon_agent import durable, wire
from secmon_agent.errors import StorageError

SPOOL_DIR, REJECTED_DIR, DAMAGED_DIR = "spool", "rejected", "damaged"
FULL, BEAT = ".full", ".beat"
MAX_SET_ASIDE = 20
"""Files kept in `rejected/`, and in `damaged/`."""
MAX_SET_ASIDE_BYTES = 8 << 20
_DIGITS = 12


class Spool:
    def __init__(self, state_dir: Path, public_key: bytes, *, max_bytes: int, max_age_s: float) -> None:
        self._directory = state_dir / SPOOL_DIR
        self._rejected = state_dir / REJECTED_DIR
        self._damaged = state_dir / DAMAGED_DIR
        self._public_key = public_key
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s

    def prepare(self) -> None:
        """Create the folders and clear away what an interrupted write left."""
        for directory in (self._directory, self._rejected, self._damaged):
            durable.private_directory(directory)
            for path in directory.iterdir():
                if path.name.endswith(durable.TEMPORARY):
                    durable.remove(path)

    def names(self) -> list[str]:
        """Waiting reports, oldest first."""
        try:
            return sorted(path.name for path in _reports(self._directory))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"cannot list {self._directory}: {error.strerror}") from None

    def size_bytes(self) -> int:
        return sum(_size(self._directory / name) for name in self.names())

    def rejected(self) -> int:
        try:
            return len(_reports(self._rejected))
        except OSError:
            return 0

    def put(self, body: bytes, *, heartbeat: bool) -> str:
        """Make a sealed report durable at the end of the queue; raises StorageError."""
        number = max((int(name[:_DIGITS]) for name in self.names()), default=0) + 1
        name = _name(number, BEAT if heartbeat else FULL)
        durable.write(self._directory / name, body)
        return name

    def reports(self) -> Iterator[tuple[str, bytes, wire.Report]]:
        """Waiting reports that are whole and signed by this agent, oldest first; others are moved aside on the way."""
        for name in self.names():
            body = durable.read(self._directory / name)
            if body is None:
                continue
            try:
                report = wire.open_envelope(body, self._public_key)
            except wire.WireError:
                self._set_aside(name, self._damaged)
            else:
                yield name, body, report

    def done(self, name: str) -> None:
        durable.remove(self._directory / name)

    def reject(self, name: str) -> None:
        self._set_aside(name, self._rejected)

    def trim(self, interval_s: float) -> int:
        """Drop the oldest beyond the bounds (`interval_s`: pause between two reports); answers how many."""
        names = self.names()
        keep = next((name for name in reversed(names) if name.endswith(FULL)), names[-1] if names else None)
        sizes = {name: _size(self._directory / name) for name in names}
        ages_s = dict(zip(names, self._ages_s(names, interval_s), strict=True))
        total = sum(sizes.values())
        dropped = 0
        for name in names:
            if name != keep and (total > self._max_bytes or ages_s[name] > self._max_age_s):
                durable.remove(self._directory / name)
                total -= sizes[name]
                dropped += 1
        return dropped

    def _ages_s(self, names: list[str], interval_s: float) -> list[float]:
        """How long this agent has been at work since it wrote each report, oldest first, as of the newest.

        Each step from one report to the next counts as one interval at most: a clock that jumps, be it by years, may
        keep a report longer, and drops none.
        """
        written = [_written_at(self._directory / name) for name in names]
        steps = [min(max(then - before, 0.0), interval_s) for before, then in itertools.pairwise(written)]
        return list(itertools.accumulate(reversed(steps), initial=0.0))[::-1] if names else []

    def _set_aside(self, name: str, directory: Path) -> None:
        number = max((int(path.name[:_DIGITS]) for path in _reports(directory)), default=0) + 1
        durable.move(self._directory / name, directory / _name(number, name[_DIGITS:]))
        files = sorted(_reports(directory))
        while len(files) > MAX_SET_ASIDE or sum(map(_size, files)) > MAX_SET_ASIDE_BYTES:
            durable.remove(files.pop(0))


def _name(number: int, kind: str) -> str:
    return f"{number:0{_DIGITS}d}{kind}"


def _reports(directory: Path) -> list[Path]:
    """Files that bear a report's name. Raises OSError."""
    return [
        path
        for path in directory.iterdir()
        if path.suffix in (FULL, BEAT) and len(path.stem) == _DIGITS and path.stem.isascii() and path.stem.isdecimal()
    ]


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def _written_at(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0
