"""Saying dates, numbers and texts in one language, on the office's clock."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from secmon.evaluate.model import Language, Text
from secmon.japanese import local_time, wareki
from secmon.reports.model import Counts


class Speaker:
    """Says things in one language on the office's clock."""

    def __init__(self, language: Language, time_zone: str) -> None:
        self.language = language
        self.tz = ZoneInfo(time_zone)

    def of(self, text: Text) -> str:
        return text.of(self.language)

    def say(self, ja: str, en: str) -> str:
        return ja if self.language == "ja" else en

    def day(self, instant: datetime | None) -> str:
        if instant is None:
            return "－"
        local = instant.astimezone(self.tz)
        return self.say(wareki(local), f"{local:%Y-%m-%d}")

    def short_day(self, instant: datetime | None) -> str:
        """For columns of dates: `8.11.30` under a heading that says 令和, as registers are kept."""
        return self.short_date(instant.astimezone(self.tz).date() if instant else None)

    def short_date(self, day: date | None) -> str:
        """The same of a day that is one of the office's calendar already."""
        if day is None:
            return "－"
        return self.say(f"R{day.year - 2018}.{day.month}.{day.day}", day.isoformat())

    def iso_day(self, instant: datetime | None) -> str:
        """For files that programs and spreadsheets read."""
        return "" if instant is None else instant.astimezone(self.tz).date().isoformat()

    def time(self, instant: datetime | None) -> str:
        return "－" if instant is None else local_time(instant, self.tz, self.language)

    def short_time(self, instant: datetime | None) -> str:
        return "－" if instant is None else f"{self.short_day(instant)} {instant.astimezone(self.tz):%H:%M}"

    def days(self, number: int) -> str:
        return self.say(f"{number}日", f"{number} day{'' if number == 1 else 's'}")

    def machines(self, number: int) -> str:
        return self.say(f"{number}台", f"{number} machine{'' if number == 1 else 's'}")

    def change(self, counts: Counts, previous: Counts | None) -> str:
        if previous is None:
            return "－"
        difference = counts.failed - previous.failed
        return "±0" if not difference else f"{difference:+d}".replace("-", "−")

    def plain(self, name: str, absent: Text) -> str:
        return name or self.of(absent)
