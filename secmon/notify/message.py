"""The bytes of a mail: headers that nobody can add to, and a body that every Japanese mailer reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Final

from msgspec import Struct

from secmon.notify.text import one_line

_POLICY: Final = SMTP.clone(cte_type="7bit", max_line_length=76)


class Attachment(Struct, frozen=True, kw_only=True):
    name: str
    media_type: str
    """`application/pdf`."""
    data: bytes


class Heading(Struct, frozen=True, kw_only=True):
    """What stands above the text."""

    sender: str
    recipient: str
    subject: str
    message_id: str
    date: datetime


def domain_of(sender: str) -> str:
    """Of the address in `Name <user@domain>`; `localhost` where there is none."""
    return parseaddr(sender)[1].partition("@")[2] or "localhost"


def write_message(
    heading: Heading, text: str, attachments: Sequence[Attachment] = (), *, readable: bool = False
) -> bytes:
    """The text travels as base64, which no server on the way changes; `readable` leaves it as UTF-8, for files."""
    message = EmailMessage(policy=_POLICY.clone(cte_type="8bit") if readable else _POLICY)
    message["From"] = _address(heading.sender)
    message["To"] = _address(heading.recipient)
    message["Subject"] = one_line(heading.subject)
    message["Date"] = format_datetime(heading.date)
    message["Message-ID"] = heading.message_id
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(text, charset="utf-8", cte="8bit" if readable else "base64")
    for attachment in attachments:
        maintype, _, subtype = attachment.media_type.partition("/")
        message.add_attachment(attachment.data, maintype=maintype, subtype=subtype, filename=attachment.name)
    return message.as_bytes()


def _address(text: str) -> str | Address:
    """A header value; what is not an address stays as harmless text, and the mail server will say so."""
    name, address = parseaddr(one_line(text))
    try:
        return Address(display_name=name, addr_spec=address)
    except (HeaderParseError, ValueError, IndexError):
        return one_line(text)
