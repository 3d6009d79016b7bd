"""One-time links and the sessions that come of them. Only SHA-256 of a secret is stored.

A link is opened by a button (POST), never by following it (GET): mail scanners and browsers that fetch ahead follow
links, and would use it up before the person does.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from secmon.store import audit
from secmon.store.database import Database
from secmon.store.schema import sign_ins

LINK_LIFETIME: Final = timedelta(minutes=15)
SESSION_LIFETIME: Final = timedelta(hours=12)
_MAX_SECRET_CHARS: Final = 100


def new_link(database: Database, now: datetime, base_url: str) -> str:
    """A link that signs one person in, once, within `LINK_LIFETIME`. `base_url` is where the console is reached."""
    secret = secrets.token_urlsafe(32)
    with database.write() as connection:
        connection.execute(sa.delete(sign_ins).where(sign_ins.c.expires_at < now))
        connection.execute(
            sa.insert(sign_ins).values(
                secret_hash=_hash(secret), kind="link", created_at=now, expires_at=now + LINK_LIFETIME
            )
        )
    return f"{base_url.rstrip('/')}/sign-in/{secret}"


def usable_link(database: Database, secret: str, now: datetime) -> bool:
    """Whether `open_session` would succeed now; changes nothing."""
    return _valid(database, secret, "link", now)


def open_session(database: Database, secret: str, now: datetime, address: str = "") -> str | None:
    """Use up the link and give the secret of a session; None when the link is unknown, used or expired.

    One conditional update decides, so that of two who press the button at once only one gets in.
    """
    session = secrets.token_urlsafe(32)
    with database.write() as connection:
        used = connection.execute(
            sa.update(sign_ins)
            .where(
                sign_ins.c.secret_hash == _hash(secret),
                sign_ins.c.kind == "link",
                sign_ins.c.used_at.is_(None),
                sign_ins.c.expires_at > now,
            )
            .values(used_at=now)
        )
        if used.rowcount != 1:
            return None
        connection.execute(
            sa.insert(sign_ins).values(
                secret_hash=_hash(session), kind="session", created_at=now, expires_at=now + SESSION_LIFETIME
            )
        )
        audit.write(connection, at=now, actor="console", action="sign-in", subject=address)
    return session


def valid_session(database: Database, secret: str, now: datetime) -> bool:
    return _valid(database, secret, "session", now)


def close_session(database: Database, secret: str, now: datetime) -> None:
    with database.write() as connection:
        connection.execute(
            sa.update(sign_ins)
            .where(sign_ins.c.secret_hash == _hash(secret), sign_ins.c.kind == "session")
            .values(used_at=now)
        )


def _valid(database: Database, secret: str, kind: str, now: datetime) -> bool:
    if not 0 < len(secret) <= _MAX_SECRET_CHARS:
        return False
    with database.read() as connection:
        found = connection.execute(
            sa.select(sa.literal(1)).where(
                sign_ins.c.secret_hash == _hash(secret),
                sign_ins.c.kind == kind,
                sign_ins.c.used_at.is_(None),
                sign_ins.c.expires_at > now,
            )
        ).first()
    return found is not None


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
