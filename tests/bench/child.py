"""What one run of a program costs, its own children included."""

from __future__ import annotations

import os
import subprocess  # noqa: TID251 - a bench starts the programs that it compares
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

LAUNCHER = Path(__file__).with_name("launcher.py")


class Cost(Struct, frozen=True, kw_only=True):
    cpu_s: float
    """User and system time of the program and of every descendant it waited for."""
    peak_bytes: int
    """Largest resident memory of any one process among them."""
    wall_s: float


def cost(command: Sequence[str], *, environment: Mapping[str, str] | None = None, timeout_s: float = 120.0) -> Cost:
    """Run the program to its end. Raises RuntimeError when it fails."""
    reading, writing = os.pipe()
    began = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(writing), *command],
            env={**os.environ, **(environment or {})},
            pass_fds=[writing],
            capture_output=True,
            check=False,
            timeout=timeout_s,
        )
        wall_s = time.perf_counter() - began
        os.close(writing)
        answer = os.read(reading, 200).split()
    finally:
        os.close(reading)
    if len(answer) != 3 or answer[0] != b"0":
        raise RuntimeError(f"{command[0]} failed: {done.stderr.decode(errors='replace').strip()[-500:]}")
    return Cost(cpu_s=float(answer[1]), peak_bytes=int(answer[2]) * 1024, wall_s=wall_s)
