"""Dates as a Japanese office writes them, and the days on which it works."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from datetime import date, datetime, timedelta, tzinfo

import jpholiday

from secmon.evaluate.model import Language

_ERAS = ((date(2019, 5, 1), "令和"), (date(1989, 1, 8), "平成"), (date(1926, 12, 25), "昭和"))
_WEEKDAYS = "月火水木金土日"
_SATURDAY = 5


def wareki(day: date) -> str:
    """`令和8年11月23日`; the first year of an era is 元年, and days before 昭和 keep the western year."""
    return f"{wareki_year(day)}{day.month}月{day.day}日"


def wareki_month(day: date) -> str:
    """`令和8年11月`."""
    return f"{wareki_year(day)}{day.month}月"


def wareki_year(day: date) -> str:
    """`令和8年`, of the era that this day lies in."""
    day = date(day.year, day.month, day.day)  # a datetime does not compare with a date
    for first, name in _ERAS:
        if day >= first:
            number = day.year - first.year + 1
            return f"{name}{'元' if number == 1 else number}年"
    return f"{day.year}年"


def weekday(day: date) -> str:
    """`月` … `日`."""
    return _WEEKDAYS[day.weekday()]


def local_date(instant: datetime, tz: tzinfo, language: Language = "ja") -> str:
    """`令和8年11月23日（月）` or `2026-11-23 (Mon)`: the day on which an instant fell at the office."""
    local = instant.astimezone(tz)
    return f"{wareki(local)}（{weekday(local)}）" if language == "ja" else f"{local:%Y-%m-%d} ({_english(local)})"


def local_time(instant: datetime, tz: tzinfo, language: Language = "ja") -> str:
    """`令和8年11月23日（月） 9時05分` or `2026-11-23 (Mon) 09:05`: an instant on the office's clock."""
    local = instant.astimezone(tz)
    clock = f"{local.hour}時{local.minute:02}分" if language == "ja" else f"{local:%H:%M}"
    return f"{local_date(instant, tz, language)} {clock}"


def is_working_day(day: date, holidays: Collection[str] = ()) -> bool:
    """Neither weekend nor national holiday nor one of the office's own: `MM-DD` each year, or `YYYY-MM-DD`."""
    day = date(day.year, day.month, day.day)
    if day.weekday() >= _SATURDAY or jpholiday.is_holiday(day):
        return False
    return day.isoformat() not in holidays and f"{day:%m-%d}" not in holidays


def next_working_day(day: date, holidays: Collection[str] = ()) -> date:
    """The first working day that is not before `day`. Raises ValueError when a year holds none."""
    for offset in range(366):
        candidate = day + timedelta(days=offset)
        if is_working_day(candidate, holidays):
            return candidate
    raise ValueError("the office's holidays leave no working day")


def width(text: str) -> int:
    """Columns on a terminal or in a plain-text mail: a full-width character takes two, a combining mark none."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WFA" else 1


def _english(day: date) -> str:
    return ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[day.weekday()]
