"""Putting a mail into the outbox: rendered once, one delivery for each recipient, a repeat recognised by its key."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection

from secmon.config import Config
from secmon.notify.message import Attachment, Heading, domain_of, write_message
from secmon.notify.text import one_line
from secmon.store.schema import collectors, deliveries

SMTP_CHANNEL = "smtp"
FOLDER_CHANNEL = "folder"


class Letter(Struct, frozen=True, kw_only=True):
    """A mail to be delivered once to each recipient."""

    rule: str
    """Of `rules/alerts/`, or the name of the job that sends it."""
    group: str
    window: str
    """With rule, recipient and group: the same four are the same mail."""
    recipients: tuple[str, ...]
    subject: str
    text: str
    attachments: Sequence[Attachment] = ()


def channel_of(config: Config) -> str:
    """How mails leave this installation."""
    return SMTP_CHANNEL if config.mail.host else FOLDER_CHANNEL


def enqueue(connection: Connection, config: Config, letter: Letter, now: datetime) -> list[uuid.UUID]:
    """Insert the deliveries in the caller's transaction; their ids, also of those that were there already.

    The collector must have its identity (`Database.identity`).
    """
    origin = connection.execute(sa.select(collectors.c.collector_id, collectors.c.generation)).one()
    found: list[uuid.UUID] = []
    for recipient in dict.fromkeys(letter.recipients):
        key = (letter.rule, recipient, letter.group, letter.window)
        delivery_id = uuid.uuid5(origin.collector_id, "\n".join((str(origin.generation), *key)))
        known = sa.select(deliveries.c.delivery_id).where(deliveries.c.delivery_id == delivery_id)
        if connection.execute(known).first() is None:
            row = _row(config, letter, recipient, delivery_id, now)
            connection.execute(sa.insert(deliveries).values(**row))
        found.append(delivery_id)
    return found


def _row(config: Config, letter: Letter, recipient: str, delivery_id: uuid.UUID, now: datetime) -> dict[str, object]:
    channel = channel_of(config)
    heading = Heading(
        sender=config.mail.sender,
        recipient=recipient,
        subject=letter.subject,
        message_id=f"<{delivery_id}@{domain_of(config.mail.sender)}>",
        date=now.astimezone(config.tz),
    )
    return {
        "delivery_id": delivery_id,
        "rule": letter.rule,
        "channel": channel,
        "recipient": recipient,
        "group_key": letter.group,
        "window_key": letter.window,
        "message_id": heading.message_id,
        "subject": one_line(letter.subject),
        "message": write_message(heading, letter.text, letter.attachments, readable=channel == FOLDER_CHANNEL),
        "created_at": now,
        "status": "pending",
        "next_attempt_at": now,
    }
