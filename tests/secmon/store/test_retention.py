"""What is kept, and what goes."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from secmon.config import Config, Retention
from secmon.exceptions.model import Scope
from secmon.store.retention import expire, fiscal_cutoff, purge
from secmon.store.schema import (
    agent_keys,
    agents,
    audit,
    dispatches,
    enrollment_tokens,
    exceptions,
    host_agents,
    results,
    section_versions,
    sightings,
    sign_ins,
    stream_window,
    streams,
    transitions,
)
from secmon.store.speakers import new_agent
from tests.secmon.exceptions.registry import TELNET, enter, take_back
from tests.support.office import START, Office, linux

NOW = datetime(2026, 11, 24, tzinfo=UTC)
LONG_AGO = datetime(2020, 3, 1, tzinfo=UTC)


def rows(office: Office, table: sa.Table) -> int:
    with office.database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


@pytest.mark.parametrize(
    ("now", "years", "cutoff"),
    [
        (datetime(2026, 11, 24, tzinfo=UTC), 6, datetime(2020, 3, 31, 15, tzinfo=UTC)),
        (datetime(2026, 3, 31, 14, 59, tzinfo=UTC), 6, datetime(2019, 3, 31, 15, tzinfo=UTC)),
        (datetime(2026, 3, 31, 15, 0, tzinfo=UTC), 6, datetime(2020, 3, 31, 15, tzinfo=UTC)),
        (datetime(2026, 11, 24, tzinfo=UTC), 1, datetime(2025, 3, 31, 15, tzinfo=UTC)),
    ],
)
def test_it_counts_fiscal_years_from_april_at_the_office(now: datetime, years: int, cutoff: datetime) -> None:
    assert fiscal_cutoff(Config(retention=Retention(fiscal_years=years)), now) == cutoff


def test_it_removes_superseded_sections_after_their_days_and_never_the_present_ones(office: Office) -> None:
    host_id = office.add_host("server", zone="lgwan", at=NOW - timedelta(days=200))
    for version, age in (("11", 200), ("12", 95), ("13", 30)):
        office.report(host_id, linux(version), NOW - timedelta(days=age))
    with office.database.write() as connection:
        purge(connection, office.config, NOW)
    with office.database.read() as connection:
        kept = connection.execute(
            sa.select(section_versions.c.observed_from).where(section_versions.c.section == "os")
        ).scalars()
        assert sorted(kept) == [NOW - timedelta(days=95), NOW - timedelta(days=30)]


def test_it_removes_history_after_its_fiscal_years_but_nothing_that_is_open(office: Office) -> None:
    host_id = office.add_host("server", zone="lgwan", at=LONG_AGO)
    office.report(host_id, linux(), LONG_AGO)
    everything = rows(office, results)
    with office.database.write() as connection:
        closed = connection.execute(sa.select(results.c.check_id).limit(1)).scalar_one()
        connection.execute(
            sa.update(results).where(results.c.check_id == closed).values(observed_to=LONG_AGO + timedelta(days=1))
        )
        connection.execute(sa.insert(audit).values(at=LONG_AGO, actor="cli:x", action="old", detail="{}"))
        connection.execute(sa.insert(audit).values(at=NOW, actor="cli:x", action="new", detail="{}"))
        for observed in (LONG_AGO, LONG_AGO + timedelta(days=1)):
            connection.execute(sa.insert(sightings).values(host_id=host_id, observed_at=observed, recorded_at=observed))
        transition = connection.execute(sa.select(transitions.c.transition_id).limit(1)).scalar_one()
        connection.execute(sa.insert(dispatches).values(transition_id=transition, decided_at=LONG_AGO, outcome="none"))
        purge(connection, office.config, NOW)
    assert rows(office, results) == everything - 1
    assert (rows(office, audit), rows(office, transitions), rows(office, dispatches)) == (1, 0, 0)
    assert rows(office, sightings) == 1  # the last word of when it was seen


def test_it_keeps_what_is_younger(office: Office) -> None:
    host_id = office.add_host("server", zone="lgwan")
    office.report(host_id, linux(), NOW - timedelta(days=10))
    with office.database.write() as connection:
        assert purge(connection, office.config, NOW) == 0


def test_it_forgets_expired_sign_ins_at_once_and_tokens_a_month_later(office: Office) -> None:
    with office.database.write() as connection:
        for age in (31, 29, -1):
            connection.execute(
                sa.insert(enrollment_tokens).values(
                    token_hash=uuid.uuid4().bytes * 2, created_at=LONG_AGO, created_by="cli:x",
                    expires_at=NOW - timedelta(days=age), uses_left=1, networks="[]",
                )
            )  # fmt: skip
        for age in (1, -1):
            connection.execute(
                sa.insert(sign_ins).values(
                    secret_hash=uuid.uuid4().bytes * 2, kind="session", created_at=LONG_AGO,
                    expires_at=NOW - timedelta(hours=age),
                )
            )  # fmt: skip
        assert expire(connection, NOW) == 2
    assert (rows(office, enrollment_tokens), rows(office, sign_ins)) == (2, 1)


def test_it_forgets_the_window_of_a_stream_that_was_given_up_long_ago(office: Office) -> None:
    host = office.add_host("pc1", zone="lgwan")
    office.report(host, linux())
    speaker = office._speakers[host]
    speaker.stream = bytes(16)
    office.report(host, linux(), START + timedelta(days=1))

    def windows(now: datetime) -> int:
        with office.database.write() as connection:
            purge(connection, office.config, now)
            return connection.execute(sa.select(sa.func.count()).select_from(stream_window)).scalar_one()

    assert windows(START + timedelta(days=80)) == 2
    assert windows(START + timedelta(days=100)) == 1


def test_it_removes_exceptions_that_are_long_over_and_none_that_still_cover(office: Office) -> None:
    check = Scope(check=TELNET)
    gone = enter(office, check, LONG_AGO, first=LONG_AGO.date(), last=LONG_AGO.date() + timedelta(days=9))
    ended = enter(office, check, LONG_AGO, first=LONG_AGO.date(), last=NOW.date())
    take_back(office, ended, LONG_AGO + timedelta(days=1))
    kept = enter(office, check, NOW)
    with office.database.write() as connection:
        purge(connection, office.config, NOW)
        left = connection.execute(sa.select(exceptions.c.exception_id)).scalars().all()

    assert left == [kept.exception_id], gone.number


def test_it_forgets_what_the_former_keys_of_a_pool_leave_behind(office: Office) -> None:
    host_id = office.add_host("seat", at=LONG_AGO)
    office.report(host_id, linux(), LONG_AGO)
    office.add_host("other", at=LONG_AGO)

    def again(key: bytes, now: datetime) -> None:
        with office.database.write() as connection:
            new_agent(connection, host_id, key, key * 2, None, now)
            purge(connection, office.config, now)

    again(b"1" * 16, LONG_AGO + timedelta(days=1))
    assert (rows(office, stream_window), rows(office, streams)) == (1, 1), "revoked a moment ago"
    again(b"2" * 16, NOW - timedelta(days=400))
    assert (rows(office, stream_window), rows(office, streams)) == (0, 1)
    again(b"3" * 16, NOW)

    assert (rows(office, streams), rows(office, agents), rows(office, host_agents)) == (0, 4, 4)
    with office.database.read() as connection:
        keys = set(connection.execute(sa.select(agent_keys.c.key_id)).scalars())
    assert len(keys) == 4
    assert {b"1" * 16, b"2" * 16, b"3" * 16} <= keys, "the first one is forgotten, six years after it was revoked"
