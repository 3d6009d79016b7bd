"""What happens by the clock. APScheduler only wakes; what is due, and whether it was done, stands in the table `jobs`.

A job claims (job, period) in the transaction of its effects, so two processes never do the same twice, and what was
missed while nothing ran is found at the next start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from apscheduler.schedulers.background import BackgroundScheduler
from msgspec import Struct
from sqlalchemy.engine import Connection

from secmon import judging
from secmon.attestations import reminders as asking
from secmon.attestations.model import current
from secmon.config import Config
from secmon.exceptions import reminders
from secmon.exceptions.model import Record
from secmon.japanese import next_working_day
from secmon.ledger.gaps import described
from secmon.notify.queue import enqueue
from secmon.reports.command import obtain
from secmon.reports.letter import letter
from secmon.reports.month import month_of, parse_month
from secmon.rulebook import Rulebook
from secmon.store import attestations, exceptions, jobs, life
from secmon.store.database import Database
from secmon.store.exceptions import count_covered
from secmon.store.gaps import settle_gaps
from secmon.store.retention import expire, purge
from secmon.store.schema import collectors, hosts
from secmon.store.settling import settle
from secmon.store.sightings import record_sightings

log = logging.getLogger(__name__)

WAKE_S = 60
"""How often it is looked whether something is due."""


class AlreadyDone(Exception):  # noqa: N818 — the usual case where two processes serve one database
    """Another process has claimed this period."""


class Period(Struct, frozen=True, kw_only=True):
    name: str
    """`2026-11-23` or `2026-11`."""
    due_at: datetime


class Turn(Struct, frozen=True, kw_only=True):
    """One job doing one period."""

    job: str
    period: Period
    now: datetime
    database: Database
    config: Config
    rules: Rulebook

    @contextmanager
    def claim(self) -> Iterator[Connection]:
        """The transaction that holds the claim and the effects. Raises AlreadyDone."""
        with self.database.write() as connection:
            if not jobs.claim(connection, self.job, self.period.name, self.now):
                raise AlreadyDone
            yield connection

    def finish(self, connection: Connection, detail: str) -> str:
        jobs.finish(connection, self.job, self.period.name, self.now, detail)
        return detail


class Job(Struct, frozen=True, kw_only=True):
    name: str
    """`jobs.job`, and the label `task` of the metrics."""
    every: Literal["day", "month"]
    at: time
    """Local. A monthly job is about the month before and due on the first working day."""
    missed: Literal["each", "newest"]
    """Whether each missed period is made up for, in order, or only the newest one."""
    work: Callable[[Turn], str]
    """What it does, once or, after a crash, again; returns a line for the log."""


class Ran(Struct, frozen=True, kw_only=True):
    job: str
    period: str
    detail: str = ""
    error: str = ""
    """Not done; it will be tried again."""


# ── the work ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _sweep(turn: Turn) -> str:
    """Sweeping twice changes nothing, so it stands before the claim and holds no lock of this table."""
    swept = judging.sweep(turn.database, turn.rules.current, turn.config, turn.now)
    with turn.claim() as connection:
        return turn.finish(connection, f"{swept} machines judged anew")


def _attributes(turn: Turn) -> str:
    """Machine by machine, done twice it changes nothing, so that it stands before the claim."""
    changed = judging.apply_planned(turn.database, turn.rules.current, turn.config, turn.now)
    with turn.claim() as connection:
        return turn.finish(connection, f"{changed} machines have other attributes")


def _sightings(turn: Turn) -> str:
    with turn.claim() as connection:
        return turn.finish(connection, f"{record_sightings(connection, turn.now)} machines seen")


def _retention(turn: Turn) -> str:
    with turn.claim() as connection:
        return turn.finish(connection, f"{purge(connection, turn.config, turn.now)} rows removed")


def _expiry(turn: Turn) -> str:
    with turn.claim() as connection:
        return turn.finish(connection, f"{expire(connection, turn.now)} rows removed")


def _machines(turn: Turn) -> str:
    act = life.Act(actor="collector", now=turn.now)
    with turn.claim() as connection:
        taken_out = life.take_out_what_reports(connection, act)
        off = life.retire_from_pools(connection, act)
        freed = life.forget_quiet_clones(connection, act)
        occasion = judging.Occasion(cause="time", at=turn.now, recorded_at=turn.now, checks=turn.rules.current.factless)
        for host_id in freed:
            judging.rejudge_host(connection, turn.rules.current, turn.config, host_id, occasion)
        done = f"{taken_out} machines taken out of storage, {off} of pools retired, {len(freed)} without a clone again"
        return turn.finish(connection, done)


def _report(turn: Turn) -> str:
    """The archive gives the same model again and the outbox knows its keys, so only the claim decides who mails it."""
    archived = obtain(turn.database, turn.config, turn.rules.rules, parse_month(turn.period.name), turn.now)
    mail = letter(archived, turn.config)
    with turn.claim() as connection:
        sent = enqueue(connection, turn.config, mail, turn.now)
        return turn.finish(connection, f"{len(sent)} mails")


def _ledger(turn: Turn) -> str:
    with turn.claim() as connection:
        opened, resolved = settle_gaps(connection, turn.now, turn.config.ledger.grace_days, "time")
        return turn.finish(connection, f"{opened} rows of the ledger without a report, {resolved} no longer")


def _exceptions(turn: Turn) -> str:
    with turn.claim() as connection:
        return turn.finish(connection, f"{settle(connection, turn.now, 'time')} findings excepted or open again")


def _reminders(turn: Turn) -> str:
    """Each reminder claims itself in the transaction of its mail, so that a day that was missed changes nothing."""
    with turn.claim() as connection:
        due = [
            each
            for each in reminders.reminders(exceptions.read_all(connection), turn.now, turn.config)
            if jobs.claim(connection, each.job, str(each.days), turn.now)
        ]
        said = reminders.newest(due)
        if said:
            lines = [_line(connection, each.record, turn) for each in said]
            today = turn.now.astimezone(turn.config.tz).date()
            enqueue(connection, turn.config, reminders.letter(lines, today, turn.config), turn.now)
        return turn.finish(connection, f"{len(said)} exceptions that end soon")


def _attestations(turn: Turn) -> str:
    """As `_reminders`, for what people answer by hand."""
    today = turn.now.astimezone(turn.config.tz).date()
    questions = turn.rules.rules.questions
    with turn.claim() as connection:
        latest = current(attestations.read_all(connection), today, turn.now)
        due = [
            each
            for each in asking.due_now(latest.values(), questions, today)
            if jobs.claim(connection, each.job, each.stage, turn.now)
        ]
        if due:
            enqueue(connection, turn.config, asking.letter(due, questions, today, turn.config), turn.now)
        return turn.finish(connection, f"{len(due)} answers that end or ended")


def _line(connection: Connection, record: Record, turn: Turn) -> reminders.Line:
    language = turn.config.office.language
    check = described(turn.rules.current, record.scope.check)
    name = sa.select(hosts.c.name).where(hosts.c.host_id == record.scope.host_id)
    names = {record.scope.host_id: connection.execute(name).scalar_one()} if record.scope.host_id else {}
    return reminders.Line(
        record=record,
        title=check.title.of(language) if check else record.scope.check,
        machines=reminders.machines_of(record.scope, names, turn.config, language),
        problems=count_covered(connection).get(record.exception_id, 0),
    )


JOBS: tuple[Job, ...] = (
    Job(name="attributes", every="day", at=time(0, 0), missed="newest", work=_attributes),
    Job(name="exceptions", every="day", at=time(0, 1), missed="newest", work=_exceptions),
    Job(name="ledger", every="day", at=time(0, 2), missed="newest", work=_ledger),
    Job(name="sweep", every="day", at=time(0, 5), missed="newest", work=_sweep),
    Job(name="monthly-report", every="month", at=time(8, 0), missed="each", work=_report),
    Job(name="reminders", every="day", at=time(8, 30), missed="newest", work=_reminders),
    Job(name="attestations", every="day", at=time(8, 30), missed="newest", work=_attestations),
    Job(name="retention", every="day", at=time(3, 30), missed="newest", work=_retention),
    Job(name="expiry", every="day", at=time(3, 40), missed="newest", work=_expiry),
    Job(name="machines", every="day", at=time(3, 50), missed="newest", work=_machines),
    Job(name="sightings", every="day", at=time(23, 50), missed="newest", work=_sightings),
)


# ── when ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def due_periods(job: Job, config: Config, since: datetime, last: str | None, now: datetime) -> list[Period]:
    """Periods of the job that are due at `now`, oldest first: after `last`, or from the one that `since` lies in on."""
    found = _days(job, config, since, now) if job.every == "day" else _months(job, config, since, now)
    open_ = [period for period in found if period.due_at <= now and (last is None or period.name > last)]
    return open_ if job.missed == "each" else open_[-1:]


def _days(job: Job, config: Config, since: datetime, now: datetime) -> list[Period]:
    today = now.astimezone(config.tz).date()
    first = max(since.astimezone(config.tz).date(), today - timedelta(days=400))
    days = (first + timedelta(days=number) for number in range((today - first).days + 1))
    return [Period(name=day.isoformat(), due_at=_at(day, job.at, config)) for day in days]


def _months(job: Job, config: Config, since: datetime, now: datetime) -> list[Period]:
    month, present = month_of(since, config.tz), month_of(now, config.tz)
    found: list[Period] = []
    while month < present:
        day = next_working_day(month.plus(1).first_day, config.office.holidays)
        found.append(Period(name=str(month), due_at=_at(day, job.at, config)))
        month = month.plus(1)
    return found


def _at(day: date, clock: time, config: Config) -> datetime:
    return datetime.combine(day, clock, config.tz)


class Schedule:
    """Wakes once a minute and does what is due; `run_due` does the same at any given moment."""

    def __init__(
        self,
        *,
        database: Database,
        config: Config,
        rules: Rulebook,
        clock: Callable[[], datetime],
        identity: tuple[UUID, int],
        table: Sequence[Job] = JOBS,
    ) -> None:
        self._database = database
        self._config = config
        self._rules = rules
        self._clock = clock
        self._collector_id = identity[0]
        self._table = table
        self._scheduler = BackgroundScheduler(timezone=config.tz)

    def start(self) -> None:
        """What was missed is done at once, beside whatever else is starting."""
        self._scheduler.add_job(
            self._wake, "interval", seconds=WAKE_S, next_run_time=datetime.now(self._config.tz), coalesce=True,
            max_instances=1, misfire_grace_time=None,
        )  # fmt: skip
        self._scheduler.start()

    def stop(self) -> None:
        """Waits for a job that is running."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def run_due(self, now: datetime) -> list[Ran]:
        """Do everything that is due and not done. One failing job stops its own later periods, never the other jobs."""
        done: list[Ran] = []
        for job in self._table:
            for period in self._due(job, now):
                ran = self._run(job, period, now)
                if ran is not None:
                    done.append(ran)
                    if ran.error:
                        break
        return done

    def _due(self, job: Job, now: datetime) -> list[Period]:
        with self._database.read() as connection:
            last = jobs.last_period(connection, job.name)
            since = connection.execute(
                sa.select(collectors.c.created_at).where(collectors.c.collector_id == self._collector_id)
            ).scalar_one()
        return due_periods(job, self._config, since, last, now)

    def _run(self, job: Job, period: Period, now: datetime) -> Ran | None:
        turn = Turn(
            job=job.name, period=period, now=now, database=self._database, config=self._config, rules=self._rules
        )
        try:
            detail = job.work(turn)
        except AlreadyDone:
            return None
        except Exception as error:
            log.exception("the job %s for %s failed and will be tried again", job.name, period.name)
            return Ran(job=job.name, period=period.name, error=str(error) or type(error).__name__)
        log.info("the job %s for %s is done: %s", job.name, period.name, detail)
        return Ran(job=job.name, period=period.name, detail=detail)

    def _wake(self) -> None:
        try:
            self.run_due(self._clock())
        except Exception:
            log.exception("scheduled work could not be looked after; the next try is in %d s", WAKE_S)
