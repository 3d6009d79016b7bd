"""This machine's own agent as a process of its own. Imports little: the child imports this module again."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from multiprocessing.process import BaseProcess
from pathlib import Path

from secmon_agent import cli


def spawn(*arguments: str, state_dir: Path, log: Path) -> BaseProcess:
    """Run the command `secmon-agent` with these arguments beside us; it ends with us. What it says goes to `log`."""
    process = multiprocessing.get_context("spawn").Process(
        target=_main, args=(["--state-dir", str(state_dir), *arguments], log), name="secmon-agent", daemon=True
    )
    process.start()
    return process


def end(process: BaseProcess) -> None:
    """Ask it to end, and see to it."""
    process.terminate()
    process.join(timeout=5)
    if process.is_alive():
        process.kill()
        process.join()


def _main(arguments: list[str], log: Path) -> None:
    """In the child. Ctrl-C is the parent's business, which then ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    said = log.open("a", encoding="utf-8", buffering=1)
    with said, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        cli.main(arguments)


def _end_with_parent() -> None:
    """However the parent ends, kill -9 included."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
