"""Answers that end are told of by mail: once before, once when it has happened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from secmon.rulebook import Rulebook
from secmon.schedule import JOBS, Schedule
from secmon.store import attestations
from secmon.store.schema import deliveries
from tests.secmon.alerts.desk import body, parse
from tests.support.office import Office

MARCH = datetime(2027, 3, 1, 0, 30, tzinfo=UTC)
LAST = date(2027, 3, 31)


@pytest.fixture
def town(tmp_path: Path, few_rules: Path) -> Iterator[Office]:
    rulebook = Rulebook(few_rules)
    built = Office(tmp_path, rules=rulebook.current)
    yield built
    built.database.close()


def attest(town: Office, question: str, *, last: date = LAST, day: date = date(2026, 5, 1)) -> None:
    wanted = attestations.Wanted(
        question=question, asked="?", answer="yes", attested_on=day, due_on=last, post="総務課長", name="山田 太郎"
    )
    with town.database.write() as connection:
        attestations.add(connection, wanted, actor="test", now=datetime.combine(day, datetime.min.time(), UTC))


def remind(town: Office, few_rules: Path, now: datetime) -> None:
    Schedule(
        database=town.database,
        config=town.config,
        rules=Rulebook(few_rules),
        clock=lambda: now,
        identity=(town.collector_id, town.generation),
        table=[job for job in JOBS if job.name == "attestations"],
    ).run_due(now)


def mails(town: Office) -> list[tuple[str, str]]:
    query = sa.select(deliveries.c.message).where(deliveries.c.rule == "attestation-reminder")
    with town.database.read() as connection:
        rows = connection.execute(query.order_by(deliveries.c.created_at)).scalars()
        return [(str((mail := parse(row))["Subject"]), body(mail)) for row in rows]


def test_it_tells_once_before_and_once_after_the_last_day(town: Office, few_rules: Path) -> None:
    attest(town, "training")
    attest(town, "audit")
    for day in range(-5, 40, 3):
        remind(town, few_rules, MARCH + timedelta(days=day))

    soon, over = mails(town)
    assert soon[0] == over[0] == "[期限のお知らせ] 人による確認「職員研修」 ほか1件"
    assert "・職員研修（training）：令和9年3月31日まで。前回 総務課長 山田 太郎" in soon[1].replace("\n　　", "")
    assert "・監査（audit）" in soon[1]
    assert "期限切れ）。" not in soon[1]
    assert "令和9年3月31日まで（期限切れ）" in over[1].replace("\n　　", "")
    assert "secmon attest add" in over[1]


def test_it_says_nothing_of_what_was_answered_anew_nor_of_what_was_entered_for_a_short_time(
    town: Office, few_rules: Path
) -> None:
    attest(town, "training")
    attest(town, "training", day=date(2027, 2, 20), last=date(2028, 3, 31))
    attest(town, "audit", day=date(2027, 3, 1), last=date(2027, 3, 10))
    attest(town, "no-longer-asked")
    remind(town, few_rules, MARCH + timedelta(days=5))
    assert mails(town) == []

    remind(town, few_rules, MARCH + timedelta(days=12))
    assert [subject for subject, _ in mails(town)] == ["[期限のお知らせ] 人による確認「監査」"]
