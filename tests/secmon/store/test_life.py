"""What becomes of a machine: another name, another machine in its place, a double, storage, an end."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from secmon.console import queries
from secmon.console.queries import Choice
from secmon.errors import Failure
from secmon.ingest.admission import Refused
from secmon.store import life, speakers
from secmon.store.hosts import attributes_of
from secmon.store.life import Act
from secmon.store.schema import assets, audit, findings, host_assets, hosts, results, transitions
from tests.secmon.metrics.page import page
from tests.support.office import START, Office, linux

DAY = timedelta(days=1)


def act(at: datetime = START + DAY) -> Act:
    return Act(actor="cli:test", now=at)


def name_of(office: Office, host_id: uuid.UUID) -> str:
    with office.database.read() as connection:
        return str(connection.execute(sa.select(hosts.c.name).where(hosts.c.host_id == host_id)).scalar_one())


def unresolved(office: Office, host_id: uuid.UUID) -> int:
    query = sa.select(sa.func.count()).where(findings.c.host_id == host_id, findings.c.resolved_at.is_(None))
    with office.database.read() as connection:
        return connection.execute(query).scalar_one()


def asset_of(office: Office, host_id: uuid.UUID) -> str | None:
    query = (
        sa.select(assets.c.asset_number)
        .join(host_assets, host_assets.c.asset_id == assets.c.asset_id)
        .where(host_assets.c.host_id == host_id, host_assets.c.valid_to.is_(None))
    )
    with office.database.read() as connection:
        return connection.execute(query).scalar()


def attributes(office: Office, host_id: uuid.UUID, at: datetime | None = None) -> dict[str, str]:
    with office.database.read() as connection:
        return attributes_of(connection, [host_id], at).get(host_id, {})


def acts(office: Office) -> list[tuple[str, str, str]]:
    with office.database.read() as connection:
        rows = connection.execute(sa.select(audit.c.actor, audit.c.action, audit.c.subject).order_by(audit.c.audit_id))
        return [(row.actor, row.action, row.subject) for row in rows]


def test_it_renames_a_machine_everywhere(office: Office) -> None:
    host = office.add_host("DESKTOP-0AB12CD", zone="lgwan")
    office.report(host, linux("9"))
    with office.database.write() as connection:
        life.rename(connection, "DESKTOP-0AB12CD", "総務課-03", act())
    assert name_of(office, host) == "総務課-03"
    assert page(office, START).of("finding_opened_timestamp_seconds", host="総務課-03")
    assert acts(office) == [("cli:test", "host.rename", "DESKTOP-0AB12CD")]


def test_it_gives_no_name_twice_and_none_that_cannot_be_shown(office: Office) -> None:
    office.add_host("a")
    office.add_host("b")
    office.add_host("gone")
    with office.database.write() as connection:
        life.retire(connection, "gone", act(), reason="broken")
    for name, why in (
        ("b", "the name of a host already"),
        ("gone", "retired on 2026-11-03"),
        ("", "1 to 255"),
        ("x\n", "control"),
        (" x", "outer spaces"),
        (str(uuid.uuid4()), "reads like the id"),
    ):
        with pytest.raises(Failure, match=why), office.database.write() as connection:
            life.rename(connection, "a", name, act())
    with office.database.write() as connection:
        life.rename(connection, "a", "a", act())


def test_it_retires_a_machine_and_keeps_its_history(office: Office) -> None:
    host = office.add_host("old", zone="lgwan", asset_number="A-1")
    office.report(host, linux("9"))
    assert unresolved(office, host)
    with office.database.write() as connection:
        life.retire(connection, "old", act(), reason="sold")
    assert unresolved(office, host) == 0
    with office.database.read() as connection:
        closed = connection.execute(sa.select(results.c.observed_to).where(results.c.host_id == host)).scalars().all()
        told = connection.execute(
            sa.select(transitions.c.cause).where(transitions.c.host_id == host, transitions.c.event == "resolved")
        ).scalars()
        assert set(told) == {"attributes"}, "nobody mended anything, so nobody is told of a recovery"
    assert closed
    assert set(closed) == {START + DAY}
    assert asset_of(office, host) is None
    with pytest.raises(Refused, match="revoked"):
        office.heartbeat(host, START + 2 * DAY)
    seen = page(office, START + DAY)
    assert not [sample for sample in seen.samples if sample.labels.get("host") == "old"]
    with office.database.read() as connection:
        assert queries.fleet(connection, Choice(), office.config, office.rules, START + DAY).hosts == ()


def test_it_puts_a_new_machine_in_the_place_of_an_old_one(office: Office) -> None:
    old = office.add_host("old", zone="lgwan", department="税務課", asset_number="A-1", location="2階")
    new = office.add_host("new", zone="internet", role="office-pc")
    office.report(old, linux("9"))
    with office.database.write() as connection:
        assert life.replace(connection, "old", "new", act()) == new
    assert attributes(office, new) == {"zone": "lgwan", "department": "税務課", "location": "2階", "role": "office-pc"}
    assert attributes(office, new, START) == {"zone": "internet", "role": "office-pc"}, "the past stays"
    assert (asset_of(office, old), asset_of(office, new)) == (None, "A-1")
    assert unresolved(office, old) == 0
    assert page(office, START + DAY).value("hosts", zone="lgwan", department="税務課", state="never_reported") == 1
    with pytest.raises(Failure, match="old was retired on 2026-11-03"), office.database.write() as connection:
        life.replace(connection, "old", "new", act())


def test_it_leaves_a_new_machine_its_own_row_of_the_ledger(office: Office) -> None:
    old, new = office.add_host("old", asset_number="A-1"), office.add_host("new", asset_number="A-2")
    with office.database.write() as connection:
        life.replace(connection, "old", "new", act())
    assert (asset_of(office, old), asset_of(office, new)) == (None, "A-2")


def test_it_merges_two_records_and_lets_the_agent_that_lives_speak_for_the_one_that_goes_on(office: Office) -> None:
    host = office.add_host("pc1", zone="lgwan", asset_number="A-1")
    double = office.add_host("pc1-2", zone="internet", department="総務課")
    office.report(host, linux("9"), START)
    office.report(double, linux("12"), START + DAY)
    with office.database.write() as connection:
        assert life.merge(connection, "pc1", "pc1-2", act(START + 2 * DAY)) == host
    assert attributes(office, host) == {"zone": "lgwan", "department": "総務課"}
    assert asset_of(office, host) == "A-1"
    office.report(double, linux("12"), START + 3 * DAY)
    seen = page(office, START + 3 * DAY)
    assert [labels["host"] for labels in seen.of("host_info")] == ["pc1"]
    assert seen.value("host_last_report_timestamp_seconds", host="pc1") == (START + 3 * DAY).timestamp()
    assert unresolved(office, double) == 0
    with pytest.raises(AssertionError):
        office.heartbeat(host, START + 3 * DAY)  # whoever spoke for it before is known no longer


def test_it_merges_a_dead_double_without_touching_who_speaks(office: Office) -> None:
    host, double = office.add_host("pc1"), office.add_host("pc1-2")
    office.report(double, linux(), START)
    office.report(host, linux(), START + DAY)
    with office.database.write() as connection:
        life.merge(connection, "pc1", "pc1-2", act(START + 2 * DAY))
    assert office.heartbeat(host, START + 3 * DAY).outcome == "heartbeat"
    with pytest.raises(Refused, match="revoked"):
        office.heartbeat(double, START + 3 * DAY)


def test_a_revoked_agent_never_takes_the_place_of_one_that_is_heard(office: Office) -> None:
    host, double = office.add_host("pc1"), office.add_host("pc1-2")
    office.report(host, linux(), START)
    office.report(double, linux(), START + DAY)
    with office.database.write() as connection:
        speakers.revoke(connection, double, "stolen", START + DAY)
        life.merge(connection, "pc1", "pc1-2", act(START + 2 * DAY))
    assert office.heartbeat(host, START + 3 * DAY).outcome == "heartbeat"


def test_it_expects_nothing_of_a_machine_in_storage(office: Office) -> None:
    host = office.add_host("spare", zone="lgwan", department="総務課", at=START - 30 * DAY)
    office.report(host, linux("9"), START - 30 * DAY)
    assert page(office, START).of("host_silent_since_timestamp_seconds")
    with office.database.write() as connection:
        life.store(connection, "spare", act(START))
    seen = page(office, START + DAY)
    assert seen.value("hosts", zone="lgwan", department="総務課", state="stored") == 1
    assert seen.sum("hosts") == 1
    assert not seen.of("host_silent_since_timestamp_seconds")
    assert all(seen.sum(name) == 0 for name in ("check_hosts", "area_hosts", "section_hosts", "findings"))
    with office.database.read() as connection:
        fleet = queries.fleet(connection, Choice(), office.config, office.rules, START + DAY)
    assert fleet.contact["stored"] == 1
    assert sum(fleet.findings.values()) == 0
    assert {sum(area.hosts.values()) for area in fleet.areas} == {0}
    with office.database.write() as connection:
        life.take_out(connection, "spare", act(START + 2 * DAY))
    assert page(office, START + 3 * DAY).of("host_silent_since_timestamp_seconds") == [{"host": "spare"}]
    assert [action for _, action, _ in acts(office)] == ["host.store", "host.take-out"]


def test_it_takes_out_of_storage_what_goes_on_reporting(office: Office) -> None:
    used, kept, asleep = (office.add_host(name) for name in ("used", "kept", "asleep"))
    for host in (used, kept):
        office.report(host, linux())
    with office.database.write() as connection:
        for name in ("used", "kept", "asleep"):
            life.store(connection, name, act(START))
    office.heartbeat(used, START + 2 * DAY)
    office.heartbeat(kept, START + DAY / 2)  # switched off only after it was stored on paper
    with office.database.write() as connection:
        assert life.take_out_what_reports(connection, act(START + 3 * DAY)) == 1
    assert [attributes(office, host) for host in (used, kept, asleep)] == [{}, {"use": "stored"}, {"use": "stored"}]


def store_twice(connection: sa.Connection) -> None:
    life.store(connection, "a", act())
    life.store(connection, "a", act())


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda c: life.take_out(c, "a", act()), "a is not stored"),
        (lambda c: life.store(c, "nobody", act()), "there is no host 'nobody'"),
        (lambda c: life.replace(c, "a", "a", act()), "the same host"),
        (lambda c: life.merge(c, "a", "nobody", act()), "there is no host 'nobody'"),
        (store_twice, "a is stored already"),
    ],
)
def test_it_says_why_not(office: Office, call: Callable[[sa.Connection], object], why: str) -> None:
    office.add_host("a")
    with pytest.raises(Failure, match=why), office.database.write() as connection:
        call(connection)
    assert acts(office) == []
