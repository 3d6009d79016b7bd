"""The command `secmon-agent`: the only reader of arguments, and the only place that ends the process."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from secmon_agent import __version__, config, durable, identity, keys, state
from secmon_agent.config import Config
from secmon_agent.errors import AgentError, ConfigError
from secmon_agent.identity import Identity

LOCK_FILE = "lock"
OWN_FILES = {LOCK_FILE, keys.KEY_FILE, identity.IDENTITY_FILE, state.STATE_FILE, "memory", "agent.toml"}
"""By one of these a folder that is in use is known as the agent's."""


def main(arguments: list[str] | None = None) -> NoReturn:
    options = parser().parse_args(arguments)
    _speak_utf8()
    try:
        sys.exit(COMMANDS[options.command](options))
    except AgentError as error:
        sys.stderr.write(f"secmon-agent: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def _speak_utf8() -> None:
    """Facts and messages may hold letters that the console's code page lacks."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]


class _Parser(argparse.ArgumentParser):
    """Help is 100 columns wide: to measure the terminal argparse imports more than a cycle does to sign its report."""

    def _get_formatter(self) -> argparse.HelpFormatter:
        return argparse.HelpFormatter(self.prog, width=100)


def parser() -> argparse.ArgumentParser:
    shared = _Parser(add_help=False)
    shared.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="settings (TOML)")
    shared.add_argument("--state-dir", metavar="DIR", default=argparse.SUPPRESS, help="key, state and spool")
    top = _Parser(prog="secmon-agent", description="Reports posture facts of this machine.", parents=[shared])
    top.add_argument("--version", action="version", version=f"secmon-agent {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", parents=[shared], help="stay and report every interval")
    run.add_argument("--now", action="store_true", help="report at once instead of after a random pause")
    commands.add_parser("once", parents=[shared], help="report once and end")
    enroll = commands.add_parser("enroll", parents=[shared], help="join a collector by its enrollment string")
    source = enroll.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "string", nargs="?", metavar="STRING", help="the enrollment string; - reads it from standard input"
    )
    source.add_argument("--string-file", metavar="FILE", help="a file that holds the enrollment string")
    facts = commands.add_parser("facts", parents=[shared], help="print what would be reported, as JSON")
    facts.add_argument("--section", action="extend", nargs="+", metavar="NAME", help="only these sections")
    capture = commands.add_parser("capture", parents=[shared], help="record this machine for tests, redacted")
    capture.add_argument("target", metavar="DIR|FILE.zip", help="an empty or new folder, or a new .zip file")
    _add_language(capture)
    commands.add_parser("status", parents=[shared], help="print where this machine is enrolled and what waits")
    doctor = commands.add_parser("doctor", parents=[shared], help="say what works, what does not and what to do")
    doctor.add_argument("--json", action="store_true", help="the same for programs")
    _add_language(doctor)
    return top


def _add_language(command: argparse.ArgumentParser) -> None:
    command.add_argument("--lang", choices=("ja", "en"), default="ja", help="language of what it says")


def _opened(options: argparse.Namespace) -> tuple[Config, Path]:
    file = getattr(options, "config", None)
    settings = config.load(None if file is None else Path(file))
    return settings, config.state_dir(settings, getattr(options, "state_dir", None))


@contextlib.contextmanager
def _alone(options: argparse.Namespace) -> Iterator[tuple[Config, Path]]:
    """Settings and the state folder, created and locked against a second process."""
    settings, state_dir = _opened(options)
    _refuse_foreign(state_dir)
    durable.private_directory(state_dir)
    with durable.exclusive(state_dir / LOCK_FILE):
        yield settings, state_dir


def _refuse_foreign(state_dir: Path) -> None:
    """What becomes the agent's alone must not be a folder that others need."""
    with contextlib.suppress(OSError):
        names = {path.name for path in state_dir.iterdir()}
        if names and names.isdisjoint(OWN_FILES):
            raise ConfigError(f"{state_dir} holds files that are not the agent's; name an empty folder or a new one")


def _run(options: argparse.Namespace) -> int:
    from secmon_agent import resident
    from secmon_agent.agent import open_agent

    _end_on_signals()
    with _alone(options) as (settings, state_dir):
        if _is_pending(state_dir):
            resident.until_enrolled(lambda: _ask_again(settings, state_dir).status == "enrolled", _log)
        agent = open_agent(state_dir, settings, keys.load(state_dir), identity.load(state_dir))
        resident.run(agent, _log, at_once=options.now)
    return 0


def _end_on_signals() -> None:
    """End at once: whatever is on disk survives an end at any instant."""

    def end(number: int, _frame: object) -> NoReturn:
        sys.exit(0)

    for name in ("SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)


def _once(options: argparse.Namespace) -> int:
    from secmon_agent.agent import open_agent

    with _alone(options) as (settings, state_dir):
        if _is_pending(state_dir):
            answer = _ask_again(settings, state_dir)
            if answer.status != "enrolled":
                raise AgentError(_pending_line(answer))
        agent = open_agent(state_dir, settings, keys.load(state_dir), identity.load(state_dir))
        outcome = agent.cycle()
    if outcome.trouble:
        raise AgentError(outcome.line())
    _say(outcome.line())
    return 0


def _is_pending(state_dir: Path) -> bool:
    where = identity.load(state_dir)
    return where is not None and where.status == "pending"


def _ask_again(settings: Config, state_dir: Path) -> Identity:
    from secmon_agent.enroll import ask, host_facts

    key, where = keys.load(state_dir), identity.load(state_dir)
    if key is None or where is None:
        raise AgentError(f"the key in {state_dir} is gone; enroll again")
    return ask(state_dir, settings, where, key, host_facts(state_dir))


def _enroll(options: argparse.Namespace) -> int:
    from secmon_agent import invitation
    from secmon_agent.enroll import enroll, host_facts

    text = _enrollment_string(options)
    try:
        invited = invitation.parse(text)
    except ValueError as error:
        raise AgentError(str(error)) from None
    with _alone(options) as (settings, state_dir):
        answer = enroll(state_dir, settings, invited, host_facts(state_dir))
    _say(f"enrolled at {answer.address}" if answer.status == "enrolled" else _pending_line(answer))
    return 0


def _pending_line(answer: Identity) -> str:
    why = f" ({answer.reason})" if answer.reason else ""
    return (
        f"the enrollment at {answer.address} waits for approval{why}; somebody approves it there with "
        "`secmon enrollment approve`, then run the same command again or leave it to `secmon-agent run`"
    )


def _enrollment_string(options: argparse.Namespace) -> str:
    if options.string_file is not None:
        content = durable.read(Path(options.string_file))
        if content is None:
            raise AgentError(f"there is no file {options.string_file}")
        return content.decode("utf-8-sig", "replace")
    return sys.stdin.readline() if options.string == "-" else options.string


def _facts(options: argparse.Namespace) -> int:
    from secmon_agent.collect import collect, live_host
    from secmon_agent.facts_document import facts_document
    from secmon_agent.probes import probes_for

    _, state_dir = _opened(options)
    host = live_host(state_dir if os.access(state_dir, os.W_OK) else None)
    known = probes_for(host.family)
    for name in options.section or ():
        if name not in known:
            raise ConfigError(f"there is no section {name!r} here; known are {', '.join(known)}")
    sys.stdout.write(facts_document(collect(host, options.section), host).decode().rstrip("\n") + "\n")
    return 0


def _capture(options: argparse.Namespace) -> int:
    from secmon_agent.capture.main import capture, own_names
    from secmon_agent.collect import live_host

    return 0 if capture(Path(options.target), live_host(None), own_names(), options.lang, _say) else 1


def _status(options: argparse.Namespace) -> int:
    from secmon_agent import wire
    from secmon_agent.spool import Spool

    settings, state_dir = _opened(options)
    key, where, known = keys.load(state_dir), identity.load(state_dir), state.peek(state_dir)
    if key is None or where is None:
        raise AgentError(f"this machine is not enrolled (nothing in {state_dir}); run: secmon-agent enroll STRING")
    spool = Spool(state_dir, bytes(key.verify_key), max_bytes=settings.spool_max_bytes, max_age_s=0)
    acked = None if known is None else known.last_ack_at
    _say(f"collector: {where.address}")
    _say(f"enrollment: {where.status}" + (f" ({where.reason})" if where.reason else ""))
    _say(f"key: {wire.key_id(bytes(key.verify_key)).hex()}")
    _say(f"last acknowledgement: {'never' if acked is None else acked.isoformat()}")
    _say(f"spool: {len(spool.names())} reports, {spool.size_bytes()} bytes")
    _say(f"refused by the collector: {spool.rejected()}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    import socket

    from secmon_agent.collect import live_host
    from secmon_agent.doctor.main import as_json, as_text, examine, is_well

    file = getattr(options, "config", None)
    found = examine(None if file is None else Path(file), getattr(options, "state_dir", None), live_host(None))
    written = as_json if options.json else as_text
    sys.stdout.write(written(found, socket.gethostname(), options.lang))
    return 0 if is_well(found) else 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _log(line: str) -> None:
    sys.stderr.write(f"secmon-agent: {line}\n")
    sys.stderr.flush()


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "once": _once,
    "enroll": _enroll,
    "facts": _facts,
    "capture": _capture,
    "status": _status,
    "doctor": _doctor,
}
