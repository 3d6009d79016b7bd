"""What is due is done once, in order, and made up for."""

from __future__ import annotations

import email
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from secmon.config import Config
from secmon.resources import rules_dir
from secmon.rulebook import Rulebook
from secmon.schedule import JOBS, Job, Ran, Schedule, Turn, due_periods
from secmon.store import jobs as store
from secmon.store.database import Database
from secmon.store.schema import archived_reports, collectors, deliveries, results, sightings
from secmon.store.schema import jobs as jobs_table
from tests.support.office import START, Office, linux


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return Rulebook(rules_dir())


@pytest.fixture
def town(tmp_path: Path, database_url: str, rulebook: Rulebook) -> Iterator[Office]:
    """On SQLite and on PostgreSQL in turn."""
    built = Office(tmp_path, database_url, rules=rulebook.current)
    yield built
    built.database.close()


@pytest.fixture
def small_town(tmp_path: Path, rulebook: Rulebook) -> Iterator[Office]:
    """On SQLite alone, where the database is not what is being tested."""
    built = Office(tmp_path, rules=rulebook.current)
    yield built
    built.database.close()


DAILY = {
    *("attributes", "exceptions", "reminders", "attestations", "sweep", "retention", "expiry", "machines", "sightings"),
    "ledger",
}


def schedule(town: Office, rulebook: Rulebook, *table: Job, database: Database | None = None) -> Schedule:
    return Schedule(
        database=database or town.database,
        config=town.config,
        rules=rulebook,
        clock=lambda: START,
        identity=(town.collector_id, town.generation),
        table=table or JOBS,
    )


def job(name: str) -> Job:
    return next(each for each in JOBS if each.name == name)


def days(number: int, hour: int = 3) -> datetime:
    return START + timedelta(days=number, hours=hour)


def done(town: Office) -> set[tuple[str, str]]:
    with town.database.read() as connection:
        return {(row.job, row.period) for row in connection.execute(sa.select(jobs_table))}


# ── when ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

OFFICE = Config()


@pytest.mark.parametrize(
    ("month", "due"),
    [
        ("2026-10", datetime(2026, 11, 1, 23, 0, tzinfo=UTC)),  # 1 November is a Sunday
        ("2026-11", datetime(2026, 11, 30, 23, 0, tzinfo=UTC)),
        ("2027-04", datetime(2027, 5, 5, 23, 0, tzinfo=UTC)),  # 1–5 May: weekend and holidays
    ],
)
def test_it_is_time_for_the_report_on_the_first_working_day(month: str, due: datetime) -> None:
    since = due - timedelta(days=20)
    assert due_periods(job("monthly-report"), OFFICE, since, None, due - timedelta(seconds=1)) == []
    (period,) = due_periods(job("monthly-report"), OFFICE, since, None, due)
    assert (period.name, period.due_at) == (month, due)


def test_it_heeds_the_offices_own_holidays() -> None:
    closed = msgspec.structs.replace(OFFICE, office=msgspec.structs.replace(OFFICE.office, holidays=("12-01",)))
    since = datetime(2026, 11, 10, tzinfo=UTC)
    at = datetime(2026, 12, 1, 5, tzinfo=UTC)
    assert due_periods(job("monthly-report"), closed, since, None, at) == []
    assert due_periods(job("monthly-report"), closed, since, None, at + timedelta(days=1)) != []


def test_it_makes_up_for_each_missed_month_in_order_and_only_for_the_newest_day() -> None:
    since, now = datetime(2026, 8, 15, tzinfo=UTC), datetime(2026, 11, 20, 3, tzinfo=UTC)
    months = due_periods(job("monthly-report"), OFFICE, since, "2026-08", now)
    assert [period.name for period in months] == ["2026-09", "2026-10"]
    assert [period.name for period in due_periods(job("sweep"), OFFICE, since, "2026-11-01", now)] == ["2026-11-20"]


def test_it_owes_nothing_for_the_time_before_the_collector_was_there() -> None:
    since = datetime(2026, 12, 1, 0, 30, tzinfo=UTC)
    assert due_periods(job("monthly-report"), OFFICE, since, None, since + timedelta(hours=6)) == []


# ── once ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_does_each_job_once_for_each_period(town: Office, rulebook: Rulebook) -> None:
    plan = schedule(town, rulebook)
    first = plan.run_due(days(1))
    assert {ran.job for ran in first} == DAILY
    assert all(not ran.error for ran in first)
    assert plan.run_due(days(1)) == []
    assert {ran.job for ran in plan.run_due(days(2))} == DAILY


def test_it_never_does_in_two_processes_what_should_be_done_once(
    town: Office, rulebook: Rulebook, database_url: str
) -> None:
    together = threading.Barrier(2, timeout=20)
    effects = sa.Table("effects", sa.MetaData(), sa.Column("number", sa.Integer))
    effects.create(town.database.engine)

    def work(turn: Turn) -> str:
        together.wait()
        with turn.claim() as connection:
            connection.execute(sa.insert(effects).values(number=1))
            time.sleep(0.05)
            return turn.finish(connection, "counted")

    other = Database(database_url)
    counting = Job(name="counting", every="day", at=job("sweep").at, missed="newest", work=work)
    outcomes: list[list[Ran]] = []
    plans = [schedule(town, rulebook, counting, database=each) for each in (town.database, other)]

    def run(plan: Schedule) -> None:
        outcomes.append(plan.run_due(days(1)))

    threads = [threading.Thread(target=run, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    with town.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(effects)).scalar_one() == 1
    assert sorted(len(each) for each in outcomes) == [0, 1]
    other.close()


def test_it_undoes_the_claim_when_the_work_fails_and_tries_again(town: Office, rulebook: Rulebook) -> None:
    trouble = [True]

    def work(turn: Turn) -> str:
        with turn.claim() as connection:
            if trouble:
                raise OSError("no space left")
            return turn.finish(connection, "at last")

    def harmless(turn: Turn) -> str:
        with turn.claim() as connection:
            return turn.finish(connection, "fine")

    at = job("sweep").at
    plan = schedule(
        town,
        rulebook,
        Job(name="failing", every="day", at=at, missed="each", work=work),
        Job(name="other", every="day", at=at, missed="newest", work=harmless),
    )
    first = plan.run_due(days(1))
    assert [(ran.job, ran.error) for ran in first] == [("failing", "no space left"), ("other", "")]
    assert done(town) == {("other", "2026-11-03")}
    trouble.clear()
    assert [ran.period for ran in plan.run_due(days(1))] == ["2026-11-02", "2026-11-03"]


def test_it_claims_a_period_once(town: Office) -> None:
    with town.database.write() as connection:
        assert store.claim(connection, "backup", "2026-11-02", START)
        store.finish(connection, "backup", "2026-11-02", START, "12 files")
    with town.database.write() as connection:
        assert not store.claim(connection, "backup", "2026-11-02", START)
        assert store.claim(connection, "backup", "2026-11-03", START)
        assert store.last_period(connection, "backup") == "2026-11-03"
        assert store.last_period(connection, "other") is None


# ── the work ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_mails_the_report_of_the_month_before_to_every_recipient_once(town: Office, rulebook: Rulebook) -> None:
    mail = msgspec.structs.replace(town.config.mail, recipients=("it@town.example", "soumu@town.example"))
    town.config = msgspec.structs.replace(town.config, mail=mail)
    town.report(town.add_host("server", zone="lgwan", role="server"), linux(), days(20))
    now = datetime(2026, 12, 1, 0, 0, tzinfo=UTC)
    plan = schedule(town, rulebook)
    assert ("monthly-report", "2026-11") in {(ran.job, ran.period) for ran in plan.run_due(now)}
    plan.run_due(now + timedelta(hours=1))
    with town.database.read() as connection:
        rows = connection.execute(sa.select(deliveries).order_by(deliveries.c.recipient)).all()
        archived = connection.execute(sa.select(archived_reports)).all()
    assert [(row.recipient, row.rule, row.group_key, row.window_key) for row in rows] == [
        (address, "monthly-report", "monthly", "2026-11") for address in ("it@town.example", "soumu@town.example")
    ]
    assert len(archived) == 1
    message = email.message_from_bytes(rows[0].message, policy=default)
    assert isinstance(message, EmailMessage)
    assert message["Subject"] == "[月次報告] 令和8年11月分 情報セキュリティ点検（北の町役場）"
    body = message.get_body()
    assert body is not None
    assert "登録端末 1台、報告あり 1台" in body.get_content()
    (attachment,) = message.iter_attachments()
    assert attachment.get_filename() == "secmon-2026-11.pdf"
    assert attachment.get_content().startswith(b"%PDF-1.7")


def test_it_sends_nothing_twice_when_it_crashed_before_the_claim(small_town: Office, rulebook: Rulebook) -> None:
    now = datetime(2026, 12, 1, 0, 0, tzinfo=UTC)
    plan = schedule(small_town, rulebook, job("monthly-report"))
    plan.run_due(now)
    with small_town.database.write() as connection:
        connection.execute(sa.delete(jobs_table))
    plan.run_due(now + timedelta(minutes=5))
    with small_town.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(deliveries)).scalar_one() == 1
        assert connection.execute(sa.select(sa.func.count()).select_from(archived_reports)).scalar_one() == 1


def test_it_makes_up_for_months_that_were_missed(small_town: Office, rulebook: Rulebook) -> None:
    small_town.report(small_town.add_host("server", zone="lgwan", role="server"), linux(), days(10))
    ran = schedule(small_town, rulebook, job("monthly-report")).run_due(datetime(2027, 2, 10, tzinfo=UTC))
    assert [each.period for each in ran] == ["2026-11", "2026-12", "2027-01"]
    with small_town.database.read() as connection:
        periods = connection.execute(sa.select(archived_reports.c.period).order_by(archived_reports.c.report_id))
        assert list(periods.scalars()) == ["2026-11", "2026-12", "2027-01"]
        model = connection.execute(
            sa.select(archived_reports.c.model).where(archived_reports.c.period == "2027-01")
        ).scalar_one()
    assert msgspec.json.decode(model)["corrections"]["total"] == 0


def test_it_sweeps_what_the_clock_changes(small_town: Office, rulebook: Rulebook) -> None:
    host_id = small_town.add_host("server", zone="lgwan", role="server")
    small_town.report(host_id, linux(), days(0))
    schedule(small_town, rulebook, job("sweep")).run_due(days(20))
    with small_town.database.read() as connection:
        reasons = connection.execute(
            sa.select(results.c.reason).where(results.c.host_id == host_id, results.c.observed_to.is_(None))
        )
        assert "stale" in set(reasons.scalars())


def test_it_keeps_when_machines_were_seen(town: Office, rulebook: Rulebook) -> None:
    host_id = town.add_host("server", zone="lgwan", role="server")
    town.report(host_id, linux(), days(0))
    plan = schedule(town, rulebook, job("sightings"))
    plan.run_due(days(1))
    plan.run_due(days(2))
    town.heartbeat(host_id, days(3))
    plan.run_due(days(4))
    with town.database.read() as connection:
        seen = connection.execute(sa.select(sightings.c.observed_at).order_by(sightings.c.observed_at)).scalars()
        assert list(seen) == [days(0), days(3)]


def test_it_wakes_by_itself_and_stops_when_told(small_town: Office, rulebook: Rulebook) -> None:
    woken = threading.Event()

    def work(turn: Turn) -> str:
        with turn.claim() as connection:
            woken.set()
            return turn.finish(connection, "awake")

    plan = Schedule(
        database=small_town.database,
        config=small_town.config,
        rules=rulebook,
        clock=lambda: days(1),
        identity=(small_town.collector_id, small_town.generation),
        table=[Job(name="waking", every="day", at=job("sweep").at, missed="newest", work=work)],
    )
    plan.start()
    assert woken.wait(timeout=20)
    plan.stop()
    assert done(small_town) == {("waking", "2026-11-03")}


def test_it_stops_without_having_been_started(small_town: Office, rulebook: Rulebook) -> None:
    schedule(small_town, rulebook).stop()


def test_it_knows_since_when_from_the_collector_itself(small_town: Office, rulebook: Rulebook) -> None:
    with small_town.database.write() as connection:
        connection.execute(sa.insert(collectors).values(collector_id=uuid.uuid4(), generation=1, created_at=days(-900)))
    assert schedule(small_town, rulebook, job("monthly-report")).run_due(days(1)) == []
