"""What becomes of reports: order, sections, judgement, all in one transaction."""

from __future__ import annotations

import hashlib
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from secmon.ingest.admission import Refused
from secmon.ingest.host_states import host_states
from secmon.judging import lock_host
from secmon.store.schema import contacts, findings, hosts, results, section_versions, transitions
from secmon.store.sightings import record_sightings
from secmon_agent import facts, wire
from tests.support.office import START, Office, linux

DAY = timedelta(days=1)
ROOT_LOGIN = "access.ssh-root-login"


def ssh(root: str = "no") -> dict[str, facts.RemoteAccess]:
    server = facts.SshServer(permit_root_login=root, password_authentication=False, permit_empty_passwords=False)  # type: ignore[arg-type]
    return {"remote_access": facts.RemoteAccess(ssh_installed=True, ssh=server)}


def answers(office: Office, host: uuid.UUID, check: str = ROOT_LOGIN) -> list[tuple[str, str]]:
    """(status, cause) of the check's intervals, oldest first."""
    with office.database.read() as connection:
        rows = connection.execute(
            sa.select(results.c.status, results.c.cause)
            .where(results.c.host_id == host, results.c.check_id == check)
            .order_by(results.c.revision)
        )
        return [(row.status, row.cause) for row in rows]


def events(office: Office, host: uuid.UUID, check: str = ROOT_LOGIN) -> list[tuple[str, str]]:
    with office.database.read() as connection:
        rows = connection.execute(
            sa.select(transitions.c.event, transitions.c.cause)
            .where(transitions.c.host_id == host, transitions.c.check_id == check)
            .order_by(transitions.c.transition_id)
        )
        return [(row.event, row.cause) for row in rows]


def finding(office: Office, host: uuid.UUID, check: str = ROOT_LOGIN) -> sa.Row[tuple[object, ...]]:
    with office.database.read() as connection:
        return connection.execute(
            sa.select(findings).where(findings.c.host_id == host, findings.c.check_id == check)
        ).one()


def test_it_judges_the_first_report_as_the_baseline_with_one_first_state(office: Office) -> None:
    host = office.add_host("pc1", zone="lgwan")

    office.report(host, {**linux(), **ssh("yes")})

    assert answers(office, host) == [("fail", "baseline")]
    assert events(office, host) == [("opened", "baseline")]
    assert events(office, host, "") == [("first_state", "baseline")]


def test_it_stores_a_result_only_when_it_changes(office: Office) -> None:
    host = office.add_host("pc1", zone="lgwan")
    office.report(host, {**linux(), **ssh("no")})
    office.report(host, ssh("no"), START + DAY)
    office.report(host, ssh("yes"), START + 2 * DAY)
    office.report(host, ssh("no"), START + 3 * DAY)

    assert answers(office, host) == [("pass", "baseline"), ("fail", "machine"), ("pass", "machine")]
    assert events(office, host) == [("opened", "machine"), ("resolved", "machine")]


def test_it_leaves_no_gap_and_no_overlap_between_the_intervals_of_an_answer(office: Office) -> None:
    host = office.add_host("pc1", zone="lgwan")
    for day, root in enumerate(("no", "yes", "yes", "no", "yes")):
        office.report(host, {**linux(), **ssh(root)}, START + day * DAY)

    with office.database.read() as connection:
        rows = connection.execute(
            sa.select(results.c.observed_from, results.c.observed_to)
            .where(results.c.host_id == host, results.c.check_id == ROOT_LOGIN)
            .order_by(results.c.revision)
        ).all()

    assert [row.observed_from for row in rows] == [START + day * DAY for day in (0, 1, 3, 4)]
    assert [row.observed_to for row in rows[:-1]] == [row.observed_from for row in rows[1:]]
    assert rows[-1].observed_to is None


def test_it_keeps_a_finding_open_and_silent_while_the_section_cannot_be_read(office: Office) -> None:
    host = office.add_host("pc1", zone="lgwan")
    office.report(host, {**linux(), **ssh("yes")})
    denied = wire.other_section("denied", "no right to read sshd_config", START + DAY)

    office.report(host, {"remote_access": denied}, START + DAY)

    assert answers(office, host)[-1] == ("unknown", "machine")
    assert finding(office, host).state == "open"
    assert finding(office, host).unconfirmed_since == START + DAY
    assert events(office, host) == [("opened", "baseline")]

    office.report(host, ssh("yes"), START + 2 * DAY)

    assert finding(office, host).unconfirmed_since is None
    assert events(office, host) == [("opened", "baseline")]


def test_it_reopens_the_same_finding_within_a_day_and_opens_another_later(office: Office) -> None:
    host = office.add_host("pc1", zone="lgwan")
    office.report(host, {**linux(), **ssh("yes")})
    first = finding(office, host).finding_id
    office.report(host, ssh("no"), START + timedelta(hours=1))
    office.report(host, ssh("yes"), START + timedelta(hours=20))

    assert finding(office, host).finding_id == first
    assert events(office, host)[-1] == ("reopened", "machine")

    office.report(host, ssh("no"), START + 2 * DAY)
    office.report(host, ssh("yes"), START + 4 * DAY)

    assert [event for event, _ in events(office, host)] == ["opened", "resolved", "reopened", "resolved", "opened"]


def test_it_opens_one_finding_for_each_item_and_resolves_only_the_one_that_went(office: Office) -> None:
    host = office.add_host("sv1", zone="lgwan")

    def listening(*ports: int) -> dict[str, facts.Ports]:
        return {
            "ports": facts.Ports(
                listening=tuple(
                    facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=port, reach="network") for port in ports
                )
            )
        }

    office.report(host, linux(**listening(23, 21)))
    office.report(host, listening(21), START + DAY)

    with office.database.read() as connection:
        rows = connection.execute(
            sa.select(findings.c.item, findings.c.state).where(findings.c.check_id == "ports.exposed-high-risk")
        ).all()
    assert sorted((row.item.rpartition("/")[2], row.state) for row in rows) == [("21", "open"), ("23", "resolved")]


def test_it_takes_a_section_of_unknown_shape_and_answers_unknown(office: Office) -> None:
    host = office.add_host("pc1", zone="lgwan")
    office.report(host, {**linux(), **ssh("yes")})
    odd = wire.Section(
        status="ok", digest=hashlib.sha256(b"\x93\x01\x02\x03").digest(), collected_at=START, data=b"\x93\x01\x02\x03"
    )

    office.report(host, {"remote_access": odd, "moon_phase": odd}, START + DAY)

    assert answers(office, host)[-1] == ("unknown", "machine")
    with office.database.read() as connection:
        stored = connection.execute(
            sa.select(section_versions.c.data).where(
                section_versions.c.section == "moon_phase", section_versions.c.observed_to.is_(None)
            )
        ).scalar_one()
    assert stored == b"\x93\x01\x02\x03"


def test_it_ends_a_section_that_no_longer_appears(office: Office) -> None:
    host = office.add_host("pc1", zone="lgwan")
    office.report(host, {**linux(), **ssh("yes")})

    office.report(host, linux(), START + DAY, keep=False)

    assert answers(office, host)[-1] == ("unknown", "machine")


def test_it_asks_for_data_that_it_lacks_and_leaves_the_results_meanwhile(office: Office) -> None:
    host = office.add_host("pc1", zone="lgwan")
    office.report(host, {**linux(), **ssh("no")})
    whole = wire.ok_section(ssh("yes")["remote_access"], START + DAY)
    bare = wire.Section(status="ok", digest=whole.digest, collected_at=START + DAY)

    applied = office.report(host, {"remote_access": bare}, START + DAY)

    assert applied.want == ("remote_access",)
    assert answers(office, host) == [("pass", "baseline")]
    with office.database.read() as connection:
        assert connection.execute(sa.select(hosts.c.resyncing)).scalar_one()
        assert connection.execute(sa.select(contacts.c.observed_at)).scalar_one() == START

    assert office.report(host, {"remote_access": whole}, START + DAY).want == ()
    assert answers(office, host)[-1] == ("fail", "machine")


def test_it_asks_for_everything_when_a_heartbeat_names_a_state_it_does_not_have(office: Office) -> None:
    host = office.add_host("pc1", zone="lgwan")

    assert office.heartbeat(host, START).want == (wire.FULL_STATE,)


def test_it_corrects_the_time_by_the_offset_and_clamps_it_between_the_last_and_now(office: Office) -> None:
    host = office.add_host("pc1", zone="lgwan")
    office.report(host, linux(), START)
    office.heartbeat(host, START - DAY, received_at=START + DAY)

    with office.database.read() as connection:
        row = connection.execute(sa.select(contacts)).one()
    assert (row.observed_at, row.clamped) == (START, True)

    office.heartbeat(host, START + 9 * DAY, received_at=START + 2 * DAY)

    with office.database.read() as connection:
        row = connection.execute(sa.select(contacts)).one()
    assert (row.observed_at, row.clamped) == (START + 2 * DAY, True)

    office.heartbeat(host, START + 3 * DAY)

    with office.database.read() as connection:
        row = connection.execute(sa.select(contacts)).one()
    assert (row.observed_at, row.clamped) == (START + 3 * DAY, False)


def test_it_refuses_a_revoked_agent_in_the_very_transaction(office: Office) -> None:
    from secmon.ingest.enrollment import revoke_host

    host = office.add_host("pc1", zone="lgwan")
    office.report(host, linux())
    with office.database.write() as connection:
        assert revoke_host(connection, "pc1", reason="stolen", actor="test", now=START) == 1

    with pytest.raises(Refused) as refused:
        office.report(host, ssh("yes"), START + DAY)

    assert refused.value.problem == "revoked-key"
    assert answers(office, host) == [("unknown", "baseline")]


def test_it_judges_a_host_without_a_zone_by_the_strictest_limits_and_says_so(office: Office) -> None:
    host = office.add_host("pc1")

    office.report(host, linux())

    assert answers(office, host, "zone.assigned") == [("fail", "baseline")]


def test_it_keeps_nobody_waiting_who_only_refers_to_a_machine_that_it_works_on(
    tmp_path: Path, postgres_url: str
) -> None:
    """Sightings, retention and enrollments refer to machines in any order: waiting for a batch, they could deadlock."""
    office = Office(tmp_path, postgres_url)
    host = office.add_host("pc1", zone="lgwan")
    office.report(host, linux())
    key_id = wire.key_id(bytes(office._speakers[host].key.verify_key))

    with office.database.write() as batch, office.database.write() as other:
        assert host_states(batch, [key_id])
        lock_host(batch, host)
        other.exec_driver_sql("SET LOCAL lock_timeout = '2s'")

        assert record_sightings(other, START + DAY) == 1

    office.database.close()
