"""A calendar month at the office."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, tzinfo

from msgspec import Struct

from secmon.errors import UsageError


class Month(Struct, frozen=True, kw_only=True, order=True):
    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    def plus(self, months: int) -> Month:
        number = self.year * 12 + self.month - 1 + months
        return Month(year=number // 12, month=number % 12 + 1)

    @property
    def first_day(self) -> date:
        return date(self.year, self.month, 1)

    def begins(self, tz: tzinfo) -> datetime:
        """Its first instant, in UTC."""
        return datetime.combine(self.first_day, time(), tz).astimezone(UTC)

    def ends(self, tz: tzinfo) -> datetime:
        """The first instant that is no longer in it, in UTC."""
        return self.plus(1).begins(tz)


def parse_month(text: str) -> Month:
    """Raises UsageError unless it is `YYYY-MM`."""
    form = re.fullmatch(r"(20\d{2})-(0[1-9]|1[0-2])", text)
    if form is None:
        raise UsageError(f"month: {text!r} is not a month; write it like 2026-11")
    return Month(year=int(form[1]), month=int(form[2]))


def month_of(instant: datetime, tz: tzinfo) -> Month:
    local = instant.astimezone(tz)
    return Month(year=local.year, month=local.month)
