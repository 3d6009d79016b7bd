from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.japanese import width
from secmon.notify.text import COLUMNS, fold, one_line


def test_it_folds_japanese_at_the_display_width() -> None:
    folded = fold("あ" * 100, "　・", "　　")
    assert [width(line) for line in folded.splitlines()] == [76, 76, 60]
    assert folded.splitlines()[1].startswith("　　あ")


def test_it_keeps_words_whole() -> None:
    folded = fold("管理者として `systemctl disable --now telnet.socket` を実行してください。", columns=40)
    assert "`systemctl" in folded.replace("\n", " ").split()
    assert all("systemctl" in line or "systemc" not in line for line in folded.splitlines())


@pytest.mark.parametrize("text", ["あ" * 37 + "い。う", "あ" * 37 + "ー。」う", "あ" * 37 + "「い」"])
def test_it_begins_no_line_with_punctuation_and_ends_none_with_a_bracket(text: str) -> None:
    for line in fold(text, "").splitlines():
        assert line[0] not in "。」ー"
        assert line[-1] != "「"


def test_it_leaves_an_empty_text_empty() -> None:
    assert fold("") == ""


@given(st.text(st.sampled_from("abc あいう。、「」（）ー123./-"), max_size=300), st.sampled_from(["", "　", "　1. "]))
def test_it_loses_nothing_and_stays_within_the_columns(text: str, indent: str) -> None:
    text = one_line(text, 1000)
    folded = fold(text, indent)
    unfolded = "".join(line.removeprefix(indent) for line in folded.split("\n"))
    assert unfolded.replace(" ", "") == text.replace(" ", "")
    assert all(width(line) <= COLUMNS + 4 for line in folded.split("\n"))


@given(st.text(max_size=400))
def test_it_makes_anything_one_harmless_line(text: str) -> None:
    line = one_line(text)
    assert len(line) <= 200
    assert not any(unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for each in line)


def test_it_shows_that_something_was_cut() -> None:
    assert one_line("x" * 300, 10) == "x" * 9 + "…"
    assert one_line("a\r\nb\x00c\u202ed") == "a b c d"
