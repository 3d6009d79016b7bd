from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from secmon.notify.message import Attachment, Heading, domain_of, write_message

HEADING = Heading(
    sender="secmon@town.example",
    recipient="it@town.example",
    subject="[要対応][LGWAN接続系] PC-012 画面ロックの設定とても長い題名の場合でも正しく折り返されて届くこと",
    message_id="<1@town.example>",
    date=datetime(2026, 11, 2, tzinfo=UTC).astimezone(ZoneInfo("Asia/Tokyo")),
)
TEXT = "町民課の端末です。\n\n.\n--\u0020\n北の町役場\n"


@pytest.mark.parametrize("readable", [False, True])
def test_it_reads_back_as_it_was_written(readable: bool) -> None:
    message = email.message_from_bytes(write_message(HEADING, TEXT, readable=readable), policy=email.policy.default)
    assert message["Subject"] == HEADING.subject
    assert message["From"] == "secmon@town.example"
    assert message["To"] == "it@town.example"
    assert message["Message-ID"] == "<1@town.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"] == "Mon, 02 Nov 2026 09:00:00 +0900"
    assert message.get_content().replace("\r\n", "\n") == TEXT


def test_it_travels_in_seven_bits_and_short_lines() -> None:
    raw = write_message(HEADING, "長い行" * 500)
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 78
    assert b"\n" not in raw.replace(b"\r\n", b"")


def test_it_can_be_read_in_a_file_without_a_mailer() -> None:
    assert "町民課の端末です。" in write_message(HEADING, TEXT, readable=True).decode()


@pytest.mark.parametrize("field", ["subject", "recipient", "sender"])
def test_it_lets_nobody_add_a_header(field: str) -> None:
    hostile = msgspec.structs.replace(HEADING, **{field: "PC-1@x.example\r\nBcc: thief@example.com\r\n\r\nbody"})
    message = email.message_from_bytes(write_message(hostile, TEXT), policy=email.policy.default)
    assert message["Bcc"] is None
    assert message.get_content().replace("\r\n", "\n") == TEXT


def test_it_carries_attachments_with_japanese_names() -> None:
    attachment = Attachment(name="月次報告 令和8年11月.pdf", media_type="application/pdf", data=b"%PDF-1.7")
    message = email.message_from_bytes(write_message(HEADING, TEXT, [attachment]), policy=email.policy.default)
    (part,) = message.iter_attachments()
    assert part.get_filename() == "月次報告 令和8年11月.pdf"
    assert part.get_content() == b"%PDF-1.7"


def test_it_names_the_senders_domain() -> None:
    assert domain_of("監視 <secmon@town.example>") == "town.example"
    assert domain_of("nonsense") == "localhost"
