"""`python -m secmon_agent` is `secmon-agent`."""

from __future__ import annotations

from typing import NoReturn

from secmon_agent import process


def main() -> NoReturn:
    process.briefly(_command)


def _command() -> None:
    from secmon_agent import cli

    cli.main()


if __name__ == "__main__":
    main()
