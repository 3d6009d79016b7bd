"""Run the benches and print one table: `make bench`, or `make bench ARGS=agent` for `bench_agent.py` alone."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
if str(HERE.parents[1]) not in sys.path:
    sys.path.insert(0, str(HERE.parents[1]))

from tests.bench.figures import Figure, Note, table  # noqa: E402


def names() -> list[str]:
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def main(arguments: list[str]) -> int:
    unknown = [name for name in arguments if name not in names()]
    if unknown:
        sys.stderr.write(f"bench: no such bench: {', '.join(unknown)}; there are {', '.join(names())}\n")
        return 2
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, {platform.system()} {platform.machine()}")
    found = [each for name in arguments or names() for each in _figures(name)]
    print()
    print(table([each for each in found if isinstance(each, Figure)]))
    for each in found:
        if isinstance(each, Note):
            print(f"note: {each.text}")
    return 0


def _figures(name: str) -> Iterator[Figure | Note]:
    print(f"measuring {name} …", flush=True)
    yield from importlib.import_module(f"tests.bench.bench_{name}").figures()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
