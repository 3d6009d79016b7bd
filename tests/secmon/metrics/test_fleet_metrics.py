"""Machines in the metrics: whether they report, where they stand, and that a retired one disappears."""

from __future__ import annotations

import uuid
from datetime import timedelta

import sqlalchemy as sa

from secmon.store.schema import assets, hosts
from secmon_agent import facts
from tests.secmon.metrics.page import page
from tests.support.office import START, Office, linux

DAY = timedelta(days=1)


def test_it_counts_a_machine_in_exactly_one_state(office: Office) -> None:
    office.report(office.add_host("a", zone="lgwan", department="総務課"), linux(), START + 9 * DAY)
    office.report(
        office.add_host("b", zone="lgwan", department="総務課", at=START - 30 * DAY), linux(), START - 30 * DAY
    )
    office.add_host("c", zone="lgwan", department="総務課")
    seen = page(office, START + 10 * DAY)
    states = {labels["state"]: seen.value("hosts", **labels) for labels in seen.of("hosts", department="総務課")}
    assert states == {"reporting": 1, "silent": 1, "never_reported": 1, "unlisted": 0, "stored": 0}
    assert seen.sum("hosts") == 3


def test_it_says_since_when_a_machine_is_silent_and_only_then(office: Office) -> None:
    office.report(office.add_host("here", zone="lgwan"), linux(), START)
    office.report(office.add_host("gone", zone="lgwan", at=START - 20 * DAY), linux(), START - 20 * DAY)
    seen = page(office, START + DAY)
    assert seen.of("host_silent_since_timestamp_seconds") == [{"host": "gone"}]
    assert seen.value("host_silent_since_timestamp_seconds") == (START - 20 * DAY).timestamp()
    assert seen.value("host_last_report_timestamp_seconds", host="here") == START.timestamp()


def test_it_measures_the_ledger_where_there_is_one(office: Office) -> None:
    office.report(office.add_host("listed", zone="lgwan", asset_number="A-1"), linux(), START)
    office.report(office.add_host("unlisted", zone="lgwan"), linux(), START)
    office.report(office.add_host("silent", zone="lgwan", at=START - 20 * DAY), linux(), START - 20 * DAY)
    retired = office.add_host("retired", zone="lgwan", asset_number="A-2")
    with office.database.write() as connection:
        connection.execute(sa.update(hosts).where(hosts.c.host_id == retired).values(retired_at=START))
        connection.execute(sa.insert(assets).values(asset_id=uuid.uuid4(), asset_number="A-3", recorded_at=START))
    seen = page(office, START + DAY)
    assert seen.value("hosts", zone="lgwan", state="reporting") == 1
    assert seen.value("hosts", zone="lgwan", state="unlisted") == 1
    assert seen.value("hosts", zone="lgwan", state="silent") == 1, "silence comes before the ledger"
    assert seen.value("hosts", zone="none", state="never_reported") == 1, "a ledger row that nobody has seen"
    assert seen.value("hosts", zone="none", state="stored") == 1, "its machine was retired"


def test_it_forgets_a_retired_machine(office: Office) -> None:
    host = office.add_host("old", zone="lgwan", department="税務課")
    office.report(host, linux("9"), START)
    assert page(office, START).of("finding_opened_timestamp_seconds", host="old")
    with office.database.write() as connection:
        connection.execute(sa.update(hosts).where(hosts.c.host_id == host).values(retired_at=START))
    seen = page(office, START)
    assert not [sample for sample in seen.samples if sample.labels.get("host") == "old"]
    assert all(seen.sum(name) == 0 for name in ("hosts", "check_hosts", "area_hosts", "section_hosts", "findings"))


def test_it_tells_what_a_machine_is(office: Office) -> None:
    host = office.add_host("db", zone="lgwan", department="税務課", role="server")
    office.report(host, linux("12"), START)
    office.add_host("new")
    seen = page(office, START)
    assert seen.of("host_info", host="db") == [
        {
            "host": "db", "host_id": str(host), "zone": "lgwan", "department": "税務課", "role": "server",
            "os": "debian", "os_version": "12", "agent_version": "0.1.0",
        }
    ]  # fmt: skip
    (new,) = seen.of("host_info", host="new")
    assert (new["zone"], new["department"], new["role"], new["os"]) == ("none", "none", "none", "unknown")
    assert seen.value("agents", version="0.1.0", os="linux") == 1
    assert seen.value("product_hosts", zone="lgwan", product="debian", cycle="12") == 1
    assert seen.value("product_end_of_support_timestamp_seconds", product="debian", cycle="12") is not None
    assert not seen.of("product_hosts", product="unknown"), "a machine that never reported has no product"


def test_it_names_a_windows_release_as_people_do(office: Office) -> None:
    system = facts.Os(family="windows", id="windows", version="24H2", build=26100, edition="Professional")
    office.report(office.add_host("pc", zone="lgwan"), {"os": system}, START)
    seen = page(office, START)
    assert seen.value("product_hosts", zone="lgwan", product="windows", cycle="24H2") == 1
    assert seen.value("product_end_of_support_timestamp_seconds", product="windows", cycle="24H2") is not None


def test_it_keeps_any_department_name_whole(office: Office) -> None:
    name = '企画"財政\\課\n二係'
    office.report(office.add_host("a", zone="lgwan", department=name), linux(), START)
    assert page(office, START).value("hosts", department=name, state="reporting") == 1


def test_it_shows_the_newest_data_of_each_zone(office: Office) -> None:
    office.report(office.add_host("a", zone="lgwan"), linux(), START)
    office.report(office.add_host("b", zone="lgwan", at=START - DAY), linux(), START - DAY)
    office.add_host("c", zone="internet")
    seen = page(office, START + DAY)
    assert seen.of("zone_data_timestamp_seconds") == [{"zone": "lgwan"}]
    assert seen.value("zone_data_timestamp_seconds") == START.timestamp()


def test_it_gives_every_configured_zone_its_zeros(office: Office) -> None:
    seen = page(office, START)
    assert {labels["zone"] for labels in seen.of("hosts")} == {"lgwan", "mynumber", "internet"}
    assert seen.sum("hosts") == 0
    assert len(seen.of("finding_transitions_total")) == 3 * 2 * 5
    assert seen.value("findings", zone="lgwan", severity="high", state="open") == 0
    assert seen.value("notifications_total", channel="smtp", outcome="parked") == 0
