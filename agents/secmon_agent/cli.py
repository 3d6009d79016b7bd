"""The command `secmon-agent`: the only reader of arguments, and the only place that ends the process."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace as Namespace
from typing import TYPE_CHECKING, NoReturn

from secmon_agent import __version__, clone, durable, identity, invited, keys, modesty, session, state
from secmon_agent.errors import AgentError, ConfigError
from secmon_agent.limits import MAX_INTERVAL_S, MIN_INTERVAL_S

if TYPE_CHECKING:
    import argparse

    from secmon_agent.invitation import Invitation


def main(arguments: list[str] | None = None) -> NoReturn:
    options = _parsed(sys.argv[1:] if arguments is None else arguments)
    _speak_utf8()
    if arguments is None and options.command == "once":  # the process is for this alone, and nobody waits for it
        modesty.give_way()
        modesty.keep_limits()
    try:
        sys.exit(COMMANDS[options.command](options))
    except AgentError as error:
        _log(str(error))
        sys.exit(error.exit_code)
    except modesty.OverLimitError as error:
        _log(str(error))
        sys.exit(1)
    except MemoryError:
        _log(modesty.NO_MEMORY)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _parsed(arguments: list[str]) -> Namespace:
    return _once_alone(arguments) or _service_alone(arguments) or Namespace(**vars(parser().parse_args(arguments)))


_ONCE = {"--config": "config", "--state-dir": "state_dir", "--interval": "interval", "once": "command"}


def _once_alone(arguments: list[str]) -> Namespace | None:
    """`once` as timers start it, without `argparse`, which costs a tenth of a cycle; None for everything else."""
    words = iter(arguments)
    options: dict[str, str | bool] = {}
    for word in words:
        if word == "--now" and "now" not in options:
            options["now"] = True
            continue
        name = _ONCE.get(word, "")
        value = word if name == "command" else next(words, "")
        if not name or name in options or not value or value.startswith("-"):
            return None
        options[name] = value
    return Namespace(**options) if "command" in options else None


def _service_alone(arguments: list[str]) -> Namespace | None:
    """`service run` as Windows starts it, which would keep `argparse` in memory as long as it stays."""
    options = _once_alone([*arguments[:-2], "once"]) if arguments[-2:] == ["service", "run"] else None
    if options is None or hasattr(options, "now"):
        return None
    return Namespace(**{**vars(options), "command": "service", "action": "run"})


def _speak_utf8() -> None:
    """Facts and messages may hold letters that the console's code page lacks."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]


def parser() -> argparse.ArgumentParser:
    import argparse

    from secmon_agent.arguments import Parser

    shared = Parser(add_help=False)
    shared.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="settings (TOML)")
    shared.add_argument("--state-dir", metavar="DIR", default=argparse.SUPPRESS, help="key, state and spool")
    service_actions = ("install", "remove", "start", "stop", "run")
    top = Parser(prog="secmon-agent", description="Reports posture facts of this machine.", parents=[shared])
    top.add_argument("--version", action="version", version=f"secmon-agent {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", parents=[shared], help="stay and report every interval")
    run.add_argument("--now", action="store_true", help="report at once instead of after a random pause")
    once = commands.add_parser(
        "once",
        parents=[shared],
        help="report once and end",
        description="Reports once and ends, behind whoever works on this machine: with low priority for processor and "
        "disk, and within the limits of the resident agent. On battery with little left (battery_percent) nothing is "
        "looked at, only what waits is handed over; the exit status is 0 all the same.",
    )
    once.add_argument(
        "--now",
        action="store_true",
        default=argparse.SUPPRESS,
        help="for somebody who waits for it: look at the machine whatever is left of the battery",
    )
    once.add_argument(
        "--interval",
        metavar="SECONDS",
        default=argparse.SUPPRESS,
        help="how often a timer starts this; the collector is told",
    )
    enroll = commands.add_parser("enroll", parents=[shared], help="join a collector by its enrollment string")
    source = enroll.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "string", nargs="?", metavar="STRING", help="the enrollment string; - reads it from standard input"
    )
    source.add_argument("--string-file", metavar="FILE", help="a file that holds the enrollment string")
    enroll.add_argument(
        "--later", action="store_true", help="keep the string; the agent enrolls when the collector can be reached"
    )
    enroll.add_argument("--if-present", action="store_true", help="do nothing where the --string-file does not exist")
    enroll.add_argument("--asset-number", metavar="TEXT", default="", help="of this machine in the office's ledger")
    generalize = commands.add_parser("generalize", parents=[shared], help="prepare this machine as a master image")
    generalize.add_argument(
        "--string-file", metavar="FILE", help="a file with the enrollment string by which each copy enrolls"
    )
    facts = commands.add_parser("facts", parents=[shared], help="print what would be reported, as JSON")
    facts.add_argument("--section", action="extend", nargs="+", metavar="NAME", help="only these sections")
    capture = commands.add_parser("capture", parents=[shared], help="record this machine for tests, redacted")
    capture.add_argument("target", metavar="DIR|FILE.zip", help="an empty or new folder, or a new .zip file")
    _add_language(capture)
    commands.add_parser("status", parents=[shared], help="print where this machine is enrolled and what waits")
    service = commands.add_parser("service", parents=[shared], help="run the agent as a Windows service")
    service.add_argument("action", choices=service_actions, metavar="ACTION", help=", ".join(service_actions))
    doctor = commands.add_parser("doctor", parents=[shared], help="say what works, what does not and what to do")
    doctor.add_argument("--json", action="store_true", help="the same for programs")
    _add_language(doctor)
    return top


def _add_language(command: argparse.ArgumentParser) -> None:
    command.add_argument("--lang", choices=("ja", "en"), default="ja", help="language of what it says")


def _named(options: Namespace) -> tuple[str | None, str | None]:
    """The settings file and the state folder that the arguments name."""
    return getattr(options, "config", None), getattr(options, "state_dir", None)


def _run(options: Namespace) -> int:
    from secmon_agent import supervisor

    _end_on_signals()
    _, state_dir = session.opened(*_named(options))
    if not session.has_an_aim(state_dir):
        raise clone.not_enrolled(state_dir)
    with session.alone(state_dir, session.RUNNING_FILE):
        supervisor.supervise(supervisor.turn_command(*_named(options)), _log, supervisor.sleep, at_once=options.now)
    return 0


def _end_on_signals() -> None:
    """End at once: whatever is on disk survives an end at any instant."""

    def end(number: int, _frame: object) -> NoReturn:
        sys.exit(0)

    for name in ("SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)


def _once(options: Namespace) -> int:
    from msgspec.structs import replace

    from secmon_agent import battery
    from secmon_agent.agent import open_agent

    interval_s = _interval_s(getattr(options, "interval", None))
    settings, state_dir = session.opened(*_named(options))
    with session.alone(state_dir):
        answer = session.joined(state_dir, settings)
        if answer is not None and answer.status == "pending":
            raise AgentError(session.pending_line(answer))
        agent = open_agent(state_dir, settings, keys.load(state_dir), identity.load(state_dir), interval_s)
        paused = "" if getattr(options, "now", False) else battery.waits(settings, state_dir)
        outcome = replace(agent.drain(), paused=f"{paused} (once --now does not wait)") if paused else agent.cycle()
    if outcome.trouble:
        raise AgentError(outcome.line())
    _say(outcome.line())
    return 0


def _interval_s(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isdecimal() and MIN_INTERVAL_S <= int(text[:9]) <= MAX_INTERVAL_S):
        raise ConfigError(f"--interval {text}: a number of seconds from {MIN_INTERVAL_S} to {MAX_INTERVAL_S}")
    return int(text)


def _enroll(options: Namespace) -> int:
    from secmon_agent.enroll import enroll, host_facts

    if options.if_present and not (options.string_file and Path(options.string_file).exists()):
        return 0
    laid = _invitation(_enrollment_string(options))
    settings, state_dir = session.opened(*_named(options))
    with session.alone(state_dir):
        if options.later:
            if options.asset_number:
                raise ConfigError("--asset-number is not kept for --later; say it on the collector: secmon host set")
            kept = invited.keep(state_dir, laid)
            _say("the enrollment string waits until the agent runs" if kept else "enrolled already")
            return 0
        answer = enroll(state_dir, settings, laid, host_facts(state_dir), options.asset_number.strip())
    _say(f"enrolled at {answer.address}" if answer.status == "enrolled" else session.pending_line(answer))
    return 0


def _enrollment_string(options: Namespace) -> str:
    if options.string_file is not None:
        return _content(options.string_file)
    return sys.stdin.readline() if options.string == "-" else options.string


def _content(string_file: str) -> str:
    content = durable.read(Path(string_file))
    if content is None:
        raise AgentError(f"there is no file {string_file}")
    return content.decode("utf-8-sig", "replace")


def _invitation(text: str) -> Invitation:
    from secmon_agent import invitation

    try:
        return invitation.parse(text)
    except ValueError as error:
        raise AgentError(str(error)) from None


def _generalize(options: Namespace) -> int:
    from secmon_agent.generalize import generalize

    laid = None if options.string_file is None else _invitation(_content(options.string_file))
    _, state_dir = session.opened(*_named(options))
    with session.alone(state_dir, session.RUNNING_FILE), session.alone(state_dir):
        waits = generalize(state_dir, laid)
    _say("nothing of this machine is left in the agent; shut it down now and take the image")
    _say(
        "each machine that starts from it enrolls by the string that waits there"
        if waits
        else "no enrollment string waits there: on each copy, run: secmon-agent enroll --later --string-file FILE"
    )
    return 0


def _facts(options: Namespace) -> int:
    from secmon_agent.collect import collect, live_host
    from secmon_agent.facts_document import facts_document
    from secmon_agent.probes import probes_for

    _, state_dir = session.opened(*_named(options))
    session.as_owner(state_dir)
    host = live_host(state_dir if os.access(state_dir, os.W_OK) else None)
    known = probes_for(host.family)
    for name in options.section or ():
        if name not in known:
            raise ConfigError(f"there is no section {name!r} here; known are {', '.join(known)}")
    sys.stdout.write(facts_document(collect(host, options.section), host).decode().rstrip("\n") + "\n")
    return 0


def _capture(options: Namespace) -> int:
    from secmon_agent.capture.main import capture, own_names
    from secmon_agent.collect import live_host

    return 0 if capture(Path(options.target), live_host(None), own_names(), options.lang, _say) else 1


def _status(options: Namespace) -> int:
    from secmon_agent import wire
    from secmon_agent.spool import Spool

    settings, state_dir = session.opened(*_named(options))
    key, where, known = keys.present(state_dir), identity.load(state_dir), state.peek(state_dir)
    if where is None and invited.waits(state_dir):
        _say("enrollment: its string waits until the collector can be reached")
        return 0
    if key is None or where is None:
        raise clone.not_enrolled(state_dir)
    spool = Spool(state_dir, bytes(key.verify_key), max_bytes=settings.spool_max_bytes, max_age_s=0)
    acked = None if known is None else known.last_ack_at
    _say(f"collector: {where.address}")
    _say(f"enrollment: {where.status}" + (f" ({where.reason})" if where.reason else ""))
    since = where.key_since or where.enrolled_at
    _say(f"key: {wire.key_id(bytes(key.verify_key)).hex()}" + (f" (since {since:%Y-%m-%d})" if since else ""))
    _say(f"last acknowledgement: {'never' if acked is None else acked.isoformat()}")
    _say(f"spool: {len(spool.names())} reports, {spool.size_bytes()} bytes")
    _say(f"refused by the collector: {spool.rejected()}")
    return 0


def _service(options: Namespace) -> int:
    from secmon_agent import service

    service.act(options.action, *_named(options))
    return 0


def _doctor(options: Namespace) -> int:
    import socket

    from secmon_agent.collect import live_host
    from secmon_agent.doctor.main import as_json, as_text, examine, is_well

    file, state_dir = _named(options)
    found = examine(None if file is None else Path(file), state_dir, live_host(None))
    written = as_json if options.json else as_text
    sys.stdout.write(written(found, socket.gethostname(), options.lang))
    return 0 if is_well(found) else 1


def _say(line: str) -> None:
    if sys.stdout is not None:  # as under pythonw.exe
        sys.stdout.write(line + "\n")


def _log(line: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"secmon-agent: {line}\n")
        sys.stderr.flush()
    elif sys.platform == "win32":
        from secmon_agent import eventlog_windows, journal

        eventlog_windows.write(journal.TROUBLE, line)


COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "run": _run,
    "once": _once,
    "enroll": _enroll,
    "generalize": _generalize,
    "facts": _facts,
    "capture": _capture,
    "status": _status,
    "service": _service,
    "doctor": _doctor,
}
