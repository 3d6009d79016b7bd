"""What a month says, as known at its closing."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secmon.errors import UsageError
from secmon.judging import sweep
from secmon.reports import archive
from secmon.reports.model import Counts, MonthlyReport
from secmon.reports.month import Month, parse_month
from secmon.reports.monthly import monthly
from secmon.store import life
from secmon.store.hosts import set_attribute
from secmon.store.life import Act
from secmon.store.schema import collectors
from secmon.store.sightings import record_sightings
from tests.secmon.reports.conftest import Town, area

GOLDEN = Path(__file__).with_name("golden-monthly.json")
NOVEMBER = datetime(2026, 11, 2, 0, 0, tzinfo=UTC)
CLOSING = datetime(2026, 12, 1, 0, 0, tzinfo=UTC)
NEXT_CLOSING = datetime(2027, 1, 4, 0, 0, tzinfo=UTC)


def day(number: int, hour: int = 0) -> datetime:
    return datetime(2026, 11, number, hour, tzinfo=UTC)


def recompute(town: Town, month: str, closed_at: datetime) -> MonthlyReport:
    """The pure function itself, past the archive."""
    with town.database.read() as connection:
        return monthly(
            connection,
            month=parse_month(month),
            closed_at=closed_at,
            config=town.config,
            rules=town.rulebook.rules,
            collector_id=town.collector_id,
        )


def test_it_counts_each_machine_by_its_worst_answer(town: Town) -> None:
    good, bad, dark = (town.add_host(name, zone="lgwan", at=NOVEMBER) for name in ("good", "bad", "dark"))
    town.tell(good, day(20))
    town.tell(bad, day(20), telnet=True, length=4)
    town.tell(dark, day(20), length=None)
    report = town.monthly("2026-11", CLOSING)
    assert area(report, "password").machines == Counts(passed=1, failed=1, unknown=1)
    assert area(report, "password").answer == "fail"
    assert area(report, "ports").machines == Counts(passed=2, failed=1)
    assert area(report, "time").answer == "pass"
    assert [each.machine.name for each in report.failing] == ["bad"]
    assert [problem.item for problem in report.failing[0].problems] == ["23", ""]
    assert [(each.machine.name, each.checks) for each in report.unknown] == [("dark", 1)]


def test_it_keeps_a_machine_that_never_reported_in_every_denominator(town: Town) -> None:
    town.tell(town.add_host("talks", zone="lgwan", at=NOVEMBER), day(20))
    town.add_host("mute", zone="lgwan", at=NOVEMBER)
    report = town.monthly("2026-11", CLOSING)
    assert (report.coverage.machines, report.coverage.reporting, report.coverage.never_reported) == (2, 1, 1)
    assert area(report, "time").machines == Counts(passed=1, unknown=1)
    assert area(report, "time").answer == "unknown"
    assert report.trend[-1].answers == Counts(passed=3, unknown=3)


def test_it_leaves_out_what_lay_in_storage_at_the_months_end_and_says_how_many(town: Town) -> None:
    town.tell(town.add_host("used", zone="lgwan", at=NOVEMBER), day(20))
    town.tell(town.add_host("spare", zone="lgwan", at=NOVEMBER), day(3), telnet=True)
    with town.database.write() as connection:
        life.store(connection, "spare", Act(actor="test", now=day(10)))
    report = recompute(town, "2026-11", CLOSING)
    assert (report.coverage.machines, report.coverage.silent, report.coverage.stored) == (1, 0, 1)
    assert (report.failing, report.absent) == ((), ())
    assert report.trend[-1].answers == Counts(passed=3)
    with town.database.write() as connection:
        life.take_out(connection, "spare", Act(actor="test", now=CLOSING + timedelta(hours=1)))
    assert recompute(town, "2026-11", CLOSING) == report, "that it came back later changes nothing"


def test_it_tells_silent_from_reporting_machines_at_the_month_end(town: Town) -> None:
    for name, last in (("quiet", day(5)), ("back", day(5)), ("fine", day(25))):
        host_id = town.add_host(name, zone="lgwan", at=NOVEMBER)
        town.tell(host_id, last)
        if name == "back":
            with town.database.write() as connection:
                record_sightings(connection, day(6))
            town.heartbeat(host_id, CLOSING - timedelta(hours=1))  # after the month's end
    report = town.monthly("2026-11", CLOSING)
    assert [each.machine.name for each in report.absent] == ["back", "quiet"]
    assert report.coverage.silent == 2


def test_it_turns_old_answers_into_unknown(town: Town) -> None:
    town.tell(town.add_host("quiet", zone="lgwan", at=NOVEMBER), day(5))
    sweep(town.database, town.rules, town.config, day(29))
    report = town.monthly("2026-11", CLOSING)
    assert area(report, "time").machines == Counts(unknown=1)
    assert report.unknown[0].reasons == ("stale",)


def test_it_compares_with_the_end_of_the_month_before(town: Town) -> None:
    first, second = (town.add_host(name, zone="lgwan", at=NOVEMBER) for name in ("first", "second"))
    town.tell(first, day(20), telnet=True)
    town.tell(second, day(20), telnet=True)
    town.monthly("2026-11", CLOSING)
    town.tell(first, datetime(2026, 12, 19, tzinfo=UTC))
    town.tell(second, datetime(2026, 12, 20, tzinfo=UTC), telnet=True)
    report = town.monthly("2026-12", NEXT_CLOSING)
    assert area(report, "ports").machines == Counts(passed=1, failed=1)
    assert area(report, "ports").previous == Counts(failed=2)
    assert report.movement.resolved == 1
    assert [point.month for point in report.trend] == ["2026-11", "2026-12"]
    assert report.corrections is not None
    assert report.corrections.total == 0


def test_it_has_no_comparison_before_there_was_a_machine(small_town: Town) -> None:
    small_town.tell(small_town.add_host("new", zone="lgwan", at=NOVEMBER), day(20))
    report = small_town.monthly("2026-11", CLOSING)
    assert area(report, "time").previous is None
    assert report.corrections is None


def test_it_prints_what_arrived_after_the_closing_as_a_correction_next_month(town: Town) -> None:
    host_id = town.add_host("traveller", zone="lgwan", asset_number="R5-1", at=NOVEMBER)
    town.tell(host_id, day(20))
    closed = town.monthly("2026-11", CLOSING)
    assert area(closed, "ports").machines == Counts(passed=1)
    town.tell(host_id, day(28), telnet=True, received_at=CLOSING + timedelta(days=2))
    assert town.monthly("2026-11", NEXT_CLOSING) == closed
    following = town.monthly("2026-12", NEXT_CLOSING)
    assert following.corrections is not None
    (line,) = following.corrections.lines
    assert (line.machine.name, line.check, line.reported, line.corrected) == (
        "traveller", "ports.telnet", "pass", "fail",
    )  # fmt: skip
    assert area(following, "ports").previous == Counts(failed=1)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    late=st.lists(
        st.tuples(
            st.integers(min_value=0, max_value=2),
            st.integers(min_value=0, max_value=40),
            st.sampled_from((None, 4, 12)),
            st.booleans(),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_it_never_changes_a_closed_month_whatever_arrives_later(
    small_town: Town, late: list[tuple[int, int, int | None, bool]]
) -> None:
    names = [f"pc-{uuid.uuid4().hex[:8]}" for _ in range(3)]
    hosts = [small_town.add_host(name, zone="lgwan", at=NOVEMBER) for name in names]
    for number, host_id in enumerate(hosts[:2]):
        small_town.tell(host_id, day(8 + number), telnet=bool(number))
    with small_town.database.write() as connection:
        record_sightings(connection, CLOSING)
    before = recompute(small_town, "2026-11", CLOSING)
    received = CLOSING
    for number, days, length, telnet in late:
        received += timedelta(hours=1)
        observed = min(day(12) + timedelta(days=days), received)
        small_town.tell(hosts[number], observed, length=length, telnet=telnet, received_at=received)
    with small_town.database.write() as connection:
        record_sightings(connection, received)
    assert recompute(small_town, "2026-11", CLOSING) == before


def _share(counts: Counts) -> float:
    return counts.passed / counts.measured if counts.measured else 0.0


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    answers=st.lists(
        st.tuples(st.sampled_from((None, 4, 12)), st.sampled_from((None, True, False))), min_size=1, max_size=4
    ),
    lost=st.integers(min_value=0, max_value=3),
)
def test_it_never_raises_a_share_because_something_became_unknown(
    small_town: Town, answers: list[tuple[int | None, bool | None]], lost: int
) -> None:
    hosts = [small_town.add_host(f"pc-{uuid.uuid4().hex[:8]}", zone="lgwan", at=NOVEMBER) for _ in answers]
    for host_id, (length, synchronized) in zip(hosts, answers, strict=True):
        small_town.tell(host_id, day(10), length=length, synchronized=synchronized)
    before = recompute(small_town, "2026-11", day(12))
    small_town.tell(hosts[lost % len(hosts)], day(14), length=None, synchronized=None)
    after = recompute(small_town, "2026-11", day(16))
    for name in ("password", "time"):
        assert _share(area(after, name).machines) <= _share(area(before, name).machines)
        assert area(after, name).machines.measured == area(before, name).machines.measured
    assert _share(after.trend[-1].answers) <= _share(before.trend[-1].answers)


def test_it_uses_attributes_that_held_at_the_month_end(small_town: Town) -> None:
    host_id = small_town.add_host("moved", zone="lgwan", department="総務課", at=NOVEMBER)
    small_town.tell(host_id, day(20), telnet=True)
    with small_town.database.write() as connection:
        set_attribute(connection, host_id, "department", "議会事務局", CLOSING - timedelta(hours=2))
    report = small_town.monthly("2026-11", CLOSING)
    assert report.failing[0].machine.department == "総務課"


def test_it_asks_for_the_worst_three_things_first(small_town: Town) -> None:
    hosts = [small_town.add_host(f"pc{number}", zone="lgwan", department="総務課", at=NOVEMBER) for number in range(4)]
    small_town.tell(hosts[0], day(18), telnet=True)
    small_town.tell(hosts[1], day(28), length=4, synchronized=False)
    small_town.tell(hosts[2], day(28), length=4)
    report = small_town.monthly("2026-11", CLOSING)
    assert [(each.kind, each.check) for each in report.decisions] == [
        ("fix", "ports.telnet"), ("find", ""), ("fix", "password.length"),
    ]  # fmt: skip
    assert report.decisions[0].overdue == 1
    assert report.decisions[0].due_at == Month(year=2026, month=12).ends(small_town.config.tz) - timedelta(
        microseconds=1
    )
    assert report.decisions[2].departments == ("総務課",)


def test_it_marks_a_month_in_progress_and_does_not_archive_it(small_town: Town) -> None:
    small_town.tell(small_town.add_host("pc", zone="lgwan", at=NOVEMBER), day(20))
    archived = small_town.archived("2026-11", day(24))
    assert archived.report.interim
    assert archived.hash is None
    with small_town.database.read() as connection:
        assert archive.find(connection, Month(year=2026, month=11)) is None
    assert not small_town.monthly("2026-11", CLOSING).interim


def test_it_describes_an_office_without_machines(small_town: Town) -> None:
    report = small_town.monthly("2026-11", CLOSING)
    assert report.coverage.machines == 0
    assert (report.areas, report.decisions, report.trend) == ((), (), ())


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "november", "", "2026-11-01"])
def test_it_refuses_what_is_not_a_month(text: str) -> None:
    with pytest.raises(UsageError, match="write it like 2026-11"):
        parse_month(text)


def test_it_says_a_small_office_the_same_way_as_ever(small_town: Town) -> None:
    """`SECMON_GOLDEN=write pytest tests/secmon/reports` rewrites the file."""
    with small_town.database.write() as connection:
        connection.execute(sa.update(collectors).values(collector_id=uuid.UUID(int=1)))
    desk = small_town.add_host(
        "LG-PC001", zone="lgwan", department="総務課", asset_number="R5-0001", location="本庁2階", at=NOVEMBER
    )
    small_town.add_host("MN-PC001", zone="mynumber", department="税務住民課", at=NOVEMBER)
    small_town.tell(desk, day(20), telnet=True, length=None)
    report = small_town.monthly("2026-11", CLOSING)
    plain = msgspec.json.decode(archive.canonical(report))
    machines = [*(each.machine for each in report.failing), *(each.machine for each in report.absent)]
    text = msgspec.json.format(msgspec.json.encode(plain, order="sorted"), indent=2).decode() + "\n"
    for machine in machines:
        text = text.replace(str(machine.host_id), f"host_id of {machine.name}")
    if os.environ.get("SECMON_GOLDEN") == "write":
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_it_passes_nothing_that_is_too_old_even_where_the_collector_stood_still(small_town: Town) -> None:
    host = small_town.add_host("pc", zone="lgwan", at=NOVEMBER)
    small_town.tell(host, NOVEMBER)
    areas = {state.area: state.machines for state in small_town.archived("2026-11", CLOSING).report.areas}
    assert areas["password"].passed == 0
    assert areas["password"].unknown == 1
