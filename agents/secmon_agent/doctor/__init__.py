"""`secmon-agent doctor`: what works on this machine, what does not, and what to do about it.

A check is a function of a `Look` that yields findings; it changes nothing and sends no report.
"""
