"""Excepted and disputed stand apart in the metrics, and in every denominator."""

from __future__ import annotations

from datetime import timedelta

from secmon.exceptions.model import Scope
from tests.secmon.alerts.desk import listening
from tests.secmon.exceptions.registry import TELNET, enter, take_back
from tests.secmon.metrics.page import Page, exposition
from tests.secmon.metrics.page import page as page_of
from tests.support.office import START, Office

HOUR = timedelta(hours=1)


def states(page: Page) -> dict[str, float]:
    return {state: page.sum("findings", state=state, severity="high") for state in ("open", "excepted", "disputed")}


def test_it_counts_excepted_and_disputed_findings_by_their_state(office: Office) -> None:
    hosts = [office.add_host(name, zone="lgwan") for name in ("PC-01", "PC-02", "PC-03")]
    for host in hosts:
        office.report(host, listening(22, 23), START)
    enter(office, Scope(check=TELNET, host_id=hosts[0]), START + HOUR)
    enter(office, Scope(check=TELNET, host_id=hosts[1]), START + HOUR, kind="dispute")
    seen = page_of(office, START + timedelta(days=8))
    before = page_of(office, START + HOUR / 2)
    assert states(before) == states(seen)
    assert states(seen)["excepted"] == states(seen)["disputed"] == 1
    late = seen.of("finding_due_timestamp_seconds", check=TELNET)
    assert [labels["host"] for labels in late] == ["PC-03"]
    assert len(seen.of("host_exposed_ports", risk="high")) == 1
    answers = {status: seen.value("check_hosts", check=TELNET, zone="lgwan", status=status) for status in
               ("fail", "excepted", "unknown", "pass")}  # fmt: skip
    assert answers == {"fail": 1, "excepted": 1, "unknown": 1, "pass": 0}
    assert seen.sum("area_hosts", area="ports", zone="lgwan") == 3


def test_it_remembers_no_answer_from_before_the_exception(office: Office) -> None:
    host = office.add_host("PC-01", zone="lgwan")
    office.report(host, listening(22, 23), START)
    now = START + HOUR
    shown = exposition(office, lambda: now)
    assert Page(shown.render("")[0]).value("check_hosts", check=TELNET, zone="lgwan", status="fail") == 1
    record = enter(office, Scope(check=TELNET, host_id=host), now)
    now += HOUR
    assert Page(shown.render("")[0]).value("check_hosts", check=TELNET, zone="lgwan", status="excepted") == 1
    take_back(office, record, now)
    now += HOUR
    assert Page(shown.render("")[0]).value("check_hosts", check=TELNET, zone="lgwan", status="fail") == 1


def test_it_says_when_an_exception_in_force_ends(office: Office) -> None:
    scope = Scope(check=TELNET, zone="lgwan")
    record = enter(office, scope, START)
    enter(office, scope, START, kind="dispute")
    take_back(office, enter(office, scope, START), START + HOUR)
    seen = page_of(office, START + 2 * HOUR)
    (labels,) = seen.of("exception_expiry_timestamp_seconds")
    assert labels == {"exception": "2026-E01", "check": TELNET}
    assert seen.value("exception_expiry_timestamp_seconds", **labels) == record.valid_to.timestamp()
