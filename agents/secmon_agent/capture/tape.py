"""What the probes touch on a live machine, noted as they read it: nothing else goes into a recording."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, ItemsView, Iterator, Sequence, ValuesView
from contextlib import suppress
from io import BytesIO
from typing import Any, BinaryIO, Final, NamedTuple, cast

from secmon_agent.command_result import CommandResult
from secmon_agent.files import Files, Stat
from secmon_agent.host import Host, Programs
from secmon_agent.memory import DictMemory
from secmon_agent.registry import Registry, Value
from secmon_agent.system import Recording, System

MAX_READ_BYTES: Final = 96 << 20
_PIECE_BYTES: Final = 1 << 16
_MAX_LINKS: Final = 40


class Ran(NamedTuple):
    argv: tuple[str, ...]
    result: CommandResult


class Tape:
    """Files are noted by their real path, every link on the way as a link."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.links: dict[str, str] = {}
        self.stats: dict[str, Stat] = {}
        self.listed: dict[str, list[str]] = {}
        self.denied: set[str] = set()
        self.too_large: set[str] = set()
        self.keys: dict[str, dict[str, Value] | None] = {}
        self.about_keys: dict[str, dict[str, object]] = {}
        """Answers by key, by the method of `Registry` that gave them."""
        self.commands: list[Ran] = []
        self.answers: dict[str, bytes] = {}
        self.system: dict[str, object] = {}


def taped(host: Host) -> tuple[Host, Tape]:
    """The same host with an empty memory and a clock that stands still; and the tape, which fills while it is asked."""
    tape = Tape()
    now = host.now().replace(microsecond=0)
    wrapped = Host(
        family=host.family,
        files=cast(Files, TapedFiles(host.files, tape)),
        registry=cast(Registry, TapedRegistry(host.registry, tape)),
        system=cast(System, TapedSystem(host.system, tape)),
        memory=DictMemory(),
        clock=lambda: now,
        programs=_taped_programs(host.programs, tape),
        privileged=host.privileged,
    )
    return wrapped, tape


class TapedFiles:
    def __init__(self, files: Files, tape: Tape) -> None:
        self._files = files
        self._tape = tape

    def open(self, name: str) -> BinaryIO:
        """The same content each time: the tape must not contradict itself."""
        real = self._real(name)
        if real not in self._tape.contents:
            try:
                with self._files.open(name) as file:
                    data = _read(file)
            except PermissionError:
                self._tape.denied.add(real)
                raise
            if len(data) > MAX_READ_BYTES:
                self._tape.too_large.add(real)
                return self._files.open(name)
            self._tape.contents[real] = data
        return BytesIO(self._tape.contents[real])

    def read(self, name: str, limit: int) -> bytes:
        with self.open(name) as file:
            return file.read(limit)

    def listdir(self, name: str) -> list[str]:
        real = self._real(name)
        if real not in self._tape.listed:
            try:
                self._tape.listed[real] = self._files.listdir(name)
            except PermissionError:
                self._tape.denied.add(real)
                raise
        return list(self._tape.listed[real])

    def stat(self, name: str) -> Stat:
        real = self._real(name)
        try:
            found = self._files.stat(name)
        except PermissionError:
            self._tape.denied.add(real)
            raise
        return self._tape.stats.setdefault(real, found)

    def readlink(self, name: str) -> str:
        parent, _, last = name.rpartition("/")
        real = posixpath.join(self._real(parent or "/"), last)
        try:
            target = self._files.readlink(name)
        except PermissionError:
            self._tape.denied.add(real)
            raise
        return self._tape.links.setdefault(real, target)

    def realpath(self, name: str) -> str:
        self._real(name)
        return self._files.realpath(name)

    def __getattr__(self, method: str) -> Callable[[str], object]:
        """What else can be done with a name rests on the file's content."""

        def ask(name: str) -> object:
            with suppress(OSError):
                self.open(name).close()
            return getattr(self._files, method)(name)

        return ask

    def _real(self, name: str) -> str:
        """As `RecordedFiles` will resolve it; notes the links on the way."""
        done, todo, links = "", [part for part in name.split("/") if part], 0
        while todo:
            here = posixpath.normpath(f"{done}/{todo.pop(0)}")
            target = self._link(here)
            if target is None or links > _MAX_LINKS:
                done = "" if here == "/" else here
                continue
            links += 1
            done = "" if target.startswith("/") else done
            todo = [part for part in target.split("/") if part] + todo
        return done or "/"

    def _link(self, here: str) -> str | None:
        if here not in self._tape.links:
            try:
                self._tape.links[here] = self._files.readlink(here)
            except OSError:
                return None
        return self._tape.links[here]


def _read(file: BinaryIO) -> bytes:
    """In pieces: the kernel refuses a very large one for its own files."""
    pieces, size = [], 0
    while size <= MAX_READ_BYTES and (piece := file.read(_PIECE_BYTES)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


class Asked(dict[str, Value]):
    """The values of a key; notes those that somebody looks at. A key may hold secrets beside what is asked for."""

    def __init__(self, values: dict[str, Value], noted: dict[str, Value]) -> None:
        super().__init__(values)
        self._noted = noted

    def __getitem__(self, name: str) -> Value:
        value = super().__getitem__(name)
        self._noted[name] = value
        return value

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 - dict.get would pass the note by

    def __len__(self) -> int:
        """That there is something tells a key that was left empty from one in use: the name of a value, and no more."""
        if not self._noted:
            self._noted.update((name, type(value)()) for name, value in list(super().items())[:1])
        return super().__len__()

    def __iter__(self) -> Iterator[str]:
        self._noted.update(super().items())
        return super().__iter__()

    def items(self) -> ItemsView[str, Value]:  # type: ignore[override]
        self._noted.update(super().items())
        return dict(super().items()).items()

    def values(self) -> ValuesView[Value]:  # type: ignore[override]
        self._noted.update(super().items())
        return dict(super().items()).values()


class TapedRegistry:
    def __init__(self, registry: Registry, tape: Tape) -> None:
        self._registry = registry
        self._keys = tape.keys
        self._about_keys = tape.about_keys
        self._listed: dict[str, str] = {}
        """Keys as their folder lists them, which may be in another case than a probe asks."""

    def values(self, key: str) -> dict[str, Value]:
        try:
            found = self._registry.values(key)
        except PermissionError:
            self._keys[key] = None
            raise
        return Asked(found, self._noted(key))

    def subkeys(self, key: str) -> list[str]:
        try:
            names = self._registry.subkeys(key)
        except PermissionError:
            self._keys[key] = None
            raise
        self._noted(key)
        for name in names:
            self._list(f"{key}\\{name}")
        return names

    def __getattr__(self, method: str) -> Callable[[str], object]:
        """What else can be asked about a key."""

        def ask(key: str) -> object:
            answer = getattr(self._registry, method)(key)
            self._noted(key)
            self._about_keys.setdefault(method, {})[key] = answer
            return answer

        return ask

    def _list(self, key: str) -> None:
        if key not in self._keys:
            asked = next((other for other in self._keys if other.lower() == key.lower()), None)
            self._keys[key] = {} if asked is None else self._keys.pop(asked)
        self._listed[key.lower()] = key

    def _noted(self, key: str) -> dict[str, Value]:
        noted = self._keys.setdefault(self._listed.get(key.lower(), key), {})
        return {} if noted is None else noted


class TapedSystem:
    """Whatever `Recording` can hold of a `System` is noted when it is asked for."""

    def __init__(self, system: System, tape: Tape) -> None:
        self._system = system
        self._tape = tape

    def __getattr__(self, name: str) -> object:
        method = getattr(self._system, name)
        if name not in Recording.__struct_fields__:
            return method

        def ask() -> object:
            if name not in self._tape.system:
                self._tape.system[name] = method()
            return self._tape.system[name]

        return ask


def _taped_programs(programs: Programs, tape: Tape) -> Programs:
    def run(argv: Sequence[str], *, timeout_s: float, max_output_bytes: int) -> CommandResult:
        result = programs.run(argv, timeout_s=timeout_s, max_output_bytes=max_output_bytes)
        tape.commands.append(Ran(tuple(argv), result))
        return result

    def ask(question: str, *, timeout_s: float) -> bytes:
        tape.answers[question] = programs.ask(question, timeout_s=timeout_s)
        return tape.answers[question]

    return Programs(run, ask)
