"""Findings and answers in the metrics: every machine in every denominator, the worst first, counters that only rise."""

from __future__ import annotations

import uuid
from datetime import timedelta

import sqlalchemy as sa

from secmon.judging import note_ruleset
from secmon.metrics.totals import Totals
from secmon.metrics.view import MAX_SERIES
from secmon.store.schema import deliveries, dispatches, findings, jobs, transitions
from secmon_agent import facts
from tests.secmon.metrics.page import page
from tests.support.office import START, Office, linux

DAY = timedelta(days=1)


def telnet(*ports: int) -> facts.Ports:
    return facts.Ports(
        listening=tuple(
            facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=port, reach="network", process="p")
            for port in ports
        )
    )


def test_it_keeps_every_machine_in_every_denominator(office: Office) -> None:
    office.report(office.add_host("well", zone="lgwan", department="総務課"), linux(), START)
    office.report(office.add_host("ill", zone="lgwan", department="総務課"), linux("9"), START)
    office.add_host("never", zone="lgwan", department="総務課")
    seen = page(office, START)
    for check in office.rules.checks:
        assert seen.sum("check_hosts", check=check, zone="lgwan") == 3
    for area in {check.area for check in office.rules.checks.values()}:
        assert seen.sum("area_hosts", area=area, zone="lgwan", department="総務課") == 3
    assert seen.value("check_hosts", check="support.os", zone="lgwan", status="fail") == 1
    assert seen.value("check_hosts", check="support.os", zone="lgwan", status="unknown") == 1


def test_it_counts_a_machine_by_its_worst_answer_in_the_area(office: Office) -> None:
    host = office.add_host("a", zone="lgwan", department="総務課")
    office.report(host, linux(ports=telnet(23)), START)
    seen = page(office, START)
    answers = {labels["check"]: labels["status"] for labels in seen.of("check_hosts", zone="lgwan")
               if labels["check"].startswith("ports.") and seen.value("check_hosts", **labels)}  # fmt: skip
    assert set(answers.values()) >= {"fail", "pass"}
    assert seen.value("area_hosts", area="ports", zone="lgwan", department="総務課", status="fail") == 1
    assert seen.sum("area_hosts", area="ports", zone="lgwan") == 1


def test_it_shows_one_series_for_all_items_of_a_check(office: Office) -> None:
    host = office.add_host("a", zone="lgwan", department="総務課", at=START - 5 * DAY)
    office.report(host, linux(ports=telnet(23)), START - 5 * DAY)
    office.report(host, linux(ports=telnet(23, 21)), START)
    seen = page(office, START)
    labels = {"host": "a", "zone": "lgwan", "check": "ports.exposed-high-risk", "severity": "high", "state": "open"}
    assert seen.value("finding_opened_timestamp_seconds", **labels) == (START - 5 * DAY).timestamp()
    assert seen.of("finding_opened_timestamp_seconds", check="ports.exposed-high-risk") == [labels]
    due = seen.value("finding_due_timestamp_seconds", host="a", check="ports.exposed-high-risk")
    assert due == (START + 2 * DAY).timestamp()
    assert seen.sum("findings", severity="high", state="open", department="総務課") == 2


def test_it_tells_acknowledged_and_overdue_findings_apart(office: Office) -> None:
    enrolled = START - 10 * DAY
    office.report(office.add_host("a", zone="lgwan", department="総務課", at=enrolled), linux("9"), enrolled)
    with office.database.write() as connection:
        connection.execute(sa.update(findings).where(findings.c.check_id == "support.os").values(state="acknowledged"))
    seen = page(office, START)
    place = {"zone": "lgwan", "department": "総務課"}
    assert seen.value("findings", severity="high", state="acknowledged", **place) == 1
    assert seen.value("findings_overdue", severity="high", **place) == 1
    assert page(office, START - 9 * DAY).value("findings_overdue", severity="high", **place) == 0


def test_it_shows_the_worst_and_says_so_when_there_are_too_many(office: Office) -> None:
    host = office.add_host("a", zone="lgwan", department="総務課")
    row = {
        "host_id": host, "item": "", "state": "open", "opened_at": START, "recorded_at": START, "due_at": START + DAY,
    }  # fmt: skip
    rows = [{**row, "finding_id": uuid.uuid4(), "check_id": f"zzz.c{n}", "severity": "low"} for n in range(MAX_SERIES)]
    worst = {**row, "finding_id": uuid.uuid4(), "check_id": "zzz.worst", "severity": "high", "opened_at": START + DAY}
    with office.database.write() as connection:
        connection.execute(sa.insert(findings), [*rows, worst])
    seen = page(office, START + 2 * DAY)
    name = "finding_opened_timestamp_seconds"
    assert len(seen.of(name)) == MAX_SERIES
    assert seen.of(name, check="zzz.worst")
    assert seen.value("series_folded", metric=f"secmon_{name}") == 1
    assert seen.value("series_folded", metric="secmon_host_pending_updates") == 0
    assert seen.sum("findings") == seen.sum("findings_overdue") == MAX_SERIES + 1, "sums are over all of them"


def test_it_counts_what_came_and_went(office: Office) -> None:
    host = office.add_host("a", zone="lgwan")
    for version, hours in (("12", 0), ("9", 1), ("12", 2), ("9", 3)):
        office.report(host, linux(version), START + timedelta(hours=hours))
    seen = page(office, START + DAY)
    opened = {"zone": "lgwan", "cause": "machine", "event": "opened"}
    assert seen.value("finding_transitions_total", **opened) == 2, "opened, and opened again within a day"
    assert seen.value("finding_transitions_total", zone="lgwan", cause="machine", event="resolved") == 1
    assert {labels["event"] for labels in seen.of("finding_transitions_total")} == {"opened", "resolved"}


def test_it_never_counts_backwards(office: Office) -> None:
    """Old rows are purged one day; what was counted stays counted."""
    host = office.add_host("a", zone="lgwan")
    for version, hours in (("12", 0), ("9", 1), ("12", 2)):
        office.report(host, linux(version), START + timedelta(hours=hours))
    totals = Totals()
    with office.database.read() as connection:
        before = totals.read(connection, START + DAY)
    assert before["lgwan", "opened", "machine"] == before["lgwan", "resolved", "machine"] == 1
    with office.database.write() as connection:
        newest = connection.execute(sa.select(sa.func.max(transitions.c.transition_id))).scalar()
        connection.execute(sa.delete(transitions).where(transitions.c.transition_id != newest))
    office.report(host, linux("9"), START + timedelta(hours=40))
    with office.database.read() as connection:
        after = totals.read(connection, START + 2 * DAY)
        again = totals.read(connection, START + 3 * DAY)
    assert after == again
    assert after["lgwan", "opened", "machine"] == 2
    assert after["lgwan", "resolved", "machine"] == 1


def test_it_says_how_controls_stand(office: Office) -> None:
    office.report(office.add_host("ill", zone="lgwan"), linux("9"), START)
    seen = page(office, START)
    verdicts = {
        labels["verdict"] for labels in seen.of("framework_controls") if seen.value("framework_controls", **labels)
    }
    assert {"fail", "unknown", "not_applicable"} <= verdicts
    for framework in {labels["framework"] for labels in seen.of("framework_controls")}:
        here = seen.sum("framework_controls", framework=framework, zone="lgwan")
        empty = seen.value("framework_controls", framework=framework, zone="internet", verdict="not_applicable")
        assert here == empty


def test_it_follows_notifications_to_their_end(office: Office) -> None:
    with office.database.write() as connection:
        for number, (status, attempts) in enumerate(
            (("sent", 1), ("sent", 4), ("parked", 2), ("pending", 0), ("pending", 3))
        ):
            connection.execute(
                sa.insert(deliveries).values(
                    delivery_id=uuid.uuid4(), rule="high", channel="smtp", recipient="it@example.jp",
                    group_key=str(number), window_key="w", message_id=f"<{number}@x>", subject="s", message=b"m",
                    created_at=START, status=status, attempts=attempts, next_attempt_at=START,
                )
            )  # fmt: skip
        again = {"cause": "machine", "event": "reopened", "observed_at": START, "recorded_at": START}
        inserted = connection.execute(sa.insert(transitions).values(**again).returning(transitions.c.transition_id))
        number = inserted.scalar_one()
        decided = {"transition_id": number, "decided_at": START, "outcome": "suppressed"}
        connection.execute(sa.insert(dispatches).values(**decided))
        connection.execute(sa.insert(jobs).values(job="sweep", period="2026-11-01", finished_at=START - DAY))
        connection.execute(sa.insert(jobs).values(job="sweep", period="2026-11-02", finished_at=START))
    seen = page(office, START)
    outcomes = {o: seen.value("notifications_total", channel="smtp", outcome=o) for o in ("sent", "retried", "parked")}
    assert outcomes == {"sent": 2, "retried": 3 + 1 + 2, "parked": 1}
    assert seen.value("notifications_total", channel="folder", outcome="suppressed") == 1
    assert seen.value("notifications_pending", channel="smtp") == 2
    assert seen.value("notifications_pending", channel="folder") == 0
    assert seen.value("task_last_success_timestamp_seconds", task="sweep") == START.timestamp()


def test_it_tells_since_when_the_rules_are_in_force(office: Office) -> None:
    assert not page(office, START).of("rules_loaded_timestamp_seconds")
    note_ruleset(office.database, office.rules, START)
    seen = page(office, START + DAY)
    assert seen.value("rules_loaded_timestamp_seconds", version=office.rules.version) == START.timestamp()
