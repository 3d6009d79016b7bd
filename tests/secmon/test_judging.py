"""Time and new rules: what the clock and a changed rule do to what is stored."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from secmon import judging
from secmon.config import Config
from secmon.evaluate.judge import evaluate
from secmon.evaluate.model import Machine, Verdict
from secmon.evaluate.ruleset import RuleSet, load_rules
from secmon.rejudging import repair
from secmon.resources import rules_dir
from secmon.store.hosts import set_attribute
from secmon.store.schema import findings, hosts, results, transitions
from secmon_agent import facts
from tests.support.office import START, Office, linux

DAY = timedelta(days=1)
OVERDUE = "patch.security-updates-overdue"
ROOT_LOGIN = "access.ssh-root-login"


def pending(since_days: int = 0) -> dict[str, facts.Patches]:
    """A security update that has been waiting; the lists are of START, which serves for a week."""
    update = facts.PendingUpdate(package="openssl", security=True, pending_since=START - since_days * DAY)
    return {"patches": facts.Patches(manager="apt", lists_updated_at=START, pending=(update,), security_archive=True)}


def intervals(office: Office, host: uuid.UUID, check: str) -> list[tuple[str, str, str]]:
    with office.database.read() as connection:
        rows = connection.execute(
            sa.select(results.c.status, results.c.cause, results.c.reason)
            .where(results.c.host_id == host, results.c.check_id == check)
            .order_by(results.c.revision)
        )
        return [tuple(row) for row in rows]


def fewer_rules(tmp_path: Path, without: str) -> RuleSet:
    """The shipped rules without one check."""
    import shutil

    folder = tmp_path / "rules"
    shutil.copytree(rules_dir(), folder)
    area, _, name = without.partition(".")
    (folder / "checks" / area / f"{name}.yaml").unlink()
    return load_rules(folder)


def test_it_finds_an_update_overdue_by_the_clock_alone(office: Office) -> None:
    host = office.add_host("sv1", zone="internet")
    office.report(host, linux(**pending(since_days=9)))
    assert [status for status, _, _ in intervals(office, host, OVERDUE)] == ["pass"]

    judging.sweep(office.database, office.rules, office.config, START + 4 * DAY)
    assert [status for status, _, _ in intervals(office, host, OVERDUE)] == ["pass"]

    judging.sweep(office.database, office.rules, office.config, START + 6 * DAY)
    assert [row[:2] for row in intervals(office, host, OVERDUE)] == [("pass", "baseline"), ("fail", "time")]


def test_it_judges_missed_days_in_order_and_at_their_first_moment(office: Office) -> None:
    host = office.add_host("sv1", zone="internet")
    office.report(host, linux(**pending(since_days=10)))

    judging.sweep(office.database, office.rules, office.config, START + 6 * DAY)

    with office.database.read() as connection:
        opened = connection.execute(sa.select(findings.c.opened_at).where(findings.c.check_id == OVERDUE)).scalar_one()
    assert opened.astimezone(office.config.tz).strftime("%H:%M") == "00:00"
    assert START + 4 * DAY < opened <= START + 5 * DAY


def test_it_sweeps_a_day_once(office: Office) -> None:
    host = office.add_host("sv1", zone="internet")
    office.report(host, linux())

    assert judging.sweep(office.database, office.rules, office.config, START + DAY) == 1
    assert judging.sweep(office.database, office.rules, office.config, START + DAY + timedelta(hours=1)) == 0
    assert judging.sweep(office.database, office.rules, office.config, START + 2 * DAY) == 1


def test_it_lets_answers_go_stale_without_resolving_anything(office: Office) -> None:
    host = office.add_host("pc1", zone="lgwan")
    server = facts.SshServer(permit_root_login="yes")
    office.report(host, linux(remote_access=facts.RemoteAccess(ssh_installed=True, ssh=server)))

    judging.sweep(office.database, office.rules, office.config, START + 15 * DAY)

    assert intervals(office, host, ROOT_LOGIN)[-1] == ("unknown", "time", "stale")
    with office.database.read() as connection:
        states = (
            connection.execute(sa.select(findings.c.state).where(findings.c.check_id == ROOT_LOGIN)).scalars().all()
        )
        events = connection.execute(sa.select(transitions.c.event)).scalars().all()
    assert states == ["open"]
    assert "resolved" not in events

    office.heartbeat(host, START + 16 * DAY)

    assert intervals(office, host, ROOT_LOGIN)[-1][0] == "fail"
    with office.database.read() as connection:
        assert connection.execute(sa.select(transitions.c.event).where(transitions.c.check_id == ROOT_LOGIN)) \
            .scalars().all() == ["opened"]  # fmt: skip


def test_it_acts_on_new_rules_from_now_on_and_never_rewrites_the_past(office: Office, tmp_path: Path) -> None:
    host = office.add_host("pc1", zone="lgwan")
    server = facts.SshServer(permit_root_login="yes")
    office.report(host, linux(remote_access=facts.RemoteAccess(ssh_installed=True, ssh=server)))
    old = fewer_rules(tmp_path, ROOT_LOGIN)
    now = START + DAY

    assert repair(office.database, old, office.config, now) == 1

    with office.database.read() as connection:
        row = connection.execute(sa.select(results).where(results.c.check_id == ROOT_LOGIN)).one()
        assert (row.status, row.observed_from, row.observed_to) == ("fail", START, now)
        events = connection.execute(
            sa.select(transitions.c.event, transitions.c.cause).where(transitions.c.check_id == ROOT_LOGIN)
        ).all()
    assert [tuple(event) for event in events] == [("opened", "baseline"), ("resolved", "rules")]

    assert repair(office.database, office.rules, office.config, now + DAY) == 1
    assert [row[:2] for row in intervals(office, host, ROOT_LOGIN)] == [("fail", "baseline"), ("fail", "rules")]


def test_it_repairs_only_what_rests_on_other_rules(office: Office) -> None:
    office.report(office.add_host("pc1"), linux())
    office.add_host("never-reported")

    assert repair(office.database, office.rules, office.config, START + DAY) == 0


def test_it_lets_new_rules_speak_about_old_facts_before_a_report_counts(office: Office, tmp_path: Path) -> None:
    everything = office.rules
    office.rules = fewer_rules(tmp_path, ROOT_LOGIN)
    host = office.add_host("pc1", zone="lgwan")

    def ssh(root: str) -> dict[str, facts.RemoteAccess]:
        server = facts.SshServer(permit_root_login=root)  # type: ignore[arg-type]
        return {"remote_access": facts.RemoteAccess(ssh_installed=True, ssh=server)}

    office.report(host, linux(**ssh("no")))
    office.rules = everything

    office.report(host, ssh("yes"), START + DAY)

    assert [row[:2] for row in intervals(office, host, ROOT_LOGIN)] == [("pass", "rules"), ("fail", "machine")]


def test_it_tells_of_new_rules_once(office: Office, tmp_path: Path) -> None:
    assert judging.note_ruleset(office.database, office.rules, START)
    assert not judging.note_ruleset(office.database, office.rules, START + DAY)
    assert judging.note_ruleset(office.database, fewer_rules(tmp_path, ROOT_LOGIN), START + 2 * DAY)

    with office.database.read() as connection:
        assert connection.execute(sa.select(transitions.c.event)).scalars().all() == ["ruleset"]


def test_it_judges_by_the_zone_that_the_office_gives(office: Office) -> None:
    host = office.add_host("sv1")
    office.report(host, linux(**pending(since_days=20)))
    assert intervals(office, host, OVERDUE)[-1][0] == "fail"

    with office.database.write() as connection:
        set_attribute(connection, host, "zone", "mynumber", START)
        occasion = judging.Occasion(cause="attributes", at=START + timedelta(hours=1), recorded_at=START)
        judging.rejudge_host(connection, office.rules, office.config, host, occasion)

    assert intervals(office, host, OVERDUE)[-1][:2] == ("pass", "attributes")


def test_it_does_not_judge_a_retired_host(office: Office) -> None:
    host = office.add_host("pc1", zone="lgwan")
    office.report(host, linux())
    with office.database.write() as connection:
        connection.execute(sa.update(hosts).values(retired_at=START))

    assert judging.sweep(office.database, office.rules, office.config, START + 20 * DAY) == 0


@pytest.mark.parametrize("days", [1, 30])
def test_it_uses_each_zones_own_limit_of_freshness(office: Office, days: int) -> None:
    zones = tuple(msgspec.structs.replace(zone, stale_days=days) for zone in office.config.zones)
    office.config = msgspec.structs.replace(office.config, zones=zones)
    host = office.add_host("pc1", zone="lgwan")
    office.report(host, linux())

    judging.sweep(office.database, office.rules, office.config, START + 5 * DAY)

    stale = intervals(office, host, "ports.exposed-high-risk")[-1][2] == "stale"
    assert stale == (days == 1)


def spans(office: Office, host: uuid.UUID, check: str) -> list[tuple[str, datetime, datetime | None]]:
    with office.database.read() as connection:
        rows = connection.execute(
            sa.select(results.c.status, results.c.observed_from, results.c.observed_to)
            .where(results.c.host_id == host, results.c.check_id == check)
            .order_by(results.c.revision)
        )
        return [tuple(row) for row in rows]


def test_it_never_ends_an_interval_before_it_began_when_a_report_comes_late(office: Office) -> None:
    host = office.add_host("sv1", zone="internet")
    office.report(host, linux(**pending(since_days=13)))
    judging.sweep(office.database, office.rules, office.config, START + 3 * DAY)
    overdue_since = spans(office, host, OVERDUE)[-1][1]
    assert intervals(office, host, OVERDUE)[-1][:2] == ("fail", "time")

    patched = facts.Patches(manager="apt", lists_updated_at=START, pending=(), security_archive=True)
    early, received = overdue_since - timedelta(hours=20), START + 3 * DAY + timedelta(hours=1)
    office.report(host, {"patches": patched}, early, received_at=received)

    found = spans(office, host, OVERDUE)
    assert found[-1] == ("pass", overdue_since, None)
    assert all(end is None or start <= end for _, start, end in found)
    with office.database.read() as connection:
        row = connection.execute(sa.select(findings).where(findings.c.check_id == OVERDUE)).one()
    assert row.opened_at <= row.resolved_at


def test_it_does_not_take_back_what_the_clock_has_said_since_a_late_report_was_made(office: Office) -> None:
    host = office.add_host("sv1", zone="internet")
    office.report(host, linux(**pending(since_days=13)))
    judging.sweep(office.database, office.rules, office.config, START + 3 * DAY)
    update = facts.PendingUpdate(package="zlib", security=True, pending_since=START - 13 * DAY)
    late = facts.Patches(manager="apt", lists_updated_at=START, pending=(update,), security_archive=True)

    office.report(host, {"patches": late}, START + timedelta(hours=1), received_at=START + 4 * DAY)

    assert intervals(office, host, OVERDUE)[-1][0] == "fail"


def test_it_ends_the_answers_of_removed_checks_where_a_report_is_quicker_than_the_repair(
    office: Office, tmp_path: Path
) -> None:
    host = office.add_host("pc1", zone="lgwan")
    server = facts.SshServer(permit_root_login="yes")
    office.report(host, linux(remote_access=facts.RemoteAccess(ssh_installed=True, ssh=server)))
    office.rules = fewer_rules(tmp_path, ROOT_LOGIN)

    office.heartbeat(host, START + DAY)
    repair(office.database, office.rules, office.config, START + 2 * DAY)

    with office.database.read() as connection:
        assert connection.execute(sa.select(results).where(results.c.check_id == ROOT_LOGIN)).one().observed_to
        assert connection.execute(sa.select(findings.c.state).where(findings.c.check_id == ROOT_LOGIN)).one()[0] \
            == "resolved"  # fmt: skip
        event = connection.execute(sa.select(transitions).where(transitions.c.event == "resolved")).one()
    assert (event.cause, event.zone) == ("rules", "lgwan")


def test_it_lets_new_rules_act_from_when_they_came_and_not_from_when_a_late_report_was_made(
    office: Office, tmp_path: Path
) -> None:
    host = office.add_host("pc1", zone="lgwan")
    everything, office.rules = office.rules, fewer_rules(tmp_path, ROOT_LOGIN)
    server = facts.SshServer(permit_root_login="yes")
    office.report(host, linux(remote_access=facts.RemoteAccess(ssh_installed=True, ssh=server)))
    office.rules = everything

    office.heartbeat(host, START + timedelta(hours=1), received_at=START + 5 * DAY)

    assert spans(office, host, ROOT_LOGIN) == [("fail", START + 5 * DAY, None)]


def test_it_leaves_a_host_alone_that_newer_rules_have_judged_during_the_sweep(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = office.add_host("pc1", zone="lgwan")
    old = office.rules
    office.report(host, linux())
    new = fewer_rules(tmp_path, ROOT_LOGIN)
    lock_host = judging.lock_host

    def a_report_was_quicker(connection: sa.Connection, host_id: uuid.UUID) -> sa.Row[tuple[object, ...]]:
        connection.execute(sa.update(hosts).values(judged_ruleset=new.version))
        return lock_host(connection, host_id)

    monkeypatch.setattr(judging, "lock_host", a_report_was_quicker)
    judging.sweep(office.database, old, office.config, START + 20 * DAY)

    with office.database.read() as connection:
        assert connection.execute(sa.select(hosts.c.judged_ruleset)).scalar_one() == new.version
    assert intervals(office, host, "ports.exposed-high-risk")[-1][2] != "stale"


def test_it_judges_the_others_when_one_host_cannot_be_judged(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts_ = [office.add_host(name, zone="lgwan") for name in ("pc1", "pc2", "pc3")]
    for host in hosts_:
        office.report(host, linux())
    broken, load_machines = sorted(hosts_)[1], judging.load_machines

    def load(
        connection: sa.Connection, config: Config, host_ids: Collection[uuid.UUID], *only: frozenset[str] | None
    ) -> dict[uuid.UUID, Machine]:
        if broken in host_ids:
            raise OverflowError("date value out of range")
        return load_machines(connection, config, host_ids, *only)

    monkeypatch.setattr(judging, "load_machines", load)
    judging.sweep(office.database, office.rules, office.config, START + 20 * DAY)

    stale = {host: intervals(office, host, "ports.exposed-high-risk")[-1][2] == "stale" for host in hosts_}
    assert stale == {host: host != broken for host in hosts_}


def test_it_judges_again_only_what_rests_on_the_facts_that_changed(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = office.add_host("sv1", zone="lgwan")
    office.report(host, linux())
    asked: list[tuple[frozenset[str], frozenset[str]]] = []

    def spy(rules: RuleSet, machine: Machine, now: datetime, checks: frozenset[str]) -> list[Verdict]:
        asked.append((checks, frozenset(machine.sections)))
        return evaluate(rules, machine, now, checks)

    monkeypatch.setattr(judging, "evaluate", spy)
    ended = {"os": facts.Os(family="linux", id="debian", name="Debian GNU/Linux 9", version="9")}
    office.report(host, linux() | ended, START + DAY)
    office.report(host, linux() | ended | {"ports": facts.Ports(listening=())}, START + 2 * DAY)

    assert asked[0][0] == office.rules.touched(["os.name", "os.version"]) < office.rules.touched(["os"])
    assert asked[1][0] == office.rules.touched(["ports.listening"])
    assert asked[0][1] | asked[1][1] <= {"os", "host", "ports"}
    assert [row[0] for row in intervals(office, host, "support.os")] == ["pass", "fail"]
