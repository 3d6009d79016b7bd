"""`secmon up`: a collector with embedded defaults and an agent for this very machine, enrolled like any other."""

from __future__ import annotations

import hashlib
import signal
import socket
import sys
import threading
import time
from datetime import datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from rich.cells import cell_len
from rich.console import Console as Terminal

from secmon import inspect as inspection
from secmon import local_agent
from secmon.app import Collector, Started
from secmon.certificates import write_private
from secmon.config import Config
from secmon.console.sign_in import new_link
from secmon.errors import Failure
from secmon.evaluate.model import Language, Verdict
from secmon.ingest.enrollment import new_token
from secmon.store import results
from secmon.store.schema import agent_keys, contacts, enrollments, host_agents, hosts
from secmon.store.schema import results as results_table
from secmon_agent import identity as agent_identity
from secmon_agent import keys, wire
from secmon_agent.invitation import Invitation

FIRST_REPORT_S = 120.0
"""How long the first report of this machine may take before `up` says so and goes on without the table."""


def up(config: Config, language: Language, *, once: bool = False) -> int:
    """Run until Ctrl-C (or, with `once`, until the table is printed)."""
    terminal = Terminal(highlight=False)
    notes = Terminal(stderr=True, highlight=False)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    collector = Collector(config, say=notes.print)
    agent: BaseProcess | None = None
    try:
        started = collector.start()
        with notes.status(_words(language)["looking"]):
            since = collector.clock()
            agent = _start_agent(collector, started)
            host_id = _wait_for_results(collector, agent, since, stop)
        if host_id is not None:
            _show(collector, host_id, terminal, language)
        elif (waits := _waiting(collector)) is not None:
            command = f"{_command()} enrollment approve {str(waits)[:8]} --data-dir {config.folder}"
            notes.print(_words(language)["waits"].format(command=command), soft_wrap=True, markup=False)
        elif not stop.is_set():
            notes.print(_words(language)["nothing"].format(log=_log(collector)), soft_wrap=True)
        if not stop.is_set():
            _where_to_look(collector, started, terminal, language)
        deaths = 0
        while not once and not stop.wait(min(60.0, 2.0**deaths)):
            if not agent.is_alive():
                deaths += 1
                notes.print(_words(language)["agent_gone"].format(log=_log(collector)), soft_wrap=True)
                agent = _start_agent(collector, started)
    finally:
        if agent is not None:
            local_agent.end(agent)
        collector.stop()
    notes.print(_words(language)["stopped"].format(folder=config.folder), soft_wrap=True)
    return 0


# ── this machine's agent ──────────────────────────────────────────────────────────────────────────────────────────────


def _start_agent(collector: Collector, started: Started) -> BaseProcess:
    """A real agent in a process of its own; enrolled with a token that admits one host for a few minutes."""
    state_dir = collector.config.folder / "agent"
    where = agent_identity.load(state_dir)
    if where is None:
        _enroll(collector, started, state_dir)
    elif (where.host, where.port) != _reached_at(started):  # started with another --ingest than before
        host, port = _reached_at(started)
        agent_identity.save(state_dir, msgspec.structs.replace(where, host=host, port=port))
    return local_agent.spawn("run", "--now", state_dir=state_dir, log=_log(collector))


def _reached_at(started: Started) -> tuple[str, int]:
    """Where this machine reaches its own collector."""
    host, port = started.ingest
    return ("127.0.0.1" if host in ("0.0.0.0", "::") else host, port)  # noqa: S104 — compared, not bound


def _enroll(collector: Collector, started: Started, state_dir: Path) -> None:
    host, port = _reached_at(started)
    with collector.database.write() as connection:
        token = new_token(connection, now=collector.clock(), actor="collector", uses=1, valid_for=timedelta(minutes=10))
    invitation = Invitation(
        host=host,
        port=port,
        ca_sha256=hashlib.sha256(collector.certificates.ca_der).digest(),
        token=token,
    )
    file = collector.config.folder / "enrollment-string"
    write_private(file, f"{invitation}\n".encode())
    try:
        log = _log(collector)
        process = local_agent.spawn("enroll", "--string-file", str(file), state_dir=state_dir, log=log)
        process.join(timeout=60)
        if process.exitcode != 0:
            said = log.read_text(encoding="utf-8").splitlines()[-1:]
            raise Failure(f"the agent of this machine could not enroll: {' '.join(said) or f'see {log}'}")
    finally:
        file.unlink(missing_ok=True)


def _log(collector: Collector) -> Path:
    return collector.config.folder / "agent.log"


def _own_host(collector: Collector) -> UUID | None:
    where = agent_identity.load(collector.config.folder / "agent")
    if where is None:
        return None
    key = keys.present(collector.config.folder / "agent")
    if key is None:
        return None
    with collector.database.read() as connection:
        found: UUID | None = connection.execute(
            sa.select(host_agents.c.host_id)
            .join(agent_keys, agent_keys.c.agent_id == host_agents.c.agent_id)
            .where(agent_keys.c.key_id == wire.key_id(bytes(key.verify_key)), host_agents.c.valid_to.is_(None))
        ).scalar()
    return found


def _waiting(collector: Collector) -> UUID | None:
    """The request of this machine that waits: its folder was lost, and the collector knows a machine like it."""
    key = keys.present(collector.config.folder / "agent")
    if key is None:
        return None
    own = (enrollments.c.key_id == wire.key_id(bytes(key.verify_key)), enrollments.c.status == "pending")
    with collector.database.read() as connection:
        found: UUID | None = connection.execute(sa.select(enrollments.c.enrollment_id).where(*own)).scalar()
    return found


def _wait_for_results(collector: Collector, agent: BaseProcess, since: datetime, stop: threading.Event) -> UUID | None:
    """The host of this machine once it has reported since `since` and been judged; None when that takes too long, or
    when somebody must let it in first."""
    end = time.monotonic() + FIRST_REPORT_S
    while time.monotonic() < end and agent.is_alive() and not stop.wait(0.1):
        host_id = _own_host(collector)
        if host_id is None:
            if _waiting(collector) is not None:
                return None
            continue
        with collector.database.read() as connection:
            row = connection.execute(
                sa.select(hosts.c.judged_ruleset, contacts.c.received_at)
                .join(contacts, contacts.c.host_id == hosts.c.host_id)
                .where(hosts.c.host_id == host_id)
            ).first()
        if row is not None and row.judged_ruleset is not None and row.received_at >= since:
            return host_id
    return None


# ── what the person sees ──────────────────────────────────────────────────────────────────────────────────────────────


def _show(collector: Collector, host_id: UUID, terminal: Terminal, language: Language) -> None:
    with collector.database.read() as connection:
        rows = connection.execute(
            sa.select(results_table).where(results_table.c.host_id == host_id, results_table.c.observed_to.is_(None))
        ).all()
    verdicts = [
        Verdict(
            check=row.check_id,
            status=row.status,
            reason=row.reason,
            evidence=row.evidence,
            items=results.items_of(row),
        )
        for row in rows
    ]
    inspection.table(
        verdicts, collector.rulebook.current, language=language, hostname=socket.gethostname(), console=terminal
    )


def _where_to_look(collector: Collector, started: Started, terminal: Terminal, language: Language) -> None:
    words = _words(language)
    link = new_link(collector.database, collector.clock(), started.console_url)
    folder = collector.config.folder
    lines: list[tuple[str, str]] = [
        (words["page"], link),
        (words["metrics"], f"{started.console_url}/metrics"),
        (words["data"], str(folder.resolve())),
        (words["mail"], collector.config.mail.host or str((folder / "mail").resolve())),
        (
            words["enroll"],
            f"{_command()} enroll --data-dir {folder}",
        ),
    ]
    terminal.print()
    width = max(_columns(label) for label, _ in lines)
    for label, value in lines:
        terminal.print(f"  {label}{' ' * (width - _columns(label))}  {value}", soft_wrap=True, markup=False)
    terminal.print()
    terminal.print(words["end"])


def _command() -> str:
    """As it was called, so that what is printed can be pasted."""
    return sys.argv[0] if Path(sys.argv[0]).name == "secmon" else "secmon"


def _columns(text: str) -> int:
    return cell_len(text)


def _words(language: Language) -> dict[str, Any]:
    return _JA if language == "ja" else _EN


_JA = {
    "looking": "この端末を調べています…",
    "agent_gone": "この端末のエージェントが終了したため、起動し直します（記録：{log}）。",
    "nothing": "この端末の報告がまだ届いていません。理由は {log} をご確認ください。",
    "waits": "この端末は別の鍵で登録済みのため、承認を待っています。承認するには：{command}",
    "stopped": "終了しました。データは {folder} に残っています。もう一度起動すると続きから始まります。",
    "page": "画面（15分以内に1回だけ開けます）",
    "metrics": "Prometheus 用の数値",
    "data": "データの保存先",
    "mail": "メールの送信先",
    "enroll": "ほかの端末を登録するには",
    "end": "Ctrl-C で終了します。",
}
_EN = {
    "looking": "Looking at this machine …",
    "agent_gone": "The agent of this machine ended; starting it again (see {log}).",
    "nothing": "Nothing has come from this machine yet; {log} says why.",
    "waits": "This machine is known by another key already and waits to be let in: {command}",
    "stopped": "Stopped. The data stays in {folder}; starting again continues with it.",
    "page": "Page (opens once, within 15 minutes)",
    "metrics": "Numbers for Prometheus",
    "data": "Data folder",
    "mail": "Mail goes to",
    "enroll": "To enroll another machine",
    "end": "Ctrl-C ends it.",
}
