"""`secmon mail test`: a mail to everybody who would be told, at once and without the outbox."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TextIO

from secmon.config import Config
from secmon.errors import Failure
from secmon.japanese import local_time
from secmon.notify.channel import DeliveryError, Parcel
from secmon.notify.channels import channels
from secmon.notify.message import Heading, domain_of, write_message
from secmon.notify.queue import FOLDER_CHANNEL, channel_of


def send_test(config: Config, now: datetime, out: TextIO) -> None:
    """Tell on `out` what left for whom. Raises Failure where a mail was refused, UsageError on unusable settings."""
    name = channel_of(config)
    channel = channels(config)[name]
    failed = []
    for recipient in config.mail.recipients:
        try:
            channel(_parcel(config, recipient, now, readable=name == FOLDER_CHANNEL))
        except DeliveryError as error:
            failed.append(recipient)
            print(f"{recipient}: {error}", file=out)
            continue
        where = f"written to {config.folder / 'mail'}" if name == FOLDER_CHANNEL else "taken by the mail server"
        print(f"{recipient}: {where}", file=out)
    if not config.mail.recipients:
        raise Failure("mail.recipients is empty; name who shall be told")
    if failed:
        raise Failure(f"the test mail did not reach {', '.join(failed)}; see [mail] in the configuration")


def _parcel(config: Config, recipient: str, now: datetime, *, readable: bool) -> Parcel:
    delivery_id = uuid.uuid4()
    moment = local_time(now, config.tz, config.office.language)
    heading = Heading(
        sender=config.mail.sender,
        recipient=recipient,
        subject="[テスト] secmon からのテストメール"
        if config.office.language == "ja"
        else "[Test] A test mail from secmon",
        message_id=f"<{delivery_id}@{domain_of(config.mail.sender)}>",
        date=now.astimezone(config.tz),
    )
    text = _JA if config.office.language == "ja" else _EN
    message = write_message(heading, text.format(moment=moment, office=config.office.name), readable=readable)
    return Parcel(delivery_id=delivery_id, recipient=recipient, message=message, created_at=now)


_JA = """\
これはセキュリティ監視（secmon）のテストメールです。
このメールが届いていれば、メールの設定は正しくできています。
ご対応いただくことはありません。

送信日時：{moment}

--\x20
{office}　セキュリティ監視（secmon）
このメールは自動で送信しています。
"""

_EN = """\
This is a test mail of the security monitor (secmon).
If you can read it, the mail settings work. There is nothing to do.

Sent: {moment}

--\x20
{office}, security monitor (secmon)
This mail was sent automatically.
"""
