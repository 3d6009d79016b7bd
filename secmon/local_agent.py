"""This machine's own agent as a process of its own. Imports little: the child imports this module again."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path

from secmon_agent import cli


def spawn(*arguments: str, state_dir: Path) -> BaseProcess:
    """Run the command `secmon-agent` with these arguments beside us; it ends with us."""
    process = multiprocessing.get_context("spawn").Process(
        target=_main, args=(["--state-dir", str(state_dir), *arguments],), name="secmon-agent", daemon=True
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


def _main(arguments: list[str]) -> None:
    """In the child. Ctrl-C is the parent's business, which then ends this process; so is what it would print."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        cli.main(arguments)
