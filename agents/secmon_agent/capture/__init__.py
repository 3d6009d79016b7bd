"""A redacted recording of the machine this runs on, in the shape that `recorded.py` reads.

tape.py notes what the probes touch, learn.py what in it is personal, redact.py replaces it, recording.py writes the
rest and replays it.
"""
