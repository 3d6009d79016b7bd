"""Settings that cannot be meant stop the start, by their name."""

from __future__ import annotations

from pathlib import Path

import pytest

from secmon.config import load
from secmon.errors import UsageError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[mail]\nhost = "mail"\nrecipients = []\n', "mail.recipients: nobody"),
        ('[mail]\nrecipients = ["joho@example.lg.jp", "joho"]\n', "mail.recipients: 'joho'"),
        ('[mail]\nsender = "secmon@"\n', "mail.sender: 'secmon@'"),
        ('[office]\nholidays = ["12-29", "13-01"]\n', "office.holidays: '13-01'"),
        ('[office]\nholidays = ["02-30"]\n', "office.holidays: '02-30'"),
        ('[office]\nholidays = ["2027-02-29"]\n', "office.holidays: '2027-02-29'"),
        ('[office]\nholidays = ["1/2"]\n', "office.holidays: '1/2'"),
    ],
)
def test_it_refuses_what_cannot_be_meant(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "secmon.toml"
    file.write_text(text)

    with pytest.raises(UsageError) as refused:
        load(file)

    assert said in str(refused.value)


def test_it_takes_leap_days_and_addresses_with_a_name(tmp_path: Path) -> None:
    file = tmp_path / "secmon.toml"
    file.write_text(
        '[office]\nholidays = ["02-29", "2028-02-29"]\n'
        '[mail]\nsender = "secmon <secmon@town.example>"\nrecipients = ["情報担当 <joho@town.example>"]\n'
    )

    assert load(file).office.holidays == ("02-29", "2028-02-29")
