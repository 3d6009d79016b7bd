"""Lines of Japanese and Latin text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from secmon.wrapping import wrap


def test_words_stay_whole_and_japanese_breaks_anywhere() -> None:
    assert wrap("管理者としてapt-get updateを実行", 14) == "管理者として\napt-get update\nを実行"


def test_no_line_begins_with_a_full_stop_or_ends_with_an_opening_bracket() -> None:
    assert wrap("設定します。次へ", 10) == "設定しま\nす。次へ"
    assert wrap("あいう「えお」", 8) == "あいう\n「えお」"


def test_a_path_wider_than_the_column_breaks_at_its_parts() -> None:
    assert wrap("audit_log.journal_persistent", 18) == "audit_log.journal_\npersistent"


@given(st.text(alphabet="あ。、「」ー ab/._\n", max_size=60), st.integers(4, 20))
def test_lines_fit_and_nothing_is_lost(text: str, width: int) -> None:
    wrapped = wrap(text, width)

    assert all(cell_len(line) <= width for line in wrapped.split("\n"))
    assert "".join(wrapped.split()) == "".join(text.split())
