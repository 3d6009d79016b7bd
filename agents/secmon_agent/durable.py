"""Files that are whole or absent after kill -9 and after power loss, and the lock that keeps a second process out.

Every write goes to a `.tmp` file in the same folder, is synced, and is renamed over the target; then the folder is
synced. On Windows a folder cannot be synced.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from secmon_agent.errors import AgentError, StorageError

TEMPORARY = ".tmp"
DAMAGED = ".damaged"
"""Behind the name of a file that was put aside because it could not be understood."""


def private_directory(path: Path) -> None:
    """Create `path` for this user alone (on Windows: SYSTEM and Administrators); others lose access to an existing one.

    Raises StorageError when it cannot, and on Windows for a folder that belongs to somebody else.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32":
            path.chmod(0o700)
    except OSError as error:
        raise _storage("create the folder", path, error) from None
    if sys.platform == "win32":
        from secmon_agent import acl_windows

        acl_windows.restrict(path)


def write(path: Path, data: bytes) -> None:
    """Replace `path` by `data` durably; raises StorageError and leaves what was there when it cannot."""
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        _write_synced(temporary, data)
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise _storage("write", path, error) from None


def _write_synced(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path) -> bytes | None:
    """Content of `path`, None when there is no such file; raises StorageError when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _storage("read", path, error) from None


def remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise _storage("remove", path, error) from None


def move(path: Path, target: Path) -> None:
    try:
        path.replace(target)
        sync_directory(target.parent)
        sync_directory(path.parent)
    except OSError as error:
        raise _storage("move", path, error) from None


def sync_directory(path: Path) -> None:
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, which the system frees on any end; raises AgentError when another process holds it."""
    try:
        handle = path.open("a+b")
    except OSError as error:
        raise _storage("open the lock", path, error) from None
    with handle:
        try:
            _lock(handle)
        except OSError:
            raise AgentError(
                f"another secmon-agent is at work in {path.parent}; wait until it is done, or stop its service first"
            ) from None
        yield


def _lock(handle: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _storage(what: str, path: Path, error: OSError) -> StorageError:
    return StorageError(f"cannot {what} {path}: {error.strerror or error}")
