"""An office's page /metrics, read back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from secmon.evaluate.frameworks import load_frameworks
from secmon.evaluate.ruleset import RuleSet
from secmon.metrics.exposition import Exposition
from secmon.metrics.runtime import Runtime
from secmon.resources import rules_dir
from tests.support.office import Office


class Holder(NamedTuple):
    office: Office

    @property
    def current(self) -> RuleSet:
        return self.office.rules


class Page:
    """Samples by name and labels."""

    def __init__(self, text: bytes) -> None:
        families = list(text_string_to_metric_families(text.decode()))
        self.samples = [sample for family in families for sample in family.samples]

    def of(self, name: str, **labels: str) -> list[dict[str, str]]:
        """Labels of every series that has these."""
        return [
            sample.labels
            for sample in self.samples
            if sample.name == f"secmon_{name}" and labels.items() <= sample.labels.items()
        ]

    def value(self, name: str, **labels: str) -> float | None:
        """Of the one series with these labels; None when there is none."""
        found = [
            sample.value
            for sample in self.samples
            if sample.name == f"secmon_{name}" and labels.items() <= sample.labels.items()
        ]
        assert len(found) < 2, f"{len(found)} series of {name} with {labels}"
        return found[0] if found else None

    def sum(self, name: str, **labels: str) -> float:
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == f"secmon_{name}" and labels.items() <= sample.labels.items()
        )


def exposition(office: Office, clock: Callable[[], datetime], kept_s: float = 0.0) -> Exposition:
    return Exposition(
        office.database,
        office.config,
        Holder(office),
        Runtime(),
        clock,
        frameworks=lambda: load_frameworks(rules_dir(), office.rules),
        kept_s=kept_s,
    )


def page(office: Office, now: datetime) -> Page:
    return Page(exposition(office, lambda: now).render("")[0])
