"""A recorded machine: a folder with `host.json`, the machine's files below `root/`, and what programs and kernel
answered.

`host.json` is a `Manifest`. Every probe runs on such a host as it does on a live one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from secmon_agent.command_result import CommandResult
from secmon_agent.facts import Family
from secmon_agent.files import Owner, RecordedFiles
from secmon_agent.host import DeniedError, Host, Programs
from secmon_agent.memory import DictMemory, Memory
from secmon_agent.registry import NoRegistry, RecordedRegistry, Registry, Written
from secmon_agent.system import RecordedSystem, Recording

_Registry = dict[str, dict[str, Written] | None]


class Command(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a program answered."""

    argv: tuple[str, ...]
    stdout: str
    """File beside `host.json`."""
    exit_code: int = 0


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    about: str
    """Where the recording comes from."""
    family: Family
    now: datetime
    mtime: datetime
    """Of every file that `mtimes` does not name."""
    privileged: bool = True
    mtimes: dict[str, datetime] = {}
    links: dict[str, str] = {}
    folders: tuple[str, ...] = ()
    """Empty folders, and those that hold links alone need not be named."""
    denied: tuple[str, ...] = ()
    """Names that this agent had no right to."""
    owners: dict[str, Owner] | None = None
    """Owner and rights of files and folders; what is not named is root's and as usual. None: they were not recorded."""
    unread: tuple[str, ...] = ()
    """Files that are there, and whose content is not recorded: to open one is denied."""
    commands: tuple[Command, ...] = ()
    system: Recording = Recording()
    answers: dict[str, str] = {}
    """JSON file beside `host.json`, by the name of a question: what the child process said. Others are denied."""
    registry: tuple[str, ...] = ()
    """JSON files beside `host.json`; no key stands in two of them."""
    written: dict[str, datetime] = {}
    """When registry keys were last written."""


def recorded_host(folder: Path, memory: Memory | None = None) -> Host:
    """Raises OSError or msgspec.DecodeError for a folder that is no recording."""
    manifest = msgspec.json.decode((folder / "host.json").read_bytes(), type=Manifest)

    def run(argv: Sequence[str], *, timeout_s: float, max_output_bytes: int) -> CommandResult:
        for command in manifest.commands:
            if command.argv == tuple(argv):
                stdout = (folder / command.stdout).read_bytes()
                return CommandResult(exit_code=command.exit_code, stdout=stdout)
        raise FileNotFoundError(2, "not recorded", argv[0])

    def ask(question: str, *, timeout_s: float) -> bytes:
        if question not in manifest.answers:
            raise DeniedError(f"{question} was not recorded")
        return (folder / manifest.answers[question]).read_bytes()

    return Host(
        family=manifest.family,
        files=RecordedFiles(
            folder / "root",
            mtime=manifest.mtime,
            mtimes=manifest.mtimes,
            links=manifest.links,
            folders=frozenset(manifest.folders),
            denied=frozenset(manifest.denied),
            owners=manifest.owners,
            unread=frozenset(manifest.unread),
        ),
        registry=_registry(folder, manifest) if manifest.registry else NoRegistry(),
        system=RecordedSystem(manifest.system),
        memory=memory if memory is not None else DictMemory(),
        clock=lambda: manifest.now,
        programs=Programs(run, ask),
        privileged=manifest.privileged,
    )


def _registry(folder: Path, manifest: Manifest) -> Registry:
    keys: _Registry = {}
    for name in manifest.registry:
        keys |= msgspec.json.decode((folder / name).read_bytes(), type=_Registry)
    return RecordedRegistry(keys, manifest.written)
