"""The outbox with a channel that does as it is told."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Row

from secmon.config import Config
from secmon.notify.channel import DeliveryError, Parcel
from secmon.notify.outbox import MAX_AGE, Sent, retry_delay, send_due
from secmon.notify.queue import Letter, enqueue
from secmon.store.database import Database
from secmon.store.schema import deliveries

NOW = datetime(2026, 11, 2, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


class Post:
    """Keeps what it was given; `trouble` says what to raise instead, parcel by parcel."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.tried = 0
        self.trouble: list[Exception] = []

    def __call__(self, parcel: Parcel) -> None:
        self.tried += 1
        if self.trouble:
            raise self.trouble.pop(0)
        self.taken.append(parcel.message)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    opened.migrate()
    opened.identity(NOW)
    yield opened
    opened.close()


@pytest.fixture
def post() -> Post:
    return Post()


def _put(database: Database, *windows: str, at: datetime = NOW) -> None:
    for window in windows:
        letter = Letter(
            rule="high", group="problem:all", window=window, recipients=("it@town.example",), subject="題", text="文\n"
        )
        with database.write() as connection:
            enqueue(connection, Config(), letter, at)


def _rows(database: Database) -> list[Row[Any]]:
    with database.read() as connection:
        return list(connection.execute(sa.select(deliveries).order_by(deliveries.c.created_at)))


def test_it_sends_once_and_marks_it(database: Database, post: Post) -> None:
    _put(database, "1")
    assert send_due(database, {"folder": post}, NOW) == Sent(sent=1)
    assert send_due(database, {"folder": post}, LATER) == Sent()
    (row,) = _rows(database)
    assert (row.status, row.sent_at, row.attempts) == ("sent", NOW, 1)
    assert post.taken == [row.message]


def test_it_recognises_a_repeat_of_the_same_mail(database: Database, post: Post) -> None:
    _put(database, "1", "1")
    _put(database, "1", at=LATER)
    assert send_due(database, {"folder": post}, LATER) == Sent(sent=1)


def test_it_loses_nothing_while_the_channel_is_down(database: Database, post: Post) -> None:
    _put(database, "1", "2")
    post.trouble = [DeliveryError("no route", permanent=False)]
    assert send_due(database, {"folder": post}, NOW) == Sent(retried=1)
    assert post.tried == 1  # the second was not tried in vain
    assert send_due(database, {"folder": post}, LATER) == Sent(sent=2)
    assert len(set(post.taken)) == 2


def test_it_waits_longer_after_each_attempt(database: Database, post: Post) -> None:
    assert [retry_delay(attempts).total_seconds() for attempts in (1, 2, 3, 7, 400)] == [60, 120, 240, 3600, 3600]
    _put(database, "1")
    post.trouble = [DeliveryError("busy", permanent=False)] * 2
    send_due(database, {"folder": post}, NOW)
    assert send_due(database, {"folder": post}, NOW + timedelta(seconds=59)) == Sent()
    assert send_due(database, {"folder": post}, LATER) == Sent(retried=1)
    assert send_due(database, {"folder": post}, LATER + timedelta(seconds=119)) == Sent()
    assert send_due(database, {"folder": post}, LATER + timedelta(seconds=120)) == Sent(sent=1)
    assert _rows(database)[0].attempts == 3


def test_it_parks_what_is_refused_for_good(database: Database, post: Post) -> None:
    _put(database, "1", "2")
    post.trouble = [DeliveryError("550 no such mailbox", permanent=True)]
    assert send_due(database, {"folder": post}, NOW) == Sent(sent=1, parked=1)
    assert send_due(database, {"folder": post}, LATER) == Sent()
    parked = next(row for row in _rows(database) if row.status == "parked")
    assert (parked.last_error, parked.sent_at) == ("550 no such mailbox", None)


def test_it_gives_up_only_after_the_longest_holiday(database: Database, post: Post) -> None:
    _put(database, "1")
    post.trouble = [DeliveryError("down", permanent=False)] * 2
    assert send_due(database, {"folder": post}, NOW + MAX_AGE) == Sent(retried=1)
    assert send_due(database, {"folder": post}, NOW + MAX_AGE + timedelta(hours=2)) == Sent(parked=1)


def test_it_repeats_the_same_mail_after_a_crash_between_sending_and_marking(
    database: Database, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(database, "1")
    with monkeypatch.context() as patched:
        patched.setattr("secmon.notify.outbox._mark", _crash)
        with pytest.raises(KeyboardInterrupt):
            send_due(database, {"folder": post}, NOW)
    assert _rows(database)[0].status == "pending"
    assert send_due(database, {"folder": post}, LATER) == Sent(sent=1)
    assert post.taken[0] == post.taken[1]
    assert f"Message-ID: {_rows(database)[0].message_id}".encode() in post.taken[0]


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


def test_it_sends_once_with_two_senders_at_work(database: Database) -> None:
    _put(database, *(str(number) for number in range(10)))
    taken: list[uuid.UUID] = []
    sender: Callable[[], object] = lambda: send_due(  # noqa: E731
        database, {"folder": lambda parcel: taken.append(parcel.delivery_id)}, NOW
    )
    threads = [threading.Thread(target=sender) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 10


def test_it_leaves_a_channel_alone_that_is_not_set_up(database: Database, post: Post) -> None:
    _put(database, "1")
    assert send_due(database, {"smtp": post}, NOW) == Sent()
    assert _rows(database)[0].attempts == 0


def test_it_sends_outside_any_transaction(tmp_path: Path) -> None:
    """Another writer is not kept waiting by a slow mail server."""
    database = Database(f"sqlite:///{tmp_path / 'secmon.db'}")
    database.migrate()
    database.identity(NOW)
    _put(database, "1")

    def slow(_: Parcel) -> None:
        other = Database(f"sqlite:///{tmp_path / 'secmon.db'}")
        with other.write() as connection:
            connection.execute(sa.text("UPDATE deliveries SET last_error = 'written meanwhile'"))
        other.close()

    assert send_due(database, {"folder": slow}, NOW) == Sent(sent=1)
    database.close()
