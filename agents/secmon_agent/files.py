"""Files as a probe sees them: of the running machine, or of a recorded one. Names are absolute, with forward
slashes."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Protocol

from msgspec import Struct

_MAX_LINKS: Final = 40
_READ: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_PIECE_BYTES: Final = 1 << 16
_NOT_EMPTY: Final = 1
"""Size in bytes of a file whose content was not recorded."""
_DEV_NULL: Final = (1, 3)
"""Device number; a link to it is how systemd's settings are switched off."""


class Stat(NamedTuple):
    mtime_ns: int
    size: int
    inode: int
    is_dir: bool
    device: int
    """Device number of the file system the file lies on."""
    mode: int = 0
    """Kind and rights, as `st_mode`; 0 where a recording does not say."""
    uid: int = 0
    gid: int = 0


_FILE_MODE: Final = stat.S_IFREG | 0o644
_FOLDER_MODE: Final = stat.S_IFDIR | 0o755
"""Of recorded files and folders that `owners` does not name."""


class Owner(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose a recorded file is, and who may do what with it."""

    mode: str = ""
    """Octal, e.g. "1777"; with its kind before, e.g. "020666", where it is neither file nor folder. Empty: as usual."""
    uid: int = 0
    gid: int = 0


def owner_of(found: Stat) -> Owner | None:
    """What a recording says of it; None where owner and rights are as usual, or are not known."""
    usual = _FOLDER_MODE if found.is_dir else _FILE_MODE
    if not found.mode or (found.mode, found.uid, found.gid) == (usual, 0, 0):
        return None
    kind = 0 if stat.S_IFMT(found.mode) == stat.S_IFMT(usual) else stat.S_IFMT(found.mode)
    written = f"{found.mode:06o}" if kind else f"{stat.S_IMODE(found.mode):04o}"
    return Owner(mode=written, uid=found.uid, gid=found.gid)


class Files(Protocol):
    """Every method raises OSError as the system calls do: FileNotFoundError, PermissionError, …"""

    def open(self, name: str) -> BinaryIO: ...

    def read(self, name: str, limit: int) -> bytes:
        """`limit` bytes at most."""

    def listdir(self, name: str) -> list[str]: ...

    def stat(self, name: str) -> Stat:
        """Of what a link points to."""

    def readlink(self, name: str) -> str:
        """Raises OSError where `name` is no link."""

    def realpath(self, name: str) -> str: ...

    def path(self, name: str) -> str:
        """Where a library that opens the file itself finds it."""


class LiveFiles:
    def __init__(self, root: str = "/") -> None:
        self._root = root.rstrip("/")

    def open(self, name: str) -> BinaryIO:
        """Never waits: a setting may name a path where somebody else has laid a pipe."""
        handle = self._opened(name)
        try:
            return os.fdopen(handle, "rb")
        except BaseException:
            os.close(handle)
            raise

    def read(self, name: str, limit: int) -> bytes:
        """A cycle reads hundreds of files of one line: a file object for each would cost more than all the reading."""
        handle = self._opened(name)
        try:
            pieces, left = [], limit
            while left and (piece := os.read(handle, min(left, _PIECE_BYTES))):
                pieces.append(piece)
                left -= len(piece)
            return b"".join(pieces)
        finally:
            os.close(handle)

    def _opened(self, name: str) -> int:
        handle = os.open(self._root + name, _READ)
        try:
            _refuse_all_but_files(os.fstat(handle), name)
        except BaseException:
            os.close(handle)
            raise
        return handle

    def listdir(self, name: str) -> list[str]:
        return os.listdir(self._root + name)  # noqa: PTH208

    def stat(self, name: str) -> Stat:
        found = os.stat(self._root + name)  # noqa: PTH116
        mode = found.st_mode
        folder = (mode & 0o170000) == 0o040000
        return Stat(
            found.st_mtime_ns, found.st_size, found.st_ino, folder, found.st_dev, mode, found.st_uid, found.st_gid
        )

    def readlink(self, name: str) -> str:
        return os.readlink(self._root + name)  # noqa: PTH115

    def realpath(self, name: str) -> str:
        return os.path.realpath(self._root + name)[len(self._root) :]

    def path(self, name: str) -> str:
        return self._root + name


def _refuse_all_but_files(found: os.stat_result, name: str) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "Is a directory", name)
    null = stat.S_ISCHR(found.st_mode) and (os.major(found.st_rdev), os.minor(found.st_rdev)) == _DEV_NULL
    if not stat.S_ISREG(found.st_mode) and not null:
        raise OSError(errno.EINVAL, "not a regular file", name)


class RecordedFiles:
    """A folder that holds a machine's files; what a checkout cannot keep (times, links, rights) comes from its
    manifest."""

    def __init__(
        self,
        folder: Path,
        *,
        mtime: datetime,
        mtimes: Mapping[str, datetime],
        links: Mapping[str, str],
        folders: frozenset[str],
        denied: frozenset[str],
        owners: Mapping[str, Owner] | None,
        unread: frozenset[str] = frozenset(),
    ) -> None:
        self._folder = folder
        self._mtime = mtime
        self._mtimes = mtimes
        self._links = links
        self._denied = denied
        self._owners = owners
        self._unread = unread
        self._folders = {"/"} | {
            parent for name in (*folders, *links, *unread) for parent in _with_parents(name, name in folders)
        }

    def open(self, name: str) -> BinaryIO:
        resolved = self._resolved(name)
        if resolved in self._unread:
            raise PermissionError(13, "not recorded", name)
        path = self._path(resolved)
        if path.is_dir():
            raise IsADirectoryError(21, "Is a directory", name)
        return path.open("rb")

    def read(self, name: str, limit: int) -> bytes:
        with self.open(name) as file:
            return file.read(limit)

    def listdir(self, name: str) -> list[str]:
        resolved = self._resolved(name)
        prefix = resolved.rstrip("/") + "/"
        path = self._path(resolved)
        names = {child.name for child in path.iterdir()} if path.is_dir() or resolved not in self._folders else set()
        for known in (*self._links, *self._folders, *self._unread):
            if known.startswith(prefix) and len(known) > len(prefix):
                names.add(known[len(prefix) :].split("/", 1)[0])
        return sorted(names)

    def stat(self, name: str) -> Stat:
        resolved = self._resolved(name)
        moment = int(self._mtimes.get(resolved, self._mtime).timestamp()) * 10**9
        path = self._path(resolved)
        is_dir = path.is_dir() or (not path.exists() and resolved in self._folders)
        size = _NOT_EMPTY if resolved in self._unread else self._size(path, is_dir=is_dir)
        if self._owners is None:
            return Stat(moment, size, 0, is_dir, 0)
        known = self._owners.get(resolved, Owner())
        mode = _FOLDER_MODE if is_dir else _FILE_MODE
        if known.mode:
            recorded = int(known.mode, 8)
            mode = recorded if stat.S_IFMT(recorded) else stat.S_IFMT(mode) | recorded
        return Stat(moment, size, 0, is_dir, 0, mode, known.uid, known.gid)

    @staticmethod
    def _size(path: Path, *, is_dir: bool) -> int:
        return 0 if is_dir and not path.exists() else path.stat().st_size

    def readlink(self, name: str) -> str:
        parent, _, last = name.rpartition("/")
        resolved = self._resolved(parent or "/").rstrip("/") + "/" + last
        if resolved in self._links:
            return self._links[resolved]
        self.stat(name)
        raise OSError(22, "Invalid argument", name)

    def realpath(self, name: str) -> str:
        return self._resolved(name)

    def path(self, name: str) -> str:
        return str(self._path(self._resolved(name)))

    def _path(self, resolved: str) -> Path:
        return self._folder / resolved.lstrip("/")

    def _resolved(self, name: str) -> str:
        """`name` with every link followed; PermissionError at or below a denied name."""
        done, todo, links = "", [part for part in name.split("/") if part], 0
        while todo:
            part = todo.pop(0)
            here = posixpath.normpath(f"{done}/{part}")
            if here in self._denied:
                raise PermissionError(13, "Permission denied", name)
            target = self._links.get(here)
            if target is None:
                done = "" if here == "/" else here
                continue
            links += 1
            if links > _MAX_LINKS:
                raise OSError(40, "Too many levels of symbolic links", name)
            if target.startswith("/"):
                done = ""
            todo = [part for part in target.split("/") if part] + todo
        return done or "/"


def _with_parents(name: str, itself: bool) -> list[str]:
    parts = [part for part in name.split("/") if part]
    return ["/" + "/".join(parts[:length]) for length in range(1, len(parts) + (1 if itself else 0))]
