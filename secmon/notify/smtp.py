"""The channel to a mail server: STARTTLS or TLS with verification, login, time limits. It never retries."""

from __future__ import annotations

import base64
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parseaddr
from typing import Final

from secmon.config import Mail
from secmon.errors import UsageError
from secmon.notify.channel import DeliveryError, Parcel
from secmon.notify.text import one_line

TIMEOUT_S: Final = 20.0
"""For connecting, and for each answer of the server."""


class SmtpChannel:
    """Raises UsageError when the settings would show a password to the network or name an unusable CA."""

    def __init__(self, mail: Mail) -> None:
        if mail.security == "none" and (mail.username or mail.password):
            raise UsageError(
                'mail: username and password are never sent without TLS; set security = "starttls" or "tls"'
            )
        if bool(mail.username) != bool(mail.password):
            raise UsageError("mail: username and password go together")
        self._mail = mail
        self._tls = None if mail.security == "none" else _context(mail.ca)

    def __call__(self, parcel: Parcel) -> None:
        try:
            with self._session() as session:
                session.sendmail(parseaddr(self._mail.sender)[1], [parcel.recipient], parcel.message)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise self._translated(error) from None

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """Logged in. After the mail was taken, a server that fails to say goodbye is no failure."""
        mail = self._mail
        if mail.security == "tls":
            session: smtplib.SMTP = smtplib.SMTP_SSL(mail.host, mail.port, timeout=TIMEOUT_S, context=self._tls)
        else:
            session = smtplib.SMTP(mail.host, mail.port, timeout=TIMEOUT_S)
        try:
            if mail.security == "starttls":
                session.starttls(context=self._tls)
            if mail.username:
                session.login(mail.username, mail.password)
            yield session
            _leave(session)
        finally:
            session.close()

    def _translated(self, error: Exception) -> DeliveryError:
        """Only the server's word about this very mail (5xx to sender, recipient or content) is final; everything else
        can be put right at the server or in the configuration."""
        where = f"mail server {self._mail.host}:{self._mail.port}"
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return DeliveryError(f"{where} refused the login ({error.smtp_code})", permanent=False)
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            code, answer = next(iter(error.recipients.values()))
            return self._refusal(f"{where} refused the recipient", code, answer)
        if isinstance(error, (smtplib.SMTPSenderRefused, smtplib.SMTPDataError)):
            what = "sender" if isinstance(error, smtplib.SMTPSenderRefused) else "mail"
            return self._refusal(f"{where} refused the {what}", error.smtp_code, error.smtp_error)
        return DeliveryError(self._clean(f"{where}: {type(error).__name__}: {error}"), permanent=False)

    def _refusal(self, what: str, code: int, answer: bytes | str) -> DeliveryError:
        said = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
        return DeliveryError(self._clean(f"{what}: {code} {said}"), permanent=500 <= code < 600)

    def _clean(self, text: str) -> str:
        """A server may repeat what it was sent."""
        password = self._mail.password
        if password:
            login = f"\0{self._mail.username}\0{password}"
            for secret in (password, *(base64.b64encode(each.encode()).decode() for each in (password, login))):
                text = text.replace(secret, "***")
        return one_line(text, 300)


def _leave(session: smtplib.SMTP) -> None:
    try:
        session.quit()
    except (OSError, smtplib.SMTPException):
        return


def _context(ca: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"mail: ca {ca}: {getattr(error, 'strerror', None) or error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
