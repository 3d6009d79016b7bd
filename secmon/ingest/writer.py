"""Group commit: many reports in one transaction, each acknowledged only after the commit."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType
from prometheus_client import Counter

from secmon.config import Config
from secmon.evaluate.ruleset import RuleSet
from secmon.ingest.admission import Admitted, Refused
from secmon.ingest.apply import Applied, Applier, Outcome
from secmon.metrics.runtime import Runtime
from secmon.store.database import Database, is_unavailable
from secmon_agent import wire

MAX_BATCH = 256
RETRY_AFTER_S = 15
GATHER_S = 0.005
"""While reports come thick, wait this long for more before the next commit; a lone report is committed at once."""
_LABELS = {"late": "repeated"}
log = logging.getLogger(__name__)


class RulesInForce(Protocol):
    """Whoever holds the rules; they may be replaced between two batches."""

    @property
    def current(self) -> RuleSet: ...


class Waiting(Struct, frozen=True):
    """A report in the queue, and the future that gets the bytes of its Ack, or a Refused as its result."""

    admitted: Admitted
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[bytes | Refused]


class Writer:
    """One thread that takes whatever waits, applies it in one transaction, commits and answers."""

    def __init__(
        self,
        database: Database,
        rules: RulesInForce,
        config: Config,
        runtime: Runtime,
        identity: tuple[UUID, int],
        clock: Callable[[], datetime],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._rules = rules
        self._config = config
        self._runtime = runtime
        self._collector_id, self._generation = identity[0].bytes, identity[1]
        self._clock = clock
        self._on_change = on_change
        self.next_ca: bytes | None = None
        """SHA-256 of the CA certificate that is to succeed the present one; offered to agents that lack it."""
        self._counters: dict[str, Counter] = {}
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ingest-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Commit what waits, then end."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def submit(self, waiting: Waiting) -> None:
        self._queue.put(waiting)

    def _run(self) -> None:
        going, busy = True, False
        while going:
            first = self._queue.get()
            if first is None:
                return
            if busy and self._queue.qsize() < MAX_BATCH:
                time.sleep(GATHER_S)
            batch = [first]
            while len(batch) < MAX_BATCH:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    going = False
                    break
                batch.append(more)
            busy = len(batch) > 1
            try:
                self._commit(batch)
            except Exception:
                log.exception("reports could not be answered")
                self._settle([(each, Refused("busy", 503)) for each in batch])

    def _store(self, batch: list[Waiting]) -> list[Outcome]:
        applier = Applier(self._rules.current, self._config, self._runtime.evaluation_duration.observe)
        try:
            with self._database.write() as connection:
                return applier.apply(connection, [each.admitted for each in batch])
        except Exception as error:  # noqa: BLE001 — full disk, lost server: everybody keeps the report and comes again
            if len(batch) > 1 and not is_unavailable(error):  # it is about one of them, and not the others' affair
                return [outcome for each in batch for outcome in self._store([each])]
            log.error("cannot store reports: %s", _short(error))  # noqa: TRY400 — a full disk needs no traceback
            return [error] * len(batch)

    def _commit(self, batch: list[Waiting]) -> None:
        started = time.monotonic()
        outcomes = self._store(batch)
        self._settle(
            [(each, self._answer(each.admitted, outcome)) for each, outcome in zip(batch, outcomes, strict=True)]
        )
        changed = any(_changes_something(each) for each in outcomes)
        log.debug("%d reports in %.1f ms", len(batch), (time.monotonic() - started) * 1000)
        if changed:
            self._on_change()

    def _settle(self, answered: list[tuple[Waiting, bytes | Refused]]) -> None:
        """Each loop is woken once."""
        answers: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[bytes | Refused], bytes | Refused]]] = {}
        for waiting, answer in answered:
            answers.setdefault(waiting.loop, []).append((waiting.future, answer))
        for loop, settled in answers.items():
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, settled)

    def _count(self, outcome: str) -> None:
        counter = self._counters.get(outcome)
        if counter is None:
            counter = self._counters[outcome] = self._runtime.reports.labels(outcome=_LABELS.get(outcome, outcome))
        counter.inc()

    def _lacking(self, ca_mark: bytes | None) -> bytes | UnsetType:
        """The successor CA, unless the agent has it."""
        return UNSET if self.next_ca is None or self.next_ca[:8] == ca_mark else self.next_ca

    def _answer(self, admitted: Admitted, outcome: Outcome) -> bytes | Refused:
        if isinstance(outcome, Refused):
            return outcome
        if not isinstance(outcome, Applied):
            if not is_unavailable(outcome):  # which has been said once for all
                log.error("a report of %s could not be applied: %s", admitted.key.host_id, _short(outcome))
            return Refused("busy", 503, "the report could not be stored; it will be taken later")
        self._count(outcome.outcome)
        return wire.encode(
            wire.Ack(
                stream=admitted.report.stream,
                sequence=admitted.report.sequence,
                interval_s=self._config.ingest.interval_s,
                server_time=self._clock(),
                collector_id=self._collector_id,
                generation=self._generation,
                want=outcome.want,
                rotate=outcome.rotate,
                ca=self._lacking(outcome.ca_mark),
            )
        )


def _changes_something(outcome: Outcome) -> bool:
    """A refused clone is news, too."""
    if isinstance(outcome, Refused):
        return outcome.status == 409
    return isinstance(outcome, Applied) and outcome.outcome != "heartbeat"


def _settle(settled: list[tuple[asyncio.Future[bytes | Refused], bytes | Refused]]) -> None:
    for future, answer in settled:
        if not future.done():  # the agent may have hung up
            future.set_result(answer)


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
