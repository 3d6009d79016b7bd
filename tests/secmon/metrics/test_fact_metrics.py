"""Facts in the metrics: updates, restarts and ports, and that what is not known is never counted as well."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Literal

from secmon.metrics.ports import MAX_PORTS
from secmon_agent import facts, wire
from tests.secmon.metrics.page import Page, exposition, page
from tests.support.office import START, Office, linux

DAY = timedelta(days=1)
NOW = START + timedelta(hours=1)


def update(name: str, *, security: bool = True, since: datetime | None = START) -> facts.PendingUpdate:
    if since is None:
        return facts.PendingUpdate(package=name, security=security)
    return facts.PendingUpdate(package=name, security=security, pending_since=since)


def patches(*pending: facts.PendingUpdate, security_archive: bool = True) -> facts.Patches:
    return facts.Patches(manager="apt", lists_updated_at=START, pending=pending, security_archive=security_archive)


def bands(seen: Page, zone: str = "lgwan") -> dict[str, float]:
    counts = {
        labels["band"]: seen.value("update_age_hosts", **labels) for labels in seen.of("update_age_hosts", zone=zone)
    }
    return {band: count for band, count in counts.items() if count}


def test_it_counts_pending_updates_by_kind_and_only_above_zero(office: Office) -> None:
    undecided = facts.PendingUpdate(package="odd")
    sections = linux(patches=patches(update("a"), update("b"), update("c", security=False), undecided))
    office.report(office.add_host("a", zone="lgwan"), sections, START)
    office.report(office.add_host("b", zone="lgwan"), linux(patches=patches()), START)
    seen = page(office, NOW)
    counts = {
        labels["kind"]: seen.value("host_pending_updates", **labels) for labels in seen.of("host_pending_updates")
    }
    assert counts == {"security": 2, "other": 1, "unknown": 1}
    assert not seen.of("host_pending_updates", host="b")


def test_it_dates_the_oldest_security_update(office: Office) -> None:
    pending = (
        update("new"),
        update("old", since=START - 20 * DAY),
        update("x", security=False, since=START - 90 * DAY),
    )
    office.report(office.add_host("a", zone="lgwan"), linux(patches=patches(*pending)), START)
    seen = page(office, NOW)
    oldest = seen.value("host_oldest_pending_security_update_timestamp_seconds", host="a")
    assert oldest == (START - 20 * DAY).timestamp()
    assert bands(seen) == {"14d_to_30d": 1}


def test_it_puts_every_machine_in_the_band_of_its_oldest_update(office: Office) -> None:
    for days, name in ((1, "a"), (7, "b"), (20, "c"), (31, "d"), (400, "e")):
        sections = linux(patches=patches(update("p", since=NOW - days * DAY)))
        office.report(office.add_host(name, zone="lgwan"), sections, START)
    office.report(office.add_host("f", zone="lgwan"), linux(patches=patches()), START)
    assert bands(page(office, NOW)) == {"none": 1, "under_7d": 1, "7d_to_14d": 1, "14d_to_30d": 1, "over_30d": 2}


def test_it_never_takes_the_unknown_for_well(office: Office) -> None:
    """Nothing pending counts only where a security archive was asked, all was read, and it is fresh."""
    unproven = {
        "no-archive": patches(security_archive=False),
        "unread": facts.Patches(manager="apt", security_archive=True),
        "undated": patches(update("p", since=None)),
        "undecided": patches(facts.PendingUpdate(package="p")),
        "denied": wire.other_section("denied", "needs root", START),
    }
    for name, section in unproven.items():
        office.report(office.add_host(name, zone="lgwan"), linux(patches=section), START)
    office.report(office.add_host("no-section", zone="lgwan"), linux(), START)
    office.report(
        office.add_host("stale", zone="lgwan", at=START - 30 * DAY), linux(patches=patches()), START - 30 * DAY
    )
    office.add_host("never", zone="lgwan")
    absent = wire.other_section("absent", "no package manager", START)
    office.report(office.add_host("absent", zone="lgwan"), linux(patches=absent), START)
    seen = page(office, NOW)
    assert bands(seen) == {"unknown": len(unproven) + 3}
    assert seen.value("section_hosts", section="patches", zone="lgwan", status="denied") == 1
    assert seen.value("section_hosts", section="patches", zone="lgwan", status="absent") == 1


def test_it_passes_over_a_section_of_a_later_shape(office: Office) -> None:
    data = b"\x81\xaereboot_pending\xa3yes"
    odd = wire.Section(status="ok", digest=hashlib.sha256(data).digest(), collected_at=START, data=data)
    office.report(office.add_host("a", zone="lgwan"), linux(boot=odd), START)
    seen = page(office, NOW)
    assert not seen.of("host_reboot_pending_since_timestamp_seconds")
    assert seen.value("hosts", zone="lgwan", state="reporting") == 1


def test_it_says_since_when_a_restart_is_due(office: Office) -> None:
    dated = facts.Boot(reboot_pending=True, reboot_pending_since=START - 3 * DAY)
    office.report(office.add_host("dated", zone="lgwan"), linux(boot=dated), START)
    office.report(office.add_host("undated", zone="lgwan"), linux(boot=facts.Boot(reboot_pending=True)), START)
    office.report(office.add_host("well", zone="lgwan"), linux(boot=facts.Boot(reboot_pending=False)), START)
    seen = page(office, NOW)
    name = "host_reboot_pending_since_timestamp_seconds"
    assert seen.value(name, host="dated") == (START - 3 * DAY).timestamp()
    assert seen.value(name, host="undated") == START.timestamp(), "since the collector first saw it"
    assert not seen.of(name, host="well")


def listening(
    port: int, reach: facts.Reach = "network", protocol: Literal["tcp", "udp"] = "tcp"
) -> facts.ListeningPort:
    return facts.ListeningPort(protocol=protocol, address="0.0.0.0", port=port, reach=reach, process="p")


def test_it_counts_machines_by_port_and_folds_the_rare_ones(office: Office) -> None:
    many = tuple(listening(port) for port in range(1000, 1000 + MAX_PORTS + 5))
    office.report(office.add_host("a", zone="lgwan"), linux(ports=facts.Ports(listening=(*many, listening(22)))), START)
    office.report(
        office.add_host("b", zone="internet"),
        linux(ports=facts.Ports(listening=(listening(22), listening(631, "loopback"), listening(53, protocol="udp")))),
        START,
    )
    seen = page(office, NOW)
    assert seen.value("port_hosts", zone="lgwan", protocol="tcp", port="22") == 1
    assert seen.value("port_hosts", zone="internet", protocol="tcp", port="22") == 1
    assert seen.value("port_hosts", zone="lgwan", protocol="tcp", port="other") == 1, "one machine, however many ports"
    assert not seen.of("port_hosts", port="631")
    assert (
        len({(labels["protocol"], labels["port"]) for labels in seen.of("port_hosts")} - {("tcp", "other")})
        <= MAX_PORTS + 1
    )


def test_it_counts_exposed_ports_by_risk(office: Office) -> None:
    sections = linux(ports=facts.Ports(listening=(listening(23), listening(5432), listening(22))))
    office.report(office.add_host("a", zone="lgwan"), sections, START)
    seen = page(office, NOW)
    assert seen.value("host_exposed_ports", host="a", risk="high") == 1
    assert seen.value("host_exposed_ports", host="a", risk="unexpected") == 1


def test_it_sees_what_changed_since_the_last_page(office: Office) -> None:
    """What is remembered from page to page never hides a change."""
    host = office.add_host("a", zone="lgwan")
    office.report(host, linux("9", patches=patches(update("p"))), START)
    asked = exposition(office, lambda: NOW)
    before = Page(asked.render("")[0])
    assert before.value("check_hosts", check="support.os", zone="lgwan", status="fail") == 1
    office.report(host, linux("12", patches=patches()), START + timedelta(minutes=5))
    after = Page(asked.render("")[0])
    assert after.value("check_hosts", check="support.os", zone="lgwan", status="fail") == 0
    assert after.value("check_hosts", check="support.os", zone="lgwan", status="pass") == 1
    assert not after.of("host_pending_updates")
    assert after.value("host_info", host="a", os_version="12") == 1
    assert after.sum("finding_transitions_total", zone="lgwan", event="resolved", cause="machine") >= 1
