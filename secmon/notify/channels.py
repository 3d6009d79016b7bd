"""The table of channels."""

from __future__ import annotations

from collections.abc import Mapping

from secmon.config import Config
from secmon.notify.channel import Channel
from secmon.notify.folder import FolderChannel
from secmon.notify.queue import FOLDER_CHANNEL, SMTP_CHANNEL
from secmon.notify.smtp import SmtpChannel


def channels(config: Config) -> Mapping[str, Channel]:
    """What this installation can deliver by. Raises UsageError when the mail settings cannot work.

    The folder is always there: mails that were made before a mail server was configured still go there.
    """
    found: dict[str, Channel] = {FOLDER_CHANNEL: FolderChannel(config.folder / "mail")}
    if config.mail.host:
        found[SMTP_CHANNEL] = SmtpChannel(config.mail)
    return found
