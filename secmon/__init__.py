"""The collector: takes reports, judges them by rules, tells people."""

__version__ = "0.1.0"
