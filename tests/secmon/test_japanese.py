from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from secmon.japanese import is_working_day, local_date, local_time, next_working_day, wareki, wareki_month, width

TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 11, 23), "令和8年11月23日"),
        (date(2019, 5, 1), "令和元年5月1日"),
        (date(2019, 4, 30), "平成31年4月30日"),
        (date(1989, 1, 7), "昭和64年1月7日"),
        (date(1920, 1, 1), "1920年1月1日"),
    ],
)
def test_it_writes_a_day_in_its_era(day: date, expected: str) -> None:
    assert wareki(day) == expected


def test_it_writes_a_month_for_reports() -> None:
    assert wareki_month(date(2026, 11, 1)) == "令和8年11月"


def test_it_tells_the_time_on_the_offices_clock() -> None:
    instant = datetime(2026, 11, 22, 23, 5, tzinfo=UTC)
    assert local_time(instant, TOKYO) == "令和8年11月23日（月） 8時05分"
    assert local_date(instant, TOKYO) == "令和8年11月23日（月）"
    assert local_time(instant, TOKYO, "en") == "2026-11-23 (Mon) 08:05"


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 11, 20), True),
        (date(2026, 11, 21), False),  # Saturday
        (date(2026, 11, 23), False),  # 勤労感謝の日
        (date(2026, 12, 29), False),  # each year
        (date(2027, 5, 6), False),  # this year only
        (date(2026, 5, 7), True),
    ],
)
def test_it_knows_the_days_on_which_the_office_works(day: date, works: bool) -> None:
    assert is_working_day(day, ("12-29", "2027-05-06")) is works


def test_it_finds_the_next_working_day_after_a_long_weekend() -> None:
    assert next_working_day(date(2026, 11, 21)) == date(2026, 11, 24)
    assert next_working_day(date(2026, 11, 24)) == date(2026, 11, 24)


def test_it_counts_full_width_characters_twice() -> None:
    assert width("PC-012 町民課") == 7 + 6
