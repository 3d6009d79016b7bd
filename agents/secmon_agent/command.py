"""The only door to other programs: absolute path, no shell, C locale, limits on time and output."""

from __future__ import annotations

import os
import signal
import subprocess  # noqa: TID251 - this is the one module that may
import sys
import threading
from collections.abc import Sequence
from pathlib import PurePath

from msgspec import Struct

DEFAULT_TIMEOUT_S = 10.0
DEFAULT_MAX_OUTPUT_BYTES = 4 << 20
_CHUNK_BYTES = 1 << 16


class CommandError(Exception):
    """A program that gave no usable answer."""


class CommandTimeoutError(CommandError):
    """It ran longer than it may; its whole process group was killed."""


class CommandOutputError(CommandError):
    """It said more than it may; its whole process group was killed."""


class CommandResult(Struct, frozen=True, kw_only=True):
    exit_code: int
    stdout: bytes


def run(
    argv: Sequence[str],
    *,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES,
) -> CommandResult:
    """Run `argv` to its end. The exit code is the caller's to judge; what it says on stderr is thrown away.

    Raises FileNotFoundError or PermissionError where the program cannot be started, CommandTimeoutError,
    CommandOutputError, and ValueError for a program that is not named by an absolute path.
    """
    if not PurePath(argv[0]).is_absolute():
        raise ValueError(f"{argv[0]}: a program is named by its absolute path")
    with _started(argv) as process:
        stdout = _watched(process, timeout_s, max_output_bytes)
    return CommandResult(exit_code=process.returncode, stdout=stdout)


def _started(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - no shell, absolute path, arguments are ours
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        cwd=PurePath(argv[0]).anchor,
        close_fds=True,
        start_new_session=sys.platform != "win32",
    )


def _watched(process: subprocess.Popen[bytes], timeout_s: float, max_output_bytes: int) -> bytes:
    """Output of the process, which has ended when this returns or raises."""
    expired = threading.Event()

    def stop() -> None:
        expired.set()
        _kill(process)

    timer = threading.Timer(timeout_s, stop)
    timer.daemon = True
    timer.start()
    try:
        output = _read(process, max_output_bytes)
        process.wait()
    finally:
        timer.cancel()
        _kill(process)
    if expired.is_set():
        raise CommandTimeoutError(f"the program took longer than {timeout_s:g} s")
    return output


def _read(process: subprocess.Popen[bytes], max_output_bytes: int) -> bytes:
    stream = process.stdout
    assert stream is not None  # noqa: S101 - Popen was given PIPE
    chunks, size = [], 0
    while chunk := stream.read1(_CHUNK_BYTES):  # type: ignore[attr-defined]
        size += len(chunk)
        if size > max_output_bytes:
            raise CommandOutputError(f"the program said more than {max_output_bytes} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and everything that it started and that stayed in its group."""
    if sys.platform == "win32":
        if process.poll() is None:
            process.kill()
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        if process.poll() is None:
            process.kill()


def _environment() -> dict[str, str]:
    if sys.platform == "win32":
        kept = ("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "TEMP", "TMP")
        return {name: os.environ[name] for name in kept if name in os.environ}
    return {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"}
