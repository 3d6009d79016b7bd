from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from secmon.notify.channel import DeliveryError, Parcel
from secmon.notify.folder import FolderChannel

NOW = datetime(2026, 11, 2, tzinfo=UTC)


def _parcel(number: int, text: bytes = b"mail") -> Parcel:
    return Parcel(
        delivery_id=uuid.UUID(int=number),
        recipient="it@town.example",
        message=text,
        created_at=NOW + timedelta(seconds=number),
    )


def test_it_writes_a_file_for_each_mail_in_the_order_of_time(tmp_path: Path) -> None:
    channel = FolderChannel(tmp_path / "mail")
    for number in (2, 1, 10):
        channel(_parcel(number, str(number).encode()))
    files = sorted((tmp_path / "mail").iterdir())
    assert [file.read_text() for file in files] == ["1", "2", "10"]
    assert files[0].name == "20261102T000001Z-00000000-0000-0000-0000-000000000001.eml"


def test_it_writes_a_repeat_over_the_first(tmp_path: Path) -> None:
    channel = FolderChannel(tmp_path)
    channel(_parcel(1))
    channel(_parcel(1))
    assert len(list(tmp_path.iterdir())) == 1


def test_it_keeps_mails_from_other_users_of_the_machine(tmp_path: Path) -> None:
    FolderChannel(tmp_path / "mail")(_parcel(1))
    assert (tmp_path / "mail").stat().st_mode & 0o077 == 0


def test_it_says_where_it_could_not_write_and_leaves_nothing_half(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("not a folder")
    with pytest.raises(DeliveryError, match="mail") as caught:
        FolderChannel(tmp_path / "mail")(_parcel(1))
    assert not caught.value.permanent


def test_it_never_shows_a_mail_before_it_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DeliveryError, match="No space left"):
        FolderChannel(tmp_path)(_parcel(1))
    assert list(tmp_path.glob("*.eml")) == []
