"""The command line's parser: apart from `cli.py`, so that `argparse` is loaded only where something is to be parsed."""

from __future__ import annotations

import argparse


class Parser(argparse.ArgumentParser):
    """Help is 100 columns wide: to measure the terminal argparse imports more than a cycle does to sign its report."""

    def _get_formatter(self) -> argparse.HelpFormatter:
        return argparse.HelpFormatter(self.prog, width=100)
