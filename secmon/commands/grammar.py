"""Arguments of the commands about guidelines and findings: what covers them, what is excepted, who looks after what."""

from __future__ import annotations

import argparse
from typing import TypeAlias

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_exceptions(commands_: _Commands, shared: argparse.ArgumentParser) -> None:
    exception = commands_.add_parser("exception", help="risks that somebody accepted, until when (例外措置)")
    actions = exception.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", parents=[shared, _scope()], help="enter an approved exception")
    add.add_argument("--reason", required=True, metavar="TEXT", help="why it cannot be put right")
    add.add_argument("--measure", metavar="TEXT", help="what is done instead (代替策)")
    add.add_argument("--approver", required=True, metavar="POST", help="who approved it: a post, no person")
    add.add_argument("--start", metavar="YYYY-MM-DD", help="first day (default: today)")
    add.add_argument("--until", metavar="YYYY-MM-DD", help="last day (default: 31 March, the fiscal year's last)")
    add.add_argument("--json", action="store_true", help="for programs")
    add.set_defaults(handler="exceptions.exception_add")
    _looking(actions, shared, "exception")


def add_disputes(commands_: _Commands, shared: argparse.ArgumentParser) -> None:
    dispute = commands_.add_parser("dispute", help="answers that are held to be wrong (誤検知)")
    actions = dispute.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", parents=[shared, _scope()], help="dispute an answer; it counts as unknown")
    add.add_argument("--reason", required=True, metavar="TEXT", help="why it is wrong")
    add.add_argument("--review", metavar="YYYY-MM-DD", help="last day before it counts again (default: in 90 days)")
    add.add_argument("--json", action="store_true", help="for programs")
    add.set_defaults(handler="exceptions.dispute_add")
    _looking(actions, shared, "dispute")
    export = actions.add_parser("export", parents=[shared], help="the facts behind it for the maintainers, redacted")
    export.add_argument("number", metavar="NUMBER")
    export.add_argument("--out", metavar="FILE", help="default: the terminal")
    export.set_defaults(handler="disputes.dispute_export", kind="dispute")


def _looking(actions: _Commands, shared: argparse.ArgumentParser, kind: str) -> None:
    all_ = actions.add_parser("list", parents=[shared], help="those in force and those to come")
    all_.add_argument("--all", action="store_true", help="those that are over, too")
    all_.add_argument("--json", action="store_true", help="for programs")
    all_.set_defaults(handler=f"exceptions.{kind}_list")
    show = actions.add_parser("show", parents=[shared], help="one of them, and what it covers now")
    show.add_argument("number", metavar="NUMBER")
    show.add_argument("--json", action="store_true", help="for programs")
    show.set_defaults(handler="exceptions.exception_show", kind=kind)
    end = actions.add_parser("end", parents=[shared], help="take it back; what it covered is open again")
    end.add_argument("number", metavar="NUMBER")
    end.add_argument("--reason", required=True, metavar="TEXT")
    end.set_defaults(handler="exceptions.exception_end", kind=kind)


def _scope() -> argparse.ArgumentParser:
    scope = argparse.ArgumentParser(add_help=False)
    scope.add_argument("--check", required=True, metavar="ID", help="the check, e.g. ports.exposed-high-risk")
    scope.add_argument("--item", metavar="KEY", help="only this port, package, account or asset number (default: all)")
    scope.add_argument("--host", metavar="NAME", help="only this machine")
    scope.add_argument("--zone", metavar="ID", help="machines of this zone")
    scope.add_argument("--department", metavar="NAME", help="machines of this department")
    scope.add_argument("--role", metavar="ROLE", help="machines of this role")
    scope.add_argument("--all-machines", action="store_true", help="every machine")
    return scope


def add_frameworks(commands_: _Commands, shared: argparse.ArgumentParser) -> None:
    framework = commands_.add_parser("framework", help="guidelines that the checks serve")
    actions = framework.add_subparsers(required=True, metavar="ACTION")
    show = actions.add_parser(
        "show", parents=[shared], help="what checks and people cover of them, and what nothing does"
    )
    show.add_argument("id", nargs="?", metavar="ID", help="control by control; default: the totals of each framework")
    show.add_argument("--json", action="store_true", help="for programs")
    show.set_defaults(handler="framework.framework_show")
    threats = actions.add_parser("threats", parents=[shared], help="what bears on the threats of IPA's yearly list")
    threats.add_argument("id", nargs="?", metavar="RANK", help="check by check; default: a line for each threat")
    threats.add_argument("--json", action="store_true", help="for programs")
    threats.set_defaults(handler="framework.framework_threats")


def add_attestations(commands_: _Commands, shared: argparse.ArgumentParser) -> None:
    attest = commands_.add_parser("attest", help="what no machine can answer: who confirmed it, until when (自己点検)")
    actions = attest.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", parents=[shared], help="enter an answer; it replaces the one before")
    add.add_argument("question", metavar="QUESTION", help="as `secmon attest list` prints it, e.g. training")
    add.add_argument("--answer", required=True, choices=("yes", "partly", "no"))
    add.add_argument("--post", required=True, metavar="POST", help="post of whoever attests, e.g. 総務課長")
    add.add_argument("--name", required=True, metavar="NAME", help="and the name, as the office writes it")
    add.add_argument("--evidence", metavar="TEXT", help="where the proof is: file number, list, minutes")
    add.add_argument("--on", metavar="YYYY-MM-DD", help="day on which it was attested (default: today)")
    add.add_argument("--until", metavar="YYYY-MM-DD", help="last day on which it holds (default: the fiscal year's)")
    add.add_argument("--json", action="store_true", help="for programs")
    add.set_defaults(handler="attest.attest_add")
    all_ = actions.add_parser("list", parents=[shared], help="every question, how it was answered and what is due")
    all_.add_argument("--due", action="store_true", help="only what is missing, overdue or due within 30 days")
    all_.add_argument("--all", action="store_true", help="every record, those replaced and withdrawn, too")
    all_.add_argument("--json", action="store_true", help="for programs")
    all_.set_defaults(handler="attest.attest_list")
    show = actions.add_parser("show", parents=[shared], help="one question in full, what rests on it, its answers")
    show.add_argument("question", metavar="QUESTION")
    show.add_argument("--json", action="store_true", help="for programs")
    show.set_defaults(handler="attest.attest_show")
    withdraw = actions.add_parser("withdraw", parents=[shared], help="take an answer back; the one before counts again")
    withdraw.add_argument("number", metavar="NUMBER")
    withdraw.add_argument("--reason", required=True, metavar="TEXT")
    withdraw.set_defaults(handler="attest.attest_withdraw")


def add_findings(commands_: _Commands, shared: argparse.ArgumentParser) -> None:
    finding = commands_.add_parser("finding", help="open problems: take note, say who looks after them until when")
    actions = finding.add_subparsers(required=True, metavar="ACTION")
    all_ = actions.add_parser("list", parents=[shared, _findings()], help="those that are not put right")
    all_.add_argument("--state", choices=("open", "acknowledged", "excepted", "disputed"))
    all_.add_argument("--owned-by", metavar="POST")
    all_.add_argument("--overdue", action="store_true", help="only what should be done already")
    all_.add_argument("--json", action="store_true", help="for programs")
    all_.set_defaults(handler="findings.finding_list")
    acknowledge = actions.add_parser("acknowledge", parents=[shared, _findings()], help="say that it is known")
    assign = actions.add_parser("assign", parents=[shared, _findings()], help="say who looks after it")
    assign.add_argument("--owner", required=True, metavar="POST", help="a post, no person; empty text takes it away")
    due = actions.add_parser("due", parents=[shared, _findings()], help="say until when it shall be put right")
    due.add_argument("--date", required=True, metavar="YYYY-MM-DD")
    for name, action in (("acknowledge", acknowledge), ("assign", assign), ("due", due)):
        action.add_argument("ids", nargs="*", metavar="ID", help="as `secmon finding list` prints it")
        action.set_defaults(handler=f"findings.finding_{name}")


def _findings() -> argparse.ArgumentParser:
    choice = argparse.ArgumentParser(add_help=False)
    choice.add_argument("--host", metavar="NAME", help="of this machine")
    choice.add_argument("--zone", metavar="ID", help="of machines of this zone")
    choice.add_argument("--department", metavar="NAME", help="of machines of this department")
    choice.add_argument("--check", metavar="ID", help="of this check")
    choice.add_argument("--item", metavar="KEY", help="of this port, package, account or asset number")
    choice.add_argument("--severity", choices=("high", "medium", "low"))
    return choice


def add_baseline(commands_: _Commands, shared: argparse.ArgumentParser) -> None:
    baseline = commands_.add_parser("baseline", help="begin: take the present state as known")
    actions = baseline.add_subparsers(required=True, metavar="ACTION")
    accept = actions.add_parser(
        "accept", parents=[shared], help="findings stay open, due dates are spread, only what is new notifies"
    )
    where = accept.add_mutually_exclusive_group()
    where.add_argument("--host", metavar="NAME", help="only this machine")
    where.add_argument("--zone", metavar="ID", help="only machines of this zone")
    accept.add_argument("--dry-run", action="store_true", help="say what it would do, and do nothing")
    accept.add_argument("--json", action="store_true", help="for programs")
    accept.set_defaults(handler="baseline.baseline_accept")
