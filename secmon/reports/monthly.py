"""Compose the monthly report: a pure function of (month, closing time, history)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct
from sqlalchemy.engine import Connection

from secmon.config import Config
from secmon.evaluate.areas import AREAS
from secmon.evaluate.model import SEVERITIES, STANDINGS, Severity, Standing, Text
from secmon.evaluate.ruleset import RuleSet
from secmon.reports import archive, snapshot
from secmon.reports.attestations import attestation_lines
from secmon.reports.clauses import clauses_of
from secmon.reports.decisions import wanted
from secmon.reports.exceptions import register_lines
from secmon.reports.lifecycle import outlook
from secmon.reports.model import (
    FORMAT,
    AbsentMachine,
    AreaState,
    CheckState,
    Clause,
    Correction,
    Corrections,
    Counts,
    Coverage,
    FailingMachine,
    LimitState,
    MonthlyReport,
    Movement,
    Office,
    Problem,
    TrendPoint,
    UnknownMachine,
    ZoneState,
)
from secmon.reports.month import Month
from secmon.reports.snapshot import Moment, Snapshot
from secmon.rulebook import Rules

CORRECTION_LINES = 200
TREND_MONTHS = 6
_WORST: Mapping[Standing, int] = {standing: rank for rank, standing in enumerate(STANDINGS)}
_INSTANT = timedelta(microseconds=1)


class Catalogue(Struct, frozen=True, kw_only=True):
    """The checks that a report speaks of: those of the rules, and those that only history knows."""

    rules: RuleSet
    clauses: Mapping[str, tuple[Clause, ...]]

    def area(self, check: str) -> str:
        known = self.rules.checks.get(check)
        return known.area if known else check.partition(".")[0]

    def severity(self, check: str) -> Severity:
        known = self.rules.checks.get(check)
        return known.severity if known else "medium"

    def areas(self, checks: frozenset[str]) -> list[str]:
        """Areas of these checks, in the order in which people read them."""
        order = {area: number for number, area in enumerate(AREAS)}
        return sorted({self.area(check) for check in checks}, key=lambda area: (order.get(area, len(order)), area))


def monthly(
    connection: Connection,
    *,
    month: Month,
    closed_at: datetime,
    config: Config,
    rules: Rules,
    collector_id: UUID,
) -> MonthlyReport:
    """Tell the month as it was known at `closed_at`. A month that is not over then is told up to that moment."""
    tz = config.tz
    last = month.ends(tz) - _INSTANT
    moment = Moment(at=min(last, closed_at), known_at=closed_at)
    before = Moment(at=month.begins(tz) - _INSTANT, known_at=closed_at)
    now_, then = snapshot.take(connection, config, moment), snapshot.take(connection, config, before)
    catalogue = Catalogue(rules=rules.checks, clauses=clauses_of(rules.frameworks, rules.checks.checks))
    checks = now_.checks or (frozenset(rules.checks.checks) if now_.machines else frozenset())
    failing = _failing(now_, catalogue, snapshot.known_findings(connection, moment))
    never_reported = tuple(snapshot.never_reported(connection, moment))
    next_month_ends = month.plus(2).begins(tz) - _INSTANT
    return MonthlyReport(
        format=FORMAT,
        collector_id=collector_id,
        office=Office(name=config.office.name, contact=config.office.contact, time_zone=config.office.time_zone),
        month=str(month),
        begins_at=month.begins(tz),
        as_of=moment.at,
        closed_at=closed_at,
        interim=closed_at <= last,
        coverage=_coverage(now_, snapshot.ledger(connection, moment), snapshot.count_stored(connection, moment)),
        zones=_zones(now_, config, catalogue, checks),
        areas=_areas(now_, then, catalogue, checks),
        decisions=wanted(failing, now_.machines.values(), moment.at, next_month_ends),
        movement=_movement(connection, month.begins(tz), moment),
        trend=_trend(connection, month, config, moment),
        support=outlook(connection, rules.checks.lifecycle, now_.machines.keys(), moment),
        failing=failing,
        unknown=_unknown(now_, checks),
        absent=tuple(
            AbsentMachine(machine=machine.line, last_seen_at=machine.last_seen_at)
            for machine in now_.machines.values()
            if machine.presence != "reporting"
        ),
        never_reported=never_reported,
        checks=_checks(now_, then, catalogue, checks),
        corrections=_corrections(connection, config, month.plus(-1), before, then),
        exceptions=register_lines(connection, now_, never_reported, moment),
        attestations=attestation_lines(connection, rules, moment, tz),
        rulesets=now_.rulesets or (rules.checks.version,),
    )


# ── counting ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _count(snap: Snapshot, checks: Sequence[str], hosts: Sequence[UUID] | None = None) -> Counts:
    """Machines by their worst answer to these checks."""
    tally: Counter[Standing] = Counter(
        min((snap.answer(host, check).status for check in checks), key=_WORST.__getitem__)
        for host in (snap.machines if hosts is None else hosts)
    )
    return Counts(
        passed=tally["pass"],
        failed=tally["fail"],
        unknown=tally["unknown"],
        excepted=tally["excepted"],
        not_applicable=tally["not_applicable"],
    )


def _coverage(snap: Snapshot, ledger: tuple[int, int], stored: int) -> Coverage:
    presence = Counter(machine.presence for machine in snap.machines.values())
    return Coverage(
        ledger=ledger[0],
        ledger_unmonitored=ledger[1],
        machines=len(snap.machines),
        reporting=presence["reporting"],
        silent=presence["silent"],
        never_reported=presence["never_reported"],
        unlisted=sum(not machine.line.asset_number for machine in snap.machines.values()),
        stored=stored,
    )


def _by_area(catalogue: Catalogue, checks: frozenset[str]) -> dict[str, list[str]]:
    return {
        area: sorted(check for check in checks if catalogue.area(check) == area) for area in catalogue.areas(checks)
    }


def _areas(now_: Snapshot, then: Snapshot, catalogue: Catalogue, checks: frozenset[str]) -> tuple[AreaState, ...]:
    states: list[AreaState] = []
    for area, mine in _by_area(catalogue, checks).items():
        counts = _count(now_, mine)
        earlier = [check for check in then.checks if catalogue.area(check) == area]
        states.append(
            AreaState(
                area=area,
                title=AREAS.get(area, Text(ja=area, en=area)),
                answer=counts.answer,
                machines=counts,
                previous=_count(then, earlier) if then.machines and earlier else None,
            )
        )
    return tuple(states)


def _zones(snap: Snapshot, config: Config, catalogue: Catalogue, checks: frozenset[str]) -> tuple[ZoneState, ...]:
    """Configured zones in their order, then others that machines carry, then machines without one."""
    used = {machine.line.zone for machine in snap.machines.values()}
    configured = [zone.id for zone in config.zones]
    ids = [*configured, *sorted(used.difference(configured, {""})), *([""] if "" in used else [])]
    by_area = _by_area(catalogue, checks)
    return tuple(_zone(snap, config, zone, by_area) for zone in ids)


def _zone(snap: Snapshot, config: Config, zone: str, by_area: Mapping[str, Sequence[str]]) -> ZoneState:
    hosts = [host_id for host_id, machine in snap.machines.items() if machine.line.zone == zone]
    presence = Counter(snap.machines[host_id].presence for host_id in hosts)
    seen = [at for host_id in hosts if (at := snap.machines[host_id].last_seen_at)]
    known = config.zone(zone)
    return ZoneState(
        zone=zone,
        name=known.name if known else zone,
        machines=len(hosts),
        reporting=presence["reporting"],
        silent=presence["silent"],
        never_reported=presence["never_reported"],
        newest_data_at=max(seen, default=None),
        stale_days=int(config.stale_after_s(zone or None) // 86_400),
        silent_days=int(config.silent_after_s(zone or None) // 86_400),
        areas={area: _count(snap, checks, hosts) for area, checks in by_area.items()},
    )


def _checks(now_: Snapshot, then: Snapshot, catalogue: Catalogue, checks: frozenset[str]) -> tuple[CheckState, ...]:
    order = {area: number for number, area in enumerate(catalogue.areas(checks))}
    return tuple(
        _check(check, _count(now_, [check]), _count(then, [check]) if check in then.checks else None, catalogue)
        for check in sorted(checks, key=lambda check: (order[catalogue.area(check)], check))
    )


def _check(check: str, counts: Counts, previous: Counts | None, catalogue: Catalogue) -> CheckState:
    known = catalogue.rules.checks.get(check)
    nothing = Text(ja="", en="")
    return CheckState(
        check=check,
        area=catalogue.area(check),
        title=known.title if known else Text(ja=check, en=check),
        severity=catalogue.severity(check),
        why=known.why if known else nothing,
        first_step=Text(ja=known.fix["ja"][0], en=known.fix["en"][0]) if known else nothing,
        clauses=catalogue.clauses.get(check, ()),
        limits=tuple(
            LimitState(name=name, default=limit.default, zones=limit.zones)
            for name, limit in sorted(known.limits.items())
        )
        if known
        else (),
        machines=counts,
        previous=previous,
    )


# ── machines ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_Findings = Mapping[tuple[UUID, str, str], tuple[datetime, datetime]]


def _failing(snap: Snapshot, catalogue: Catalogue, known: _Findings) -> tuple[FailingMachine, ...]:
    machines = [
        FailingMachine(machine=machine.line, problems=problems)
        for host_id, machine in snap.machines.items()
        if (problems := _problems(snap, host_id, catalogue, known))
    ]
    return tuple(sorted(machines, key=_badness))


def _badness(machine: FailingMachine) -> tuple[int, ...] | tuple[int | str, ...]:
    per_severity = Counter(problem.severity for problem in machine.problems)
    return (*(-per_severity[severity] for severity in SEVERITIES), machine.machine.name)


def _problems(snap: Snapshot, host_id: UUID, catalogue: Catalogue, known: _Findings) -> tuple[Problem, ...]:
    problems: list[Problem] = []
    for check, answer in snap.answers[host_id].items():
        if answer.status != "fail":
            continue
        failing = [(item.key, item.evidence) for item in answer.items if item.status == "fail"]
        for item, evidence in failing or [("", answer.evidence)]:
            if item[:255] in answer.covers:
                continue
            since, due_at = known.get((host_id, check, item[:255]), (answer.since, None))
            problems.append(
                Problem(
                    check=check,
                    severity=catalogue.severity(check),
                    item=item,
                    evidence=evidence,
                    since=since,
                    due_at=due_at,
                )
            )
    return tuple(sorted(problems, key=lambda each: (SEVERITIES.index(each.severity), each.check, each.item)))


def _unknown(snap: Snapshot, checks: frozenset[str]) -> tuple[UnknownMachine, ...]:
    found: list[UnknownMachine] = []
    for host_id, machine in snap.machines.items():
        answers = [snap.answer(host_id, check) for check in checks]
        reasons = Counter(answer.reason for answer in answers if answer.status == "unknown")
        if reasons:
            common = sorted(reasons, key=lambda reason: (-reasons[reason], reason))
            found.append(UnknownMachine(machine=machine.line, checks=reasons.total(), reasons=tuple(common[:3])))
    return tuple(sorted(found, key=lambda each: (-each.checks, each.machine.name)))


# ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _movement(connection: Connection, begins_at: datetime, moment: Moment) -> Movement:
    counted = snapshot.movement(connection, begins_at, moment)
    return Movement(
        opened=counted["opened", True],
        resolved=counted["resolved", True],
        by_rules=counted["opened", False] + counted["resolved", False],
    )


def _trend(connection: Connection, month: Month, config: Config, moment: Moment) -> tuple[TrendPoint, ...]:
    points: list[TrendPoint] = []
    for back in range(TREND_MONTHS - 1, -1, -1):
        then = month.plus(-back)
        at = moment.at if back == 0 else then.ends(config.tz) - _INSTANT
        answers = snapshot.count_answers(connection, Moment(at=at, known_at=moment.known_at))
        if answers is not None:
            points.append(TrendPoint(month=str(then), answers=answers))
    return tuple(points)


def _corrections(
    connection: Connection, config: Config, month: Month, moment: Moment, corrected: Snapshot
) -> Corrections | None:
    """What the month before would say differently today, machine by machine."""
    closed_at = archive.closing(connection, month, moment.known_at)
    if closed_at is None:
        return None
    reported = snapshot.take(connection, config, Moment(at=moment.at, known_at=closed_at))
    lines = [
        Correction(machine=machine.line, check=check, reported=was.status, corrected=is_.status)
        for host_id, machine in corrected.machines.items()
        if host_id in reported.machines
        for check in sorted(corrected.checks | reported.checks)
        if (was := reported.answer(host_id, check)).status != (is_ := corrected.answer(host_id, check)).status
    ]
    return Corrections(month=str(month), closed_at=closed_at, total=len(lines), lines=tuple(lines[:CORRECTION_LINES]))
