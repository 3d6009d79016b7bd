"""What keeps the collector's word: scheduled tasks and the rules in force."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa
from prometheus_client.core import GaugeMetricFamily, Metric

from secmon.metrics.view import View
from secmon.store.schema import jobs, rulesets


def task_last_success(view: View) -> Iterator[Metric]:
    rows = view.connection.execute(
        sa.select(jobs.c.job, sa.func.max(jobs.c.finished_at, type_=jobs.c.finished_at.type))
        .where(~jobs.c.job.contains("/"))
        .group_by(jobs.c.job)
        .order_by(jobs.c.job)
    )
    metric = GaugeMetricFamily(
        "secmon_task_last_success_timestamp_seconds", "When a scheduled task last finished.", labels=("task",)
    )
    for job, finished_at in rows:
        metric.add_metric((job,), finished_at.timestamp())
    yield metric


def rules_loaded(view: View) -> Iterator[Metric]:
    """Absent until the rules in force are recorded."""
    loaded_at = view.connection.execute(
        sa.select(rulesets.c.loaded_at)
        .where(rulesets.c.version == view.rules.version)
        .order_by(rulesets.c.loaded_at.desc())
        .limit(1)
    ).scalar()
    metric = GaugeMetricFamily(
        "secmon_rules_loaded_timestamp_seconds", "Since when these rules have been in force.", labels=("version",)
    )
    if loaded_at is not None:
        metric.add_metric((view.rules.version,), loaded_at.timestamp())
    yield metric


FAMILIES: Final = {"task_last_success": task_last_success, "rules_loaded": rules_loaded}
