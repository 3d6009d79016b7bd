"""The only door to other programs: absolute path, no shell, C locale, limits on time and output."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess  # noqa: TID251 - this is the one module that may
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath

from secmon_agent import limits
from secmon_agent.command_result import CommandResult

DEFAULT_TIMEOUT_S = 10.0
DEFAULT_MAX_OUTPUT_BYTES = 4 << 20
GRACE_S = 3.0
"""For a program of ours that is asked to end."""
_CHUNK_BYTES = 1 << 16


class CommandError(Exception):
    """A program that gave no usable answer."""


class CommandTimeoutError(CommandError):
    """It ran longer than it may; its whole process group was killed."""


class CommandOutputError(CommandError):
    """It said more than it may; its whole process group was killed."""


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


def attend(argv: Sequence[str], stopped: Callable[[float], bool], *, timeout_s: float) -> bytes | None:
    """What our own program `argv` says (little, and only at its end); None when `stopped(seconds)`, which waits so
    long, said so first. However this ends, the program has ended too, and it does not survive us: its standard input
    ends with us (see `turn.py`), on Windows a job object takes it along.

    Raises OSError where it cannot be started, CommandTimeoutError, and CommandError where it did not end well.
    """
    with _leash() as bind, _attended(argv) as process:
        try:
            bind(process)
            if not _ended(process, stopped, timeout_s):
                return None
        finally:
            _end(process)
        stream = process.stdout
        said = b"" if stream is None else stream.read(_CHUNK_BYTES)
    if process.returncode != 0:
        raise CommandError(f"its process ended with status {process.returncode}")
    return said


def _attended(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    quiet = 0
    if sys.platform == "win32":
        quiet = subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
    return subprocess.Popen(  # noqa: S603 - no shell, the program is our own
        list(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=True, creationflags=quiet
    )


@contextlib.contextmanager
def _leash() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """What a process is given to so that it ends with us; made before it, so that it has no time of its own."""
    if sys.platform == "win32":
        from secmon_agent import job_windows

        with job_windows.job(cpu_s=limits.MAX_TURN_CPU_S, memory_bytes=limits.MAX_TURN_MEMORY_BYTES) as take:
            yield lambda process: take(int(process._handle))
    else:
        yield lambda process: None


def _ended(process: subprocess.Popen[bytes], stopped: Callable[[float], bool], timeout_s: float) -> bool:
    """True when the process has ended, False when told to stop first."""
    end, glance_s = time.monotonic() + timeout_s, 0.05
    while process.poll() is None:
        if stopped(glance_s):
            return False
        if time.monotonic() > end:
            raise CommandTimeoutError(f"the program took longer than {timeout_s:g} s")
        glance_s = min(0.5, glance_s * 1.5)
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, which it does together with what it started, and see to it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()


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
