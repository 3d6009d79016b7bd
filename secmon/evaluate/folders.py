"""Where rules come from: the folder that came with secmon, and the office's own beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from secmon.evaluate.bounded import MAX_ENTRIES, listed, read_bounded
from secmon.evaluate.mistakes import Mistake

MAX_FILES: Final = 1000
SITE_PATTERNS: Final = (
    *("checks/*/*.yaml", "overrides/*.yaml", "lists/*.yaml", "profiles/*.yaml", "lifecycle/*.yaml"),
    "attestations/*.yaml",
)
"""What is read of the office's own folder."""


class Folders(NamedTuple):
    """In the order in which whatever reads rules takes them."""

    shipped: Path
    site: Path | None = None
    """The office's own; it need not exist."""


class Source:
    """One of the folders, read in the order of names; `content` sums up what was read."""

    def __init__(self, folder: Path, *, is_site: bool = False) -> None:
        self.folder = folder
        self.is_site = is_site
        self.content = hashlib.sha256()
        self.is_empty = True
        self.mistakes: list[Mistake] = []

    def files(self, pattern: str, *, needed: bool = False) -> Iterator[tuple[Path, bytes]]:
        """Files with their content."""
        paths = listed(self.folder, pattern)
        place, _, names = pattern.partition("/")
        if not paths and needed:
            self.wrong(self.folder / place, f"no files {names}", full=True)
        if len(paths) > MAX_FILES:
            self.wrong(self.folder / place, f"more than {MAX_FILES} files", full=True)
        for path in paths[:MAX_FILES]:
            try:
                data = read_bounded(path, self.folder)
            except OSError as error:
                self.wrong(path, f"cannot be read: {error.strerror}", full=True)
                continue
            self.content.update(f"{path.relative_to(self.folder).as_posix()}\0{len(data)}\0".encode())
            self.content.update(data)
            self.is_empty = False
            yield path, data

    def wrong(self, path: Path, reason: str, *, full: bool = False) -> None:
        self.mistakes.append(Mistake(file=str(path) if full else self.shown(path), line=1, reason=reason))

    def shown(self, path: Path) -> str:
        """Short for what was shipped; an own file by its whole path, so that nobody looks in the wrong folder."""
        above = self.folder.parent
        return str(path.relative_to(above)) if not self.is_site and path.is_relative_to(above) else str(path)

    def look_for_strays(self) -> None:
        """What lies where nobody looks would be missed without a word."""
        if self.is_site:
            self._look_into()
            known = {path for pattern in SITE_PATTERNS for path in self.folder.glob(pattern)}
            for path in self._all(self.folder, "**/*.y*ml"):
                if path.is_file() and path not in known:
                    self.wrong(path, f"nothing is read here; the office's own files are {', '.join(SITE_PATTERNS)}")
            return
        checks = self.folder / "checks"
        for path in self._all(checks, "**/*"):
            if path.is_file() and (path.parent.parent != checks or path.suffix != ".yaml"):
                self.wrong(path, "a check lies in <area>/<name>.yaml")

    def _all(self, folder: Path, pattern: str) -> list[Path]:
        found = listed(folder, pattern)
        if len(found) > MAX_ENTRIES:
            self.wrong(folder, f"more than {MAX_ENTRIES} files", full=True)
        return found[:MAX_ENTRIES]

    def _look_into(self) -> None:
        """A folder that may not be looked into must not pass for an empty one."""
        for folder in (self.folder, *(self.folder / pattern.partition("/")[0] for pattern in SITE_PATTERNS)):
            try:
                next(folder.iterdir(), None)
            except FileNotFoundError:
                continue
            except OSError as error:
                self.wrong(folder, f"cannot be read: {error.strerror}", full=True)


def fingerprint(folders: Folders) -> frozenset[tuple[str, int, int]]:
    """Changes when a file of the folders does: path, time of change, size."""
    found = set()
    for folder in folders:
        for file in folder.rglob("*.y*ml") if folder is not None else ():
            try:
                stat = file.stat()
            except OSError:  # gone, or a link in a circle, which is told when it is read
                continue
            found.add((str(file), stat.st_mtime_ns, stat.st_size))
    return frozenset(found)
