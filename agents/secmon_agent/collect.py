"""One cycle: every probe of this machine, each turned into a section. One failing probe never stops the others."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from secmon_agent import wire
from secmon_agent.files import LiveFiles
from secmon_agent.host import AbsentError, DeniedError, Host, ProbeError, Programs, UnsupportedError
from secmon_agent.memory import DictMemory, FileMemory, Memory
from secmon_agent.probes import Probe, probes_for

if TYPE_CHECKING:
    from secmon_agent.command_result import CommandResult
    from secmon_agent.host import Run
    from secmon_agent.registry import Registry
    from secmon_agent.system import System

_MAX_REASON_CHARS: Final = 200
_READ_ALL: Final = 1 << 2 | 1 << 19
"""CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE."""
_STATUSES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (AbsentError, "absent"),
    (DeniedError, "denied"),
    (PermissionError, "denied"),
    (UnsupportedError, "unsupported"),
    (NotImplementedError, "unsupported"),
)
_CHILD: Final = (
    "import sys; sys.path.append(sys.argv[1]); from secmon_agent.questions.child import main; main(sys.argv[2])"
)
"""The same agent in a child process, wherever it was found."""


def collect(host: Host, names: Iterable[str] | None = None) -> dict[str, wire.Section]:
    """Sections by name: all that this family has, or those of `names`; KeyError for one that it has not."""
    host.new_cycle()
    table = probes_for(host.family)
    wanted = table if names is None else {name: table[name] for name in names}
    return {name: section(host, probe) for name, probe in wanted.items()}


def section(host: Host, probe: Probe) -> wire.Section:
    now = host.now().replace(microsecond=0)
    try:
        return wire.ok_section(probe(host), now)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a probe is that section's answer
        return wire.other_section(status_of(error), reason_of(error), now)


def status_of(error: Exception) -> str:
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), "failed")


def reason_of(error: Exception) -> str:
    """Short, and without anything that was read: a probe's own words, a path and the system's words, or the kind of
    error."""
    if isinstance(error, ProbeError):
        text = str(error)
        return (
            text if type(error) in (AbsentError, DeniedError, UnsupportedError) else f"{type(error).__name__}: {text}"
        )
    if isinstance(error, OSError):
        where = ": " + re.sub(r"^(/home)/.*", r"\1/*", error.filename) if isinstance(error.filename, str) else ""
        # The system's own words are in its language; the number is the same everywhere.
        words = os.strerror(error.errno) if error.errno and sys.platform != "win32" else type(error).__name__
        return f"{words}{where}"[:_MAX_REASON_CHARS]
    words = re.sub(r"(['\"]).*\1|\\x\S+|\d{5,}", "…", str(error), flags=re.DOTALL)
    return f"{type(error).__name__}: {words}"[:_MAX_REASON_CHARS]


def live_host(state_dir: Path | None) -> Host:
    """The machine this runs on. Probes remember in `state_dir`/memory; without it until the process ends."""
    memory: Memory = DictMemory() if state_dir is None else FileMemory(state_dir / "memory")
    registry, system, run = _windows() if sys.platform == "win32" else _linux(memory)
    return Host(
        family="windows" if sys.platform == "win32" else "linux",
        files=LiveFiles(),
        registry=registry,
        system=system,
        memory=memory,
        clock=_utc_now,
        programs=Programs(run, _ask),
        privileged=_privileged(),
    )


def _linux(memory: Memory) -> tuple[Registry, System, Run]:
    from secmon_agent.registry import NoRegistry
    from secmon_agent.rules_linux import remembering
    from secmon_agent.system_linux import LinuxSystem

    return NoRegistry(), LinuxSystem(), remembering(_run, memory)


def _windows() -> tuple[Registry, System, Run]:
    if sys.platform == "win32":
        from secmon_agent.registry_windows import WindowsRegistry
        from secmon_agent.system_windows import WindowsSystem

        return WindowsRegistry(), WindowsSystem(), _run
    raise NotImplementedError("the registry is on Windows only")


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _run(argv: Sequence[str], *, timeout_s: float, max_output_bytes: int) -> CommandResult:
    """Programs are rarely needed, and importing what starts them is not free."""
    from secmon_agent.command import run

    return run(argv, timeout_s=timeout_s, max_output_bytes=max_output_bytes)


def _ask(question: str, *, timeout_s: float) -> bytes:
    from secmon_agent.command import DEFAULT_MAX_OUTPUT_BYTES

    argv = [sys.executable, "-I", "-X", "utf8", "-c", _CHILD, str(Path(__file__).parents[1]), question]
    result = _run(argv, timeout_s=timeout_s, max_output_bytes=DEFAULT_MAX_OUTPUT_BYTES)
    if result.exit_code != 0:
        raise ProbeError(f"the process that asks {question} ended with status {result.exit_code}")
    return result.stdout


def _privileged() -> bool:
    if sys.platform == "win32":
        import ctypes

        is_admin: Callable[[], int] = ctypes.windll.shell32.IsUserAnAdmin
        return bool(is_admin())
    return os.geteuid() == 0 or _reads_all()


def _reads_all() -> bool:
    """Reads every file and sees every process, as the systemd units allow the agent without making it root."""
    with contextlib.suppress(OSError, ValueError, StopIteration), Path("/proc/self/status").open("rb") as lines:
        effective = int(next(line for line in lines if line.startswith(b"CapEff:")).split()[1], 16)
        return effective & _READ_ALL == _READ_ALL
    return False
