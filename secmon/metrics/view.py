"""What a family is made from: one read snapshot with its moment, and the memory that spares the next scrape work."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Final, Protocol

from prometheus_client.core import GaugeMetricFamily
from sqlalchemy.engine import Connection

from secmon.config import Config
from secmon.evaluate.frameworks import Framework
from secmon.evaluate.lifecycle import Lifecycle
from secmon.metrics.answers import Answers
from secmon.metrics.fleet import Fleet, read_fleet
from secmon.metrics.problems import AssetProblem, Problem, read_asset_problems, read_problems
from secmon.metrics.readings import Brief, Reading, Readings
from secmon.metrics.totals import Totals

MAX_SERIES: Final = 2_000
"""Series of one metric about machines' problems; beyond, the worst are kept and `secmon_series_folded` says so."""


class CheckLike(Protocol):
    @property
    def area(self) -> str: ...


class RulesLike(Protocol):
    """What the families need of a rule set."""

    @property
    def version(self) -> str: ...

    @property
    def checks(self) -> Mapping[str, CheckLike]: ...

    @property
    def lifecycle(self) -> Lifecycle: ...


class Memory:
    """Kept from scrape to scrape; nothing in it can be wrong, only missing."""

    def __init__(self) -> None:
        self.readings = Readings()
        self.answers = Answers()
        self.totals = Totals()


class View:
    """One snapshot; made for one refresh and thrown away after it."""

    def __init__(
        self,
        connection: Connection,
        config: Config,
        rules: RulesLike,
        now: datetime,
        *,
        frameworks: Sequence[Framework] = (),
        memory: Memory | None = None,
    ) -> None:
        self.connection = connection
        self.config = config
        self.rules = rules
        self.now = now
        self.frameworks = frameworks
        self.memory = memory or Memory()
        self.folded: dict[str, bool] = {}
        self._readings: dict[str, Mapping[uuid.UUID, Reading]] = {}

    @cached_property
    def fleet(self) -> Fleet:
        return read_fleet(self.connection, self.config, self.now)

    @cached_property
    def problems(self) -> list[Problem]:
        return read_problems(self.connection, self.fleet.machines)

    @cached_property
    def asset_problems(self) -> list[AssetProblem]:
        return read_asset_problems(self.connection)

    @cached_property
    def revisions(self) -> Mapping[uuid.UUID, int]:
        """Of the machines in use: what was read of one is good until its revision rises."""
        return {host_id: machine.revision for host_id, machine in self.fleet.machines.items()}

    def readings(self, section: str, brief: Brief) -> Mapping[uuid.UUID, Reading]:
        """Of the section, by host, read once a snapshot; a section has one `brief`."""
        if section not in self._readings:
            self._readings[section] = self.memory.readings.read(self.connection, section, brief, self.revisions)
        return self._readings[section]

    def capped(
        self, name: str, help_: str, labels: Sequence[str], worst_first: Sequence[tuple[Sequence[str], float]]
    ) -> GaugeMetricFamily:
        """A gauge about machines' problems: at most MAX_SERIES, and whether it had to be folded."""
        self.folded[name] = len(worst_first) > MAX_SERIES
        metric = GaugeMetricFamily(name, help_, labels=labels)
        for values, value in worst_first[:MAX_SERIES]:
            metric.add_metric(values, value)
        return metric
