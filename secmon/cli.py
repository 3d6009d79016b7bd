"""The command `secmon`: the only reader of arguments, and the only place that ends the process."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TypeAlias

import msgspec

from secmon import __version__, config
from secmon.commands import grammar
from secmon.config import Config
from secmon.errors import Failure, UsageError
from secmon.evaluate.model import SEVERITIES

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Handler = Callable[[argparse.Namespace, Config], int]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    options = parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.WARNING if options.command == "up" else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        settings = _settings(options)
        sys.exit(_handler(options.handler)(options, settings))
    except UsageError as error:
        _end(str(error), 2)
    except Failure as error:
        _end(str(error), 1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        logging.getLogger(__name__).debug("not foreseen", exc_info=True)
        _end(f"{type(error).__name__}: {_first_line(error)} (--verbose before the command says where)", 1)


def _handler(name: str) -> Handler:
    """`module.function` below `secmon.commands`; imported now, so that each command loads only what it needs."""
    module, _, function = name.partition(".")
    found: Handler = getattr(importlib.import_module(f"secmon.commands.{module}"), function)
    return found


def _first_line(error: Exception) -> str:
    """Of a database's error its own words, without the statement."""
    return (str(getattr(error, "orig", None) or error).splitlines() or [""])[0]


def _end(message: str, status: int) -> NoReturn:
    sys.stderr.write(f"secmon: {' '.join(message.split())}\n")
    sys.exit(status)


def _settings(options: argparse.Namespace) -> Config:
    """The configuration file with what the arguments change."""
    file = getattr(options, "config", None)
    settings = config.load(Path(file)) if file else config.check(Config(), Path())
    replace = msgspec.structs.replace
    if (folder := getattr(options, "data_dir", None)) is not None:
        settings = replace(settings, data_dir=folder)
    for listener in ("ingest", "console"):
        address = getattr(options, listener, None)
        if address is not None:
            config.parse_address(address, f"--{listener}")
            settings = replace(settings, **{listener: replace(getattr(settings, listener), address=address)})
    if (language := getattr(options, "lang", None)) is not None:
        settings = replace(settings, office=replace(settings.office, language=language))
    return settings


# ── arguments ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="secmon", description="Security posture monitor for small offices.")
    top.add_argument("--version", action="version", version=f"secmon {__version__}")
    top.add_argument("--verbose", action="store_true", help="log everything")
    commands_ = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    shared = _shared()
    _add_running(commands_, shared)
    _add_judging(commands_, shared)
    _add_people(commands_, shared)
    _add_machines(commands_, shared)
    _add_hosts(commands_, shared)
    _add_agents(commands_, shared)
    _add_ca(commands_, shared)
    grammar.add_exceptions(commands_, shared)
    grammar.add_disputes(commands_, shared)
    grammar.add_attestations(commands_, shared)
    grammar.add_findings(commands_, shared)
    grammar.add_baseline(commands_, shared)
    _add_ledger(commands_, shared)
    _add_results(commands_, shared)
    _add_patches(commands_, shared)
    return top


def _shared() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--config", metavar="FILE", help="settings (TOML)")
    shared.add_argument("--data-dir", metavar="DIR", help="database, keys, mails (default: data)")
    shared.add_argument("--lang", choices=("ja", "en"), help="language of what people read (default: ja)")
    return shared


def _add_running(commands_: _Commands, shared: argparse.ArgumentParser) -> None:
    listening = argparse.ArgumentParser(add_help=False)
    listening.add_argument("--ingest", metavar="ADDRESS:PORT", help="where agents report (default: 127.0.0.1:8443)")
    listening.add_argument("--console", metavar="ADDRESS:PORT", help="pages and /metrics (default: 127.0.0.1:8080)")
    up = commands_.add_parser("up", parents=[shared, listening], help="collector and an agent for this machine")
    up.add_argument("--once", action="store_true", help="end when the table is printed")
    up.set_defaults(handler="running.up")
    serve = commands_.add_parser("serve", parents=[shared, listening], help="the collector of an installation")
    serve.set_defaults(handler="running.serve")
    settings = commands_.add_parser("config", help="settings").add_subparsers(required=True, metavar="ACTION")
    check = settings.add_parser("check", parents=[shared], help="read the settings and say what is wrong")
    check.set_defaults(handler="running.config_check")


def _add_judging(commands_: _Commands, shared: argparse.ArgumentParser) -> None:
    inspect = commands_.add_parser("inspect", parents=[shared], help="judge this machine, or a facts file, once")
    inspect.add_argument("facts", nargs="?", metavar="FACTS.json", help="what `secmon-agent facts` printed elsewhere")
    inspect.add_argument("--json", action="store_true", help="for programs")
    inspect.set_defaults(handler="judging.inspect")
    rules = commands_.add_parser("rules", help="rules").add_subparsers(required=True, metavar="ACTION")
    check = rules.add_parser("check", parents=[shared], help="validate a rules folder")
    check.add_argument("folder", nargs="?", metavar="DIR", help="also the office's own (default: the rules in force)")
    check.set_defaults(handler="judging.rules_check")
    _add_whatif(rules, shared)
    grammar.add_frameworks(commands_, shared)


def _add_whatif(rules: _Commands, shared: argparse.ArgumentParser) -> None:
    for_programs = argparse.ArgumentParser(add_help=False)
    for_programs.add_argument("--json", action="store_true", help="for programs")
    both = [shared, for_programs]
    diff = rules.add_parser("diff", parents=both, help="machines that would answer otherwise by other rules")
    diff.add_argument("old", metavar="OLD", help="a rules folder")
    diff.add_argument("new", metavar="NEW", help="a rules folder")
    diff.set_defaults(handler="whatif.rules_diff")
    trial = rules.add_parser("try", parents=both, help="the same for a check file, beside the rules in force")
    trial.add_argument(
        "file", metavar="FILE", help="a check file, a folder of them, or a rules folder, also the office's own"
    )
    trial.set_defaults(handler="whatif.rules_try")
    explain = rules.add_parser("explain", parents=both, help="why a check answers as it does for a machine")
    explain.add_argument("check", metavar="CHECK")
    explain.add_argument("--host", required=True, metavar="HOST")
    explain.set_defaults(handler="whatif.rules_explain")
    changes = rules.add_parser("changes", parents=both, help="what the rules have otherwise than those before them")
    changes.add_argument("--since", metavar="VERSION", help="otherwise than these; see `secmon rules history`")
    changes.set_defaults(handler="rules.rules_changes")
    history = rules.add_parser("history", parents=both, help="which rules were in force since when")
    history.set_defaults(handler="rules.rules_history")
    sca = rules.add_parser("import-sca", parents=[shared], help="check files from a policy of Wazuh's SCA")
    sca.add_argument("file", metavar="POLICY.yml")
    sca.add_argument("--out", required=True, metavar="DIR", help="where the check files go")
    sca.add_argument("--severity", choices=SEVERITIES, default="medium", help="of all of them (default: medium)")
    sca.set_defaults(handler="sca.rules_import_sca")


def _add_people(commands_: _Commands, shared: argparse.ArgumentParser) -> None:
    report = commands_.add_parser("report", help="reports").add_subparsers(required=True, metavar="KIND")
    monthly = report.add_parser("monthly", parents=[shared], help="the monthly compliance report")
    monthly.add_argument("--month", required=True, metavar="YYYY-MM")
    monthly.add_argument("--out", required=True, metavar="DIR")
    monthly.set_defaults(handler="people.report_monthly")
    sign_in = commands_.add_parser("sign-in", parents=[shared], help="a one-time link to the console")
    sign_in.set_defaults(handler="people.sign_in")
    mail = commands_.add_parser("mail", help="mail").add_subparsers(required=True, metavar="ACTION")
    test = mail.add_parser("test", parents=[shared], help="send a test mail to every recipient")
    test.set_defaults(handler="people.mail_test")


def _add_machines(commands_: _Commands, shared: argparse.ArgumentParser) -> None:
    enroll = commands_.add_parser("enroll", parents=[shared], help="print an enrollment string for new machines")
    enroll.add_argument("--zone", metavar="ID", help="zone of the new machines")
    enroll.add_argument("--role", metavar="ROLE", help="e.g. office-pc, windows-server, linux-server")
    many = enroll.add_mutually_exclusive_group()
    many.add_argument("--uses", type=_positive, default=1, metavar="N", help="how many machines (default: 1)")
    many.add_argument("--pool", action="store_true", help="machines that forget themselves at every start")
    enroll.add_argument("--days", type=_positive, metavar="N", help="valid for (default: 7; with --pool: 365)")
    enroll.add_argument("--network", action="append", default=[], metavar="CIDR", help="only from here; repeatable")
    enroll.add_argument("--ingest", metavar="ADDRESS:PORT", help="where agents report (default: 127.0.0.1:8443)")
    enroll.set_defaults(handler="machines.enroll")
    enrollment = commands_.add_parser("enrollment", help="machines that wait").add_subparsers(
        required=True, metavar="ACTION"
    )
    waiting = enrollment.add_parser("list", parents=[shared], help="who waits, and why")
    waiting.set_defaults(handler="machines.enrollment_list")
    approve = enrollment.add_parser("approve", parents=[shared], help="let a machine in")
    approve.add_argument("id")
    approve.add_argument("--as-new", action="store_true", help="as a host of its own, not the one it collides with")
    approve.set_defaults(handler="machines.enrollment_approve")
    refuse = enrollment.add_parser("refuse", parents=[shared], help="turn a machine away")
    refuse.add_argument("id")
    refuse.add_argument("--reason", default="refused by the administrator")
    refuse.set_defaults(handler="machines.enrollment_refuse")


def _add_hosts(commands_: _Commands, shared: argparse.ArgumentParser) -> None:
    host = commands_.add_parser("host", help="machines").add_subparsers(required=True, metavar="ACTION")
    all_ = host.add_parser("list", parents=[shared], help="all machines: zone, department, profile, state, last report")
    all_.add_argument("--retired", action="store_true", help="those that are retired, instead")
    all_.set_defaults(handler="hosts.host_list")
    show = host.add_parser("show", parents=[shared], help="one machine: its profile, what it is not asked, its limits")
    show.add_argument("host")
    show.add_argument("--json", action="store_true", help="for programs")
    show.set_defaults(handler="hosts.host_show")
    change = host.add_parser("set", parents=[shared], help="say what a machine is")
    change.add_argument("host")
    for name in ("zone", "department", "department-code", "role", "location", "contact", "owner", "asset-number"):
        change.add_argument(f"--{name}", metavar="TEXT", help="empty text takes it away" if name == "zone" else None)
    change.set_defaults(handler="hosts.host_set")
    rename = host.add_parser("rename", parents=[shared], help="give a machine another name")
    rename.add_argument("host")
    rename.add_argument("name")
    rename.set_defaults(handler="hosts.host_rename")
    replace = host.add_parser(
        "replace", parents=[shared], help="a new machine takes an old one's place; retire the old"
    )
    replace.add_argument("old")
    replace.add_argument("new")
    replace.set_defaults(handler="hosts.host_replace")
    merge = host.add_parser("merge", parents=[shared], help="two records are one machine; HOST goes on, DOUBLE ends")
    merge.add_argument("host")
    merge.add_argument("double")
    merge.set_defaults(handler="hosts.host_merge")
    store = host.add_parser("store", parents=[shared], help="in storage: not silent, and in no share")
    store.add_argument("host")
    store.add_argument("--back", action="store_true", help="in use again")
    store.set_defaults(handler="hosts.host_store")
    retire = host.add_parser("retire", parents=[shared], help="gone for good: its findings end, its history stays")
    retire.add_argument("host")
    retire.add_argument("--reason", default="retired by the administrator")
    retire.set_defaults(handler="hosts.host_retire")


def _add_agents(commands_: _Commands, shared: argparse.ArgumentParser) -> None:
    agent = commands_.add_parser("agent", help="agents").add_subparsers(required=True, metavar="ACTION")
    revoke = agent.add_parser("revoke", parents=[shared], help="refuse a machine's reports from now on")
    revoke.add_argument("host")
    revoke.add_argument("--reason", default="revoked by the administrator")
    revoke.set_defaults(handler="machines.agent_revoke")
    rotate = agent.add_parser("rotate", parents=[shared], help="have a machine's agent change its key")
    rotate.add_argument("agent", metavar="KEY_OR_HOST", help="a machine, or a key as `secmon-agent status` prints it")
    rotate.set_defaults(handler="machines.agent_rotate")


def _add_ca(commands_: _Commands, shared: argparse.ArgumentParser) -> None:
    ca = commands_.add_parser("ca", help="the CA that agents trust").add_subparsers(required=True, metavar="ACTION")
    show = ca.add_parser("show", parents=[shared], help="the CA, its successor, and which machines lack that")
    show.set_defaults(handler="ca.ca_show")
    renew = ca.add_parser("renew", parents=[shared], help="make a successor and tell every machine")
    renew.set_defaults(handler="ca.ca_renew")
    switch = ca.add_parser("switch", parents=[shared], help="put the successor in its place")
    switch.add_argument("--anyway", action="store_true", help="machines that lack it have to enroll again")
    switch.set_defaults(handler="ca.ca_switch")


def _add_ledger(commands_: _Commands, shared: argparse.ArgumentParser) -> None:
    ledger = commands_.add_parser("ledger", help="the asset ledger").add_subparsers(required=True, metavar="ACTION")
    import_ = ledger.add_parser("import", parents=[shared], help="take in the ledger: CSV or XLSX")
    import_.add_argument("file", metavar="FILE")
    import_.add_argument("--map", metavar="FILE", help="what the columns and zones are called (TOML)")
    import_.add_argument("--effective", metavar="DATE", help="attributes hold from this day on (default: today)")
    import_.add_argument("--complete", action="store_true", help="it is the whole ledger: rows it lacks are taken off")
    import_.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    import_.set_defaults(handler="ledger.ledger_import")
    planned = ledger.add_parser("planned", parents=[shared], help="what will hold from a day to come")
    planned.add_argument("--cancel", metavar="DATE", help="forget what is planned for this day")
    planned.set_defaults(handler="ledger.ledger_planned")
    compare = ledger.add_parser("compare", parents=[shared], help="rows without a machine, machines without a row")
    compare.set_defaults(handler="ledger.ledger_compare")


def _add_results(commands_: _Commands, shared: argparse.ArgumentParser) -> None:
    results = commands_.add_parser("results", help="results to and from elsewhere").add_subparsers(
        required=True, metavar="ACTION"
    )
    export = results.add_parser("export", parents=[shared], help="every machine's answers as a file")
    export.add_argument("--format", required=True, choices=("json", "csv", "oscal"), help="oscal: assessment results")
    export.add_argument("--out", required=True, metavar="FILE")
    export.set_defaults(handler="results.results_export")
    import_ = results.add_parser("import", parents=[shared], help="results of OpenSCAP (XCCDF or ARF) for one machine")
    import_.add_argument("file", metavar="FILE")
    import_.add_argument("--scanner", default="openscap", metavar="NAME", help="whose they are (default: openscap)")
    import_.add_argument("--host", metavar="HOST", help="default: the machine that the file names")
    import_.set_defaults(handler="results.results_import")


def _add_patches(commands_: _Commands, shared: argparse.ArgumentParser) -> None:
    patches = commands_.add_parser("patches", help="updates").add_subparsers(required=True, metavar="ACTION")
    compare = patches.add_parser("compare", parents=[shared], help="our count beside a WSUS's, and why they differ")
    compare.add_argument("--wsus", required=True, metavar="FILE", help="CSV made as docs/wsus-compare.ja.md says")
    compare.add_argument("--json", action="store_true", help="for programs")
    compare.set_defaults(handler="patches.patches_compare")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return int(text)


if __name__ == "__main__":
    main()
