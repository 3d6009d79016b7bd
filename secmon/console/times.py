"""Instants as people read them, in the office's time zone."""

from __future__ import annotations

from datetime import datetime, tzinfo

from secmon.evaluate.model import Language

_STEPS = (
    (86_400.0, "日前", "day"),
    (3_600.0, "時間前", "hour"),
    (60.0, "分前", "minute"),
)


def absolute(instant: datetime, zone: tzinfo) -> str:
    """`2026-11-23 17:05`."""
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M}"


def day(instant: datetime, zone: tzinfo) -> str:
    """`2026-11-23`."""
    return f"{instant.astimezone(zone):%Y-%m-%d}"


def relative(instant: datetime, now: datetime, language: Language) -> str:
    """`3時間前`, `3 hours ago`; `たった今` within a minute and for what lies ahead by a clock's error."""
    seconds = (now - instant).total_seconds()
    for length, japanese, english in _STEPS:
        count = int(seconds // length)
        if count >= 1:
            return f"{count}{japanese}" if language == "ja" else f"{count} {english}{'s' * (count > 1)} ago"
    return "たった今" if language == "ja" else "just now"
