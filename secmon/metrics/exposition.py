"""The page /metrics: made from one snapshot, kept for a few seconds, safe to ask for from any thread.

A family that fails is left out and logged; the others stay. Without a database, the process still tells of itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, TypeVar

from prometheus_client.core import Metric

from secmon.config import Config
from secmon.evaluate.frameworks import Framework
from secmon.metrics import process
from secmon.metrics.families import FAMILIES
from secmon.metrics.runtime import Runtime
from secmon.metrics.text import Format, negotiate
from secmon.metrics.view import Memory, RulesLike, View
from secmon.store.database import Database

KEPT_S: Final = 5.0
"""How long a page stands before it is made anew; several scrapers then cost as much as one."""

_log = logging.getLogger(__name__)

Source = TypeVar("Source")


class RulesHolder(Protocol):
    """Holds the rules in force; they may be exchanged while the collector runs."""

    @property
    def current(self) -> RulesLike: ...


class Exposition:
    """`certificates`: usage → PEM file; `frameworks` gives those in force."""

    def __init__(
        self,
        database: Database,
        config: Config,
        rules: RulesHolder,
        runtime: Runtime,
        clock: Callable[[], datetime],
        *,
        certificates: Mapping[str, Path] | None = None,
        frameworks: Callable[[], Sequence[Framework]] = tuple,
        kept_s: float = KEPT_S,
    ) -> None:
        self._database = database
        self._config = config
        self._rules = rules
        self._clock = clock
        self._frameworks = frameworks
        self._kept_s = kept_s
        self._process = process.Process(config=config, runtime=runtime, certificates=certificates or {})
        self._memory = Memory()
        self._lock = threading.Lock()
        self._made: tuple[tuple[Metric, ...], ...] = ()
        self._made_at: float | None = None
        self._texts: dict[str, bytes] = {}

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """(page, content type) in the format that the header `Accept` asks for."""
        format_ = negotiate(accept)
        with self._lock:
            if self._made_at is None or time.monotonic() - self._made_at >= self._kept_s:
                self._refresh()
            body = self._texts.get(format_.content_type)
            if body is None:
                body = self._texts[format_.content_type] = self._encoded(format_)
        return body, format_.content_type

    def _refresh(self) -> None:
        self._made = (*self._stored(), *_made(process.FAMILIES, self._process))
        self._made_at = time.monotonic()
        self._texts = {}

    def _stored(self) -> tuple[tuple[Metric, ...], ...]:
        try:
            with self._database.read() as connection:
                view = View(
                    connection,
                    self._config,
                    self._rules.current,
                    self._clock(),
                    frameworks=self._frameworks(),
                    memory=self._memory,
                )
                return tuple(_made(FAMILIES, view, connection.begin_nested))
        except Exception:  # noqa: BLE001 — whatever the database's trouble is, the process still tells of itself
            _log.exception("the database cannot be read; its metrics are left out")
            return ()

    def _encoded(self, format_: Format) -> bytes:
        return b"".join((*(format_.encode(metrics) for metrics in self._made), format_.end))


def _made(
    families: Mapping[str, Callable[[Source], Iterator[Metric]]],
    source: Source,
    guard: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Iterator[tuple[Metric, ...]]:
    """Each family's metrics; `guard` keeps a failed query from spoiling the snapshot for the families after it."""
    for name, family in families.items():
        try:
            with guard():
                metrics = tuple(family(source))
        except Exception:  # noqa: BLE001 — one family must never take the others along
            _log.exception("metrics: the family %s is left out", name)
        else:
            yield metrics
