"""What a probe may touch: the files, registry, kernel answers, programs, clock and memory of one machine.

A live host and a recorded one run the same probes. A probe returns its facts, or raises:

- `AbsentError`: determined that the thing does not exist here;
- `DeniedError` or PermissionError: somebody with more rights could tell;
- `UnsupportedError`: the thing is there, and this agent cannot read it;
- anything else: the probe failed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, Protocol, TypeVar, cast

import msgspec

from secmon_agent import __version__
from secmon_agent.facts import Family
from secmon_agent.files import Files, Stat
from secmon_agent.memory import Memory
from secmon_agent.questions import Answer
from secmon_agent.registry import Registry
from secmon_agent.system import System

if TYPE_CHECKING:
    from secmon_agent.command_result import CommandResult

T = TypeVar("T")

DEFAULT_LIMIT_BYTES: Final = 1 << 20
MAX_ENTRIES: Final = 20_000


class ProbeError(Exception):
    """A probe's own word on why there are no facts. Its text travels: nothing personal may stand in it."""


class AbsentError(ProbeError):
    pass


class DeniedError(ProbeError):
    pass


class UnsupportedError(ProbeError):
    pass


class TooLargeError(ProbeError):
    """A file or folder over the limit of whoever reads it."""


_ERRORS: Final[Mapping[str, type[ProbeError]]] = {
    "absent": AbsentError,
    "denied": DeniedError,
    "unsupported": UnsupportedError,
}


class Run(Protocol):
    def __call__(self, argv: Sequence[str], *, timeout_s: float, max_output_bytes: int) -> CommandResult: ...


class Ask(Protocol):
    def __call__(self, question: str, *, timeout_s: float) -> bytes:
        """The JSON of an `Answer`."""


class Programs(NamedTuple):
    """The doors to other processes."""

    run: Run
    ask: Ask


class Host:
    def __init__(
        self,
        *,
        family: Family,
        files: Files,
        registry: Registry,
        system: System,
        memory: Memory,
        clock: Callable[[], datetime],
        programs: Programs,
        privileged: bool,
    ) -> None:
        self.family = family
        self.files = files
        self.registry = registry
        self.system = system
        self.memory = memory
        self.privileged = privileged
        """May read what only root or Administrators may."""
        self._clock = clock
        self.programs = programs
        self._cycle: dict[str, object] = {}

    def now(self) -> datetime:
        """UTC."""
        return self._clock().astimezone(UTC)

    def run(self, argv: Sequence[str], *, timeout_s: float = 10.0, max_output_bytes: int = 4 << 20) -> CommandResult:
        """See `command.run`."""
        return self.programs.run(argv, timeout_s=timeout_s, max_output_bytes=max_output_bytes)

    def ask(self, question: str, kind: type[T], *, timeout_s: float = 20.0) -> T:
        """What a child process answers to one of `questions.QUESTIONS`; raises as a probe does."""
        try:
            answer = msgspec.json.decode(self.programs.ask(question, timeout_s=timeout_s), type=Answer)
            if answer.status == "ok":
                return msgspec.json.decode(answer.value, type=kind)
        except msgspec.DecodeError as error:
            raise ProbeError(f"the answer to {question} cannot be read: {error}") from None
        reason = answer.reason.removeprefix(f"{ProbeError.__name__}: ")  # which whoever reports it puts there again
        raise _ERRORS.get(answer.status, ProbeError)(reason or question)

    def new_cycle(self) -> None:
        """Forget what `once` found."""
        self._cycle.clear()

    def once(self, key: str, find: Callable[[], T]) -> T:
        """What several probes of one cycle need, found once."""
        if key not in self._cycle:
            self._cycle[key] = find()
        return cast(T, self._cycle[key])

    def remembered(self, key: str, depends: object, kind: type[T], find: Callable[[], T]) -> T:
        """`find()`, or what it returned in an earlier cycle with equal `depends` (file times and the like, msgpack-
        able)."""
        basis = msgspec.msgpack.encode((__version__, msgspec.to_builtins(depends)))
        mark = hashlib.sha256(basis).digest()
        raw = self.memory.get(key)
        if raw is not None and raw[:32] == mark:
            try:
                return msgspec.msgpack.decode(raw[32:], type=kind)
            except msgspec.DecodeError:
                pass
        found = find()
        self.memory.put(key, mark + msgspec.msgpack.encode(found))
        return found

    def stat(self, name: str) -> Stat | None:
        """None where there is no such file."""
        try:
            return self.files.stat(name)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def exists(self, name: str) -> bool:
        return self.stat(name) is not None

    def modified(self, name: str) -> datetime | None:
        """When the file was last written, whole seconds; None where there is none."""
        found = self.stat(name)
        return None if found is None else datetime.fromtimestamp(found.mtime_ns // 10**9, UTC)

    def marks(self, *names: str) -> list[tuple[str, int, int, int]]:
        """What changes when one of the files or folders changes; a missing one counts too."""
        found = ((name, self.stat(name)) for name in names)
        return [(name, it.mtime_ns, it.size, it.inode) if it else (name, -1, -1, -1) for name, it in found]

    @contextmanager
    def opened(self, name: str) -> Iterator[BinaryIO]:
        """For streaming; the reader sets its own limits."""
        with self.files.open(name) as file:
            yield file

    def read(self, name: str, limit: int = DEFAULT_LIMIT_BYTES) -> bytes:
        data = self.files.read(name, limit + 1)
        if len(data) > limit:
            raise TooLargeError(f"{name} has more than {limit} bytes")
        return data

    def text(self, name: str, limit: int = DEFAULT_LIMIT_BYTES) -> str:
        """Bytes that are no UTF-8 are replaced: a broken comment must not hide a setting."""
        return self.read(name, limit).decode("utf-8", "replace")

    def text_if_any(self, name: str, limit: int = DEFAULT_LIMIT_BYTES) -> str | None:
        """None where there is no such file."""
        try:
            return self.text(name, limit)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def listdir(self, name: str) -> list[str]:
        """Sorted; empty where there is no such folder."""
        try:
            names = self.files.listdir(name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        if len(names) > MAX_ENTRIES:
            raise TooLargeError(f"{name} has more than {MAX_ENTRIES} entries")
        return sorted(names)

    def readlink(self, name: str) -> str | None:
        """None where `name` is no link."""
        try:
            return self.files.readlink(name)
        except PermissionError:
            raise
        except OSError:
            return None
