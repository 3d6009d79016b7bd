"""What probes stand on: memory, files, registry, programs."""

from __future__ import annotations

import gzip
import io
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon_agent import command
from secmon_agent.files import LiveFiles, RecordedFiles
from secmon_agent.host import Host, TooLargeError, UnsupportedError
from secmon_agent.memory import MAX_VALUE_BYTES, DictMemory, FileMemory, Memory
from secmon_agent.probes.decompress import chunks
from secmon_agent.registry import RecordedRegistry, number, text

SHELL = "/bin/sh"
posix = pytest.mark.skipif(sys.platform == "win32", reason="starts a POSIX shell")


@pytest.fixture(params=["dict", "file"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Memory:
    return DictMemory() if request.param == "dict" else FileMemory(tmp_path / "memory")


def test_memory_gives_back_what_was_put(memory: Memory) -> None:
    assert memory.get("a.b") is None
    memory.put("a.b", b"1")
    memory.put("a.b", b"\x00" * 1000)
    assert (memory.get("a.b"), memory.get("a")) == (b"\x00" * 1000, None)


def test_memory_outlives_the_process(tmp_path: Path) -> None:
    FileMemory(tmp_path / "memory").put("x", b"kept")
    assert FileMemory(tmp_path / "memory").get("x") == b"kept"


@pytest.mark.parametrize("damage", [b"", b"rubbish", None])
def test_damaged_memory_counts_as_none(damage: bytes | None, tmp_path: Path) -> None:
    memory = FileMemory(tmp_path)
    memory.put("x", b"value")
    raw = (tmp_path / "x").read_bytes()
    (tmp_path / "x").write_bytes(raw[:-1] if damage is None else damage)
    assert memory.get("x") is None


def test_memory_clears_away_what_a_killed_process_left(tmp_path: Path) -> None:
    (tmp_path / "x.123.new").write_bytes(b"half")
    (tmp_path / "x-since.123.new").write_bytes(b"another key")
    FileMemory(tmp_path).put("x", b"value")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "x-since.123.new"]


def test_memory_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    memory = FileMemory(tmp_path / "file")
    memory.put("x", b"value")
    assert memory.get("x") is None


def test_memory_refuses_names_that_leave_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="memory key"):
        FileMemory(tmp_path).get("../x")


def test_memory_keeps_no_huge_value(tmp_path: Path) -> None:
    FileMemory(tmp_path).put("x", bytes(MAX_VALUE_BYTES + 1))
    assert FileMemory(tmp_path).get("x") is None


def test_a_remembered_answer_lasts_as_long_as_its_basis(make_host: Callable[..., Host]) -> None:
    host = make_host()
    answers = iter(range(9))
    found = [host.remembered("k", basis, int, lambda: next(answers)) for basis in (1, 1, 2, 2, 1)]
    assert found == [0, 0, 1, 1, 2]


def test_a_remembered_answer_of_another_shape_is_found_anew(make_host: Callable[..., Host]) -> None:
    host = make_host()
    host.remembered("k", 1, str, lambda: "text")
    assert host.remembered("k", 1, int, lambda: 7) == 7


@posix
def test_a_recorded_tree_is_read_as_a_live_one(tmp_path: Path) -> None:
    (tmp_path / "etc/a").mkdir(parents=True)
    (tmp_path / "etc/a/f").write_text("hello")
    (tmp_path / "etc/l").symlink_to("a/f")
    live = LiveFiles(str(tmp_path))
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    recorded = RecordedFiles(
        tmp_path, mtime=moment, mtimes={}, links={"/etc/m": "/etc/a", "/etc/loop": "loop"},
        folders=frozenset({"/run/x"}),
        denied=frozenset({"/etc/no"}), owners=None,
    )  # fmt: skip
    for files in (live, recorded):
        assert files.open("/etc/a/f").read() == b"hello"
        assert (files.stat("/etc/a").is_dir, files.stat("/etc/a/f").size) == (True, 5)
        with pytest.raises(FileNotFoundError):
            files.stat("/etc/b")
        with pytest.raises(OSError, match="Invalid"):
            files.readlink("/etc/a/f")
    assert (live.readlink("/etc/l"), recorded.readlink("/etc/m")) == ("a/f", "/etc/a")
    assert recorded.open("/etc/m/f").read() == b"hello"
    assert (recorded.listdir("/etc"), recorded.listdir("/run")) == (["a", "l", "loop", "m"], ["x"])
    with pytest.raises(PermissionError):
        recorded.open("/etc/no/thing")
    with pytest.raises(OSError, match="links"):
        recorded.stat("/etc/loop")


def test_a_folder_over_the_limit_is_refused(make_host: Callable[..., Host], monkeypatch: pytest.MonkeyPatch) -> None:
    host = make_host({"/etc/a": "", "/etc/b": ""})
    monkeypatch.setattr("secmon_agent.host.MAX_ENTRIES", 1)
    with pytest.raises(TooLargeError):
        host.listdir("/etc")


@given(st.dictionaries(st.from_regex(r"[A-Za-z]{1,5}", fullmatch=True), st.integers(0, 9) | st.text(max_size=9)))
def test_registry_values_are_read_by_type_whatever_their_case(values: dict[str, int | str]) -> None:
    found = RecordedRegistry({"HKEY_LOCAL_MACHINE\\A": dict(values)}).values("hkey_local_machine\\a")
    for name, value in values.items():
        if isinstance(value, int):
            assert (number(found, name), text(found, name)) == (value, None)
        else:
            assert (number(found, name), text(found, name)) == (None, value.split("\0", 1)[0].strip() or None)


def test_a_recorded_registry_tells_missing_from_denied() -> None:
    registry = RecordedRegistry({r"HKEY_LOCAL_MACHINE\A\B": {"v": {"hex": "00ff"}}, r"HKEY_LOCAL_MACHINE\A\No": None})
    assert (registry.subkeys(r"HKEY_LOCAL_MACHINE\A"), registry.values(r"HKEY_LOCAL_MACHINE\A")) == (["B", "No"], {})
    assert registry.values(r"HKEY_LOCAL_MACHINE\A\b") == {"v": b"\x00\xff"}
    for read in (registry.values, registry.subkeys):
        with pytest.raises(PermissionError):
            read(r"HKEY_LOCAL_MACHINE\A\No")
        with pytest.raises(FileNotFoundError):
            read(r"HKEY_LOCAL_MACHINE\A\C")


@posix
def test_a_program_is_run_without_a_shell_in_the_c_locale() -> None:
    result = command.run([SHELL, "-c", 'echo "$LC_ALL $1"; echo oops >&2; exit 3', "x", "$HOME; ls"])
    assert (result.exit_code, result.stdout) == (3, b"C $HOME; ls\n")


@posix
def test_a_program_over_its_time_is_ended_with_its_children(tmp_path: Path) -> None:
    script = f"(sleep 60; touch {tmp_path}/late) & echo $! > {tmp_path}/child; wait"
    with pytest.raises(command.CommandTimeoutError):
        command.run([SHELL, "-c", script], timeout_s=0.5)
    child = int((tmp_path / "child").read_text())
    assert not _runs(child)


@posix
def test_a_program_that_says_too_much_is_ended() -> None:
    with pytest.raises(command.CommandOutputError):
        command.run([SHELL, "-c", "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyy; done"], max_output_bytes=1000)


def test_a_program_needs_an_absolute_path() -> None:
    with pytest.raises(ValueError, match="absolute path"):
        command.run(["sh"])


@posix
def test_a_missing_program_is_told_as_such() -> None:
    with pytest.raises(FileNotFoundError):
        command.run(["/no/such/program"])


def test_decompression_stops_at_its_limit() -> None:
    bomb = gzip.compress(bytes(10 << 20))
    with pytest.raises(TooLargeError):
        list(chunks(io.BytesIO(bomb), ".gz", 1 << 20))


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_compressed_file_that_is_cut_short_is_refused(suffix: str) -> None:
    import lzma

    data = os.urandom(100_000)
    whole = gzip.compress(data) if suffix == ".gz" else lzma.compress(data)
    assert b"".join(chunks(io.BytesIO(whole), suffix, 1 << 20)) == data
    with pytest.raises(ValueError, match="cut short"):
        list(chunks(io.BytesIO(whole[:-50]), suffix, 1 << 20))


def test_lz4_that_is_cut_short_is_refused() -> None:
    folder = Path(__file__).parents[2] / "hosts/debian-12/root/var/lib/apt/lists"
    whole = max(folder.glob("*.lz4"), key=lambda path: path.stat().st_size).read_bytes()
    try:
        found = b"".join(chunks(io.BytesIO(whole), ".lz4", 1 << 20))
    except UnsupportedError:
        pytest.skip("liblz4 is not on this machine")
    assert found.startswith(b"Package: ")
    with pytest.raises(ValueError, match="cut short"):
        list(chunks(io.BytesIO(whole[:-8]), ".lz4", 1 << 20))
    with pytest.raises(ValueError, match="damaged"):
        list(chunks(io.BytesIO(b"not lz4 at all"), ".lz4", 1 << 20))


def _zstd(data: bytes) -> bytes:
    import ctypes

    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(len(data) + 1000)
    size = library.ZSTD_compress(out, ctypes.c_size_t(len(out)), data, ctypes.c_size_t(len(data)), 3)
    return out.raw[:size]


@posix
@pytest.mark.parametrize("data", [os.urandom(300_000), bytes(3_000_000), bytes(1 << 18), b""])
def test_zstd_that_is_cut_short_is_refused(data: bytes) -> None:
    whole = _zstd(data)
    assert b"".join(chunks(io.BytesIO(whole), ".zst", 4 << 20)) == data
    assert b"".join(chunks(io.BytesIO(whole + whole), ".zst", 8 << 20)) == data + data
    with pytest.raises(ValueError, match="cut short"):
        list(chunks(io.BytesIO(whole[:-1]), ".zst", 4 << 20))
    with pytest.raises(ValueError, match="damaged"):
        list(chunks(io.BytesIO(b"not zstd at all"), ".zst", 4 << 20))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@posix
def test_a_pipe_in_place_of_a_file_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "off").symlink_to("/dev/null")
    files = LiveFiles(str(tmp_path))
    with pytest.raises(OSError, match="not a regular file"):
        files.open("/pipe")
    with pytest.raises(IsADirectoryError):
        files.open("/")
    with files.open("/off") as file:
        assert file.read() == b""
