"""The agent: reads posture facts on one machine, signs them and hands them to the collector."""

__version__ = "0.1.0"
