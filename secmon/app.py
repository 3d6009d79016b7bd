"""The collector as a whole: parts opened in order, started, and stopped in the reverse order."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import hashlib
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from secmon import certificates, judging, succession
from secmon.alerts.dispatch import Dispatcher
from secmon.certificates import write_private
from secmon.config import Config, is_loopback
from secmon.console.app import console_app
from secmon.errors import UsageError
from secmon.evaluate.ruleset import RuleSet
from secmon.ingest.admission import KeyRing
from secmon.ingest.enrollment import Enrollment
from secmon.ingest.listener import Listener
from secmon.ingest.rotation import Rotations
from secmon.ingest.server import IngestListener
from secmon.ingest.writer import Writer
from secmon.metrics.exposition import Exposition
from secmon.metrics.runtime import Runtime
from secmon.notify.channels import channels
from secmon.notify.outbox import send_due
from secmon.rejudging import repair
from secmon.rulebook import open_rulebook, strange_zones
from secmon.schedule import Schedule
from secmon.serving import HttpListener, bind, quiet_uvicorn
from secmon.standing import own_addresses, stand_in_one_zone
from secmon.store.database import Database, is_unavailable, sqlite_url

log = logging.getLogger(__name__)
Say = Callable[[str], None]

WAKE_S = 5.0
"""How often deliveries are looked after when nothing happens."""

WATCH_S = 10.0
"""How often rules and certificates are looked at."""


TELL_S = 2.0
"""How often it is said how far judging anew has come."""


def now_utc() -> datetime:
    return datetime.now(UTC)


def open_database(config: Config) -> Database:
    """The database of this configuration, brought to this version. Raises UsageError when it cannot be used."""
    folder = open_folder(config)
    if not config.database.url:
        _make_private(folder / "secmon.db")
    database = name_database(config)
    try:
        database.migrate()
    except (sa.exc.OperationalError, sa.exc.DatabaseError) as error:
        where = "the database of database.url" if config.database.url else str(folder / "secmon.db")
        raise UsageError(f"{where} cannot be used: {str(error.__cause__ or error).splitlines()[0]}") from None
    return database


def name_database(config: Config) -> Database:
    """The database of this configuration, not yet reached. Raises UsageError when its address is none."""
    try:
        return Database(config.database.url or sqlite_url(config.folder / "secmon.db"))
    except sa.exc.ArgumentError:
        raise UsageError("database.url is no address of a database; write postgresql://user@host/name") from None


def open_folder(config: Config) -> Path:
    """The data folder, private to this user. Raises UsageError when it cannot be written."""
    folder = config.folder
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / f".writable.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"the data folder {folder} cannot be written: {error.strerror}; name another with --data-dir")\
            from None  # fmt: skip
    return folder


def _make_private(file: Path) -> None:
    """The database is for this user alone, whatever the folder is; SQLite gives its other files the same mode."""
    with contextlib.suppress(OSError):
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))


def lock_folder(config: Config) -> IO[str]:
    """One collector per data folder. The lock lasts as long as the returned file is open."""
    file = open_folder(config) / "collector.lock"
    try:
        lock = file.open("a")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise UsageError(f"another collector is running with the data folder {config.folder}") from None
    return lock


STARTED_FILE = "listening.json"


class Started(Struct, frozen=True, kw_only=True):
    """Where a running collector answers."""

    ingest: tuple[str, int]
    console: tuple[str, int]
    console_url: str


def _write_started(config: Config, started: Started) -> None:
    """Beside the data: where the collector with this data answers, for commands that speak of it."""
    write_private(config.folder / STARTED_FILE, msgspec.json.encode(started))


def read_started(config: Config) -> Started | None:
    """Where the collector of this data folder answers, or did when it last ran."""
    try:
        return msgspec.json.decode((config.folder / STARTED_FILE).read_bytes(), type=Started)
    except (OSError, msgspec.DecodeError):
        return None


class Collector:
    """Parts of one collector. `start` brings everything up or raises UsageError; `stop` ends it in order."""

    def __init__(self, config: Config, clock: Callable[[], datetime] = now_utc, say: Say = log.info) -> None:
        quiet_uvicorn()
        self.config = config
        self.clock = clock
        self._say = say
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._told_at = 0.0
        stand_in_one_zone(config, own_addresses())
        self._lock = lock_folder(config)
        ingest_socket = bind(config.ingest.address, "ingest")
        console_socket = bind(config.console.address, "console")
        self.rulebook = open_rulebook(config)
        self.database = open_database(config)
        self._alerts = Dispatcher(self.database)
        self.identity = self.database.identity(clock())
        self.certificates = certificates.ensure(config, clock())
        self.runtime = Runtime()
        self._channels = channels(config)
        self._context = self.certificates.context()
        self._writer = Writer(
            self.database, self.rulebook, config, self.runtime, self.identity, clock, on_change=self._wake.set
        )
        self._door = self._ingest_app()
        self._ingest = IngestListener(self._door, ingest_socket, self.certificates)
        self._console = HttpListener("console", self._console_app(), console_socket, self._console_context())
        self._schedule = Schedule(
            database=self.database,
            config=config,
            rules=self.rulebook,
            clock=clock,
            identity=self.identity,
        )
        self._dispatcher = threading.Thread(target=self._look_after_deliveries, name="dispatcher", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def start(self) -> Started:
        """Take the rules, then let the world in."""
        _rest_from_garbage()
        now = self.clock()
        judging.sweep(self.database, self.rulebook.current, self.config, now)
        self._take_rules(now)
        self._offer_successor()
        self._writer.start()
        self._ingest.start()
        self._console.start()
        self._dispatcher.start()
        self._watcher.start()
        self._schedule.start()
        _write_started(self.config, self.started)
        _rest_from_garbage()
        return self.started

    @property
    def started(self) -> Started:
        host, port = self._console.address
        scheme = "http" if is_loopback(host) else "https"
        host = self.config.ingest.name or socket.gethostname() if host in certificates.WILDCARDS else host
        shown = f"[{host}]" if ":" in host else host
        return Started(
            ingest=self._ingest.address, console=self._console.address, console_url=f"{scheme}://{shown}:{port}"
        )

    def stop(self) -> None:
        """Nothing that was acknowledged is lost: what waits in the writer is committed first."""
        self._stopping.set()
        self._wake.set()
        self._schedule.stop()
        self._ingest.stop()
        self._writer.stop()
        self._console.stop()
        for thread in (self._dispatcher, self._watcher):
            if thread.is_alive():
                thread.join(timeout=30)
        self.database.close()
        self._lock.close()

    def _ingest_app(self) -> Listener:
        return Listener(
            keys=KeyRing(self.database),
            writer=self._writer,
            enrollment=Enrollment(self.database, self.config, self.identity),
            rotations=Rotations(self.database),
            runtime=self.runtime,
            ca_der=self.certificates.ca_der,
            clock=self.clock,
        )

    def _console_app(self) -> object:
        exposition = Exposition(
            self.database,
            self.config,
            self.rulebook,
            self.runtime,
            self.clock,
            certificates=self.certificates.files(),
            frameworks=lambda: self.rulebook.rules.frameworks,
        )
        return console_app(
            self.database,
            self.config,
            self.rulebook,
            lambda: self.rulebook.rules,
            exposition,
            self.clock,
            trouble=lambda: self.rulebook.trouble,
        )

    def _console_context(self) -> ssl.SSLContext | None:
        """Beyond loopback the console speaks TLS with the same certificate."""
        return None if is_loopback(self.config.console.address.rpartition(":")[0].strip("[]")) else self._context

    def _take_rules(self, now: datetime, before: RuleSet | None = None) -> None:
        judging.note_ruleset(self.database, self.rulebook.current, now)
        for zone in strange_zones(self.rulebook.current, self.config):
            log.warning("the office's own rules name the zone %r, which the settings do not have", zone)
        repair(
            self.database,
            self.rulebook.current,
            self.config,
            now,
            self._tell_progress,
            before,
        )

    def _tell_progress(self, done: int, of: int) -> None:
        """Now and then, and at the end."""
        if done == of or time.monotonic() - self._told_at >= TELL_S:
            self._told_at = time.monotonic()
            self._say(f"judging by the new rules: {done} of {of} machines")

    def _look_after_deliveries(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(WAKE_S)
            self._wake.clear()
            try:
                self.deliver()
            except Exception as error:  # noqa: BLE001 — it is logged, and tried again
                _log(error, "deliveries could not be looked after")

    def deliver(self) -> None:
        """Turn transitions into deliveries and send what is due."""
        rules = self.rulebook.rules
        try:
            self._alerts.run(self.config, rules.checks, rules.frameworks, rules.alerts, self.clock())
        finally:
            send_due(self.database, self._channels, self.clock())

    def _offer_successor(self) -> None:
        """The CA that is to succeed the present one, where there is one."""
        made = succession.offered(self.config)
        self._door.successor = None if made is None else msgspec.msgpack.encode(made)
        self._writer.next_ca = None if made is None else hashlib.sha256(made.ca).digest()

    def _watch(self) -> None:
        """Take changed rules and a renewed certificate without a restart."""
        taken = self.rulebook.current
        while not self._stopping.wait(WATCH_S):
            try:
                self.rulebook.reload()
                if self.rulebook.current.version != taken.version:
                    self._take_rules(self.clock(), taken)
                    taken = self.rulebook.current
                    self._wake.set()
                fresh = certificates.ensure(self.config, self.clock())
                fresh.load(self._context)
                self._ingest.take(fresh)
                self.certificates, self._door.ca_der = fresh, fresh.ca_der
                self._offer_successor()
            except Exception as error:  # noqa: BLE001 — it is logged, and tried again
                _log(error, "rules and certificates could not be looked after")


def _rest_from_garbage() -> None:
    """Rules, routes and tables live as long as we do: never walk through them again. Hundreds of reports are under way
    at once, and none is a cycle."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _log(error: Exception, what: str) -> None:
    """A full disk or a lost server needs no traceback, least of all every few seconds on that disk."""
    if is_unavailable(error):
        log.error("%s: %s", what, str(getattr(error, "orig", None) or error).partition("\n")[0])
    else:
        log.error("%s", what, exc_info=error)
