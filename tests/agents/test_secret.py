"""Secrets on disk: protected where there is something to protect them with, read as they were written before."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from secmon_agent import keys, secret
from secmon_agent.errors import AgentError, StorageError


class Machine:
    """A vault that opens only what it closed."""

    def __init__(self, name: bytes) -> None:
        self.name = name

    def protect(self, data: bytes) -> bytes:
        return self.name + data[::-1]

    def unprotect(self, data: bytes) -> bytes:
        if not data.startswith(self.name):
            raise OSError("not mine")
        return data.removeprefix(self.name)[::-1]


HERE = Machine(b"here")


def test_it_reads_on_this_machine_what_it_wrote_there(tmp_path: Path) -> None:
    secret.write(tmp_path / "file", b"a secret", HERE)
    assert b"a secret" not in (tmp_path / "file").read_bytes()
    assert secret.read(tmp_path / "file", HERE) == b"a secret"
    assert secret.read(tmp_path / "other", HERE) is None


@pytest.mark.parametrize("elsewhere", [Machine(b"there"), None], ids=["another machine", "no protection"])
def test_it_says_to_enroll_again_where_a_secret_was_copied_to(tmp_path: Path, elsewhere: Machine | None) -> None:
    if elsewhere is None and sys.platform == "win32":
        pytest.skip("Windows protects every secret")
    secret.write(tmp_path / "file", b"a secret", HERE)
    with pytest.raises(AgentError, match=r"another machine, or is damaged .* remove it, then enroll again"):
        secret.read(tmp_path / "file", elsewhere)


def test_it_protects_what_was_written_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a secret")
    assert secret.read(tmp_path / "file", HERE) == b"a secret"
    secret.protect_plain(tmp_path / "file", b"a secret", HERE)
    assert b"a secret" not in (tmp_path / "file").read_bytes()
    assert secret.read(tmp_path / "file", HERE) == b"a secret"


def test_it_leaves_what_was_there_when_it_cannot_be_protected(tmp_path: Path) -> None:
    class Broken(Machine):
        def protect(self, data: bytes) -> bytes:
            raise OSError("no")

    (tmp_path / "file").write_bytes(b"a secret")
    with pytest.raises(StorageError, match="cannot protect"):
        secret.write(tmp_path / "file", b"another", Broken(b""))
    assert (tmp_path / "file").read_bytes() == b"a secret"


@pytest.mark.skipif(sys.platform != "win32", reason="only Windows protects keys itself")
def test_it_keeps_no_readable_key_on_windows(tmp_path: Path) -> None:
    made = keys.load_or_create(tmp_path)
    path = tmp_path / keys.KEY_FILE
    assert bytes(made) not in path.read_bytes()
    assert keys.load(tmp_path) == made

    path.write_bytes(bytes(made))
    assert keys.load(tmp_path) == made
    assert path.read_bytes().startswith(secret.MARK)

    path.write_bytes(path.read_bytes()[:-20] + bytes(20))
    with pytest.raises(AgentError, match="enroll again"):
        keys.load(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows protects keys itself")
def test_it_keeps_the_plain_key_elsewhere(tmp_path: Path) -> None:
    made = keys.load_or_create(tmp_path)
    assert (tmp_path / keys.KEY_FILE).read_bytes() == bytes(made)
