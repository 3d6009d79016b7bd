"""Evidence in words."""

from __future__ import annotations

import pytest

from secmon.evidence import evidence_line, evidence_words


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        ("firewall.filtering = false", "外からの通信の遮断：いいえ"),
        ("audit_log.journal_persistent = false, audit_log.syslog = none", "ジャーナルの保存：いいえ\nsyslog：なし"),
        ("start = auto", "起動方法：自動"),
        ("password_policy.min_length = 6", "最小の長さ：6"),
        ("3.0.15-1 → 3.0.17-1 (2026-11-01)", "3.0.15-1 → 3.0.17-1 (2026-11-01)"),
        ("firewall.something_new = 1", "firewall.something_new = 1"),
        ("0.0.0.0 sshd, start = auto", "0.0.0.0 sshd, start = auto"),
        ("", ""),
    ],
)
def test_fields_become_words_and_everything_else_stays(evidence: str, words: str) -> None:
    assert evidence_words(evidence, "ja") == words


def test_it_speaks_english_too() -> None:
    assert evidence_words("screen_lock.enabled = true", "en") == "Enabled: yes"


def test_it_says_several_fields_on_one_line() -> None:
    evidence = "audit_log.journal_persistent = false, audit_log.syslog = none"
    assert evidence_line(evidence, "ja") == "ジャーナルの保存：いいえ、syslog：なし"
    assert evidence_line("two\nlines, of nobody's", "ja") == "two\nlines, of nobody's"
