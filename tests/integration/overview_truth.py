"""The numbers of the dashboard 全体状況, from the tables alone: plain SQL and Python, nothing of secmon/metrics."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.support.office import Office

Values = Mapping[tuple[str, ...], float]

WORST_FIRST = ("fail", "unknown", "excepted", "pass", "not_applicable")


class Row(NamedTuple):
    """A machine as the tables tell it."""

    id: bytes
    name: str
    zone: str
    department: str
    listed: bool
    observed: float | None


class Problem(NamedTuple):
    host: bytes
    check: str
    severity: str
    state: str
    due: float


class Choice(NamedTuple):
    """What somebody picks on top of the dashboard."""

    zone: str
    department: str

    def holds(self, zone: str, department: str) -> bool:
        return bool(re.fullmatch(self.zone, zone) and re.fullmatch(self.department, department))


class Truth:
    """As of the moment `at` (seconds since 1970), of an office on SQLite."""

    def __init__(self, db: sqlite3.Connection, office: Office, at: float, choice: Choice) -> None:
        self.db, self.office, self.at, self.choice = db, office, at, choice
        self.all = [Row(*values) for values in db.execute(_MACHINES)]
        self.chosen = {row.id: row for row in self.all if choice.holds(row.zone, row.department)}
        self.problems = [
            each for each in (Problem(*values) for values in db.execute(_PROBLEMS)) if each.host in self.chosen
        ]

    def silent(self, row: Row) -> bool:
        limit = self.office.config.silent_after_s(None if row.zone == "none" else row.zone)
        return row.observed is not None and self.at - row.observed > limit

    def reporting(self) -> Values:
        seen = [row for row in self.chosen.values() if row.observed is not None and not self.silent(row)]
        mute = len(self.chosen) - len(seen)
        lost = 0
        if self.choice.holds("none", "none"):
            ((lost,),) = self.db.execute(_LOST)
        listed = sum(row.listed for row in seen)
        return {(): listed / (listed + mute + lost)}

    def grave(self) -> Values:
        return {(): sum(each.severity == "high" and each.state == "open" for each in self.problems)}

    def overdue(self) -> Values:
        return {(): sum(each.due < self.at for each in self.problems)}

    def transitions(self) -> Values:
        kinds = Counter(
            "resolved" if event == "resolved" else "opened"
            for event, cause, zone in self.db.execute(
                "SELECT event, cause, zone FROM transitions WHERE finding_id NOT NULL"
            )
            if cause in ("machine", "time") and re.fullmatch(self.choice.zone, zone or "none")
        )
        return {("opened",): kinds["opened"], ("resolved",): kinds["resolved"]}

    def data_age(self) -> Values:
        newest: dict[str, float] = {}
        for row in self.all:
            if row.observed is not None and re.fullmatch(self.choice.zone, row.zone):
                newest[row.zone] = max(newest.get(row.zone, 0.0), row.observed)
        return {(zone,): self.at - observed for zone, observed in newest.items()}

    def areas(self) -> Values:
        checks = self.office.rules.checks.values()
        always = [status for status in WORST_FIRST if status != "excepted"]  # which shows only where there are any
        counts = Counter[tuple[str, ...]]({(check.area, status): 0 for check in checks for status in always})
        for host in self.chosen:
            answers = dict(self.db.execute(_ANSWERS, (host,)).fetchall())
            areas: dict[str, set[str]] = {}
            for check in checks:
                areas.setdefault(check.area, set()).add(answers.get(check.id, "unknown"))
            counts.update(
                (area, next(status for status in WORST_FIRST if status in given)) for area, given in areas.items()
            )
        return counts

    def where_to_go(self) -> Values:
        pairs = {(each.host, each.check) for each in self.problems if each.severity == "high" and each.state == "open"}
        return Counter((self.chosen[host].name,) for host, _ in pairs)

    def silence(self) -> Values:
        return {
            (row.name, row.department): row.observed * 1000
            for row in self.chosen.values()
            if row.observed is not None and self.silent(row)
        }


_MACHINES = """
SELECT h.host_id, h.name, coalesce(z.value, 'none'), coalesce(d.value, 'none'), a.asset_id IS NOT NULL,
       c.observed_at / 1e6
FROM hosts h
LEFT JOIN host_attributes z ON z.host_id = h.host_id AND z.name = 'zone' AND z.valid_to IS NULL
LEFT JOIN host_attributes d ON d.host_id = h.host_id AND d.name = 'department' AND d.valid_to IS NULL
LEFT JOIN host_assets a ON a.host_id = h.host_id AND a.valid_to IS NULL
LEFT JOIN contacts c ON c.host_id = h.host_id
WHERE h.retired_at IS NULL
"""
_PROBLEMS = "SELECT host_id, check_id, severity, state, due_at / 1e6 FROM findings WHERE resolved_at IS NULL"
_LOST = "SELECT count(*) FROM assets WHERE asset_id NOT IN (SELECT asset_id FROM host_assets)"
_ANSWERS = "SELECT check_id, status FROM results WHERE observed_to IS NULL AND host_id = ?"

PANELS: dict[str, tuple[tuple[str, ...], Callable[[Truth], Values]]] = {
    "報告率": ((), Truth.reporting),
    "重大・未対応": ((), Truth.grave),
    "期限超過": ((), Truth.overdue),
    "24時間の発生・解消": (("event",), Truth.transitions),
    "データの古さ": (("zone",), Truth.data_age),
    "分野別": (("area", "status"), Truth.areas),
    "まず行く端末": (("host",), Truth.where_to_go),
    "音信不通": (("host", "department"), Truth.silence),
}
"""Title → the labels that tell its values apart, and the truth about it."""
