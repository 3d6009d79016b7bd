"""New rules: every machine is judged anew, in batches, once, and as if by them alone."""

from __future__ import annotations

import os
import shutil
import signal
import uuid
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from secmon import judging, rejudging
from secmon.config import Config
from secmon.evaluate.model import Machine
from secmon.evaluate.ruleset import RuleSet, load_rules
from secmon.rejudging import repair, waiting
from secmon.resources import rules_dir
from secmon.store.database import Database
from secmon.store.schema import findings, hosts, results
from secmon_agent import facts
from secmon_agent.collect import collect
from secmon_agent.recorded import recorded_host
from tests.support.office import START, Office, linux

RECORDED = Path(__file__).parents[1] / "hosts"
DAY = timedelta(days=1)
Answers = dict[tuple[str, str], tuple[str, ...]]


@pytest.fixture
def other_rules(tmp_path: Path) -> RuleSet:
    """The shipped rules with one check less, one more, other limits, and one that asks for something else."""
    folder = tmp_path / "other"
    shutil.copytree(rules_dir(), folder)
    checks = folder / "checks"

    def change(name: str, old: str, new: str) -> None:
        text = (checks / name).read_text(encoding="utf-8")
        assert old in text
        (checks / name).write_text(text.replace(old, new), encoding="utf-8")

    (checks / "access" / "ssh-root-login.yaml").rename(checks / "access" / "new-one.yaml")
    change("access/new-one.yaml", "id: access.ssh-root-login", "id: access.new-one")
    change("support/os-ending-soon.yaml", "default: 180", "default: 4000")
    change("ports/exposed-database.yaml", "[1433, ", "[22, 1433, ")
    return load_rules(folder)


def answers(office: Office) -> Answers:
    """The present ones, with what is open of each."""
    with office.database.read() as connection:
        names = {row.host_id: row.name for row in connection.execute(sa.select(hosts.c.host_id, hosts.c.name))}
        found: Answers = {
            (names[row.host_id], row.check_id): (row.status, row.reason, row.evidence, row.items)
            for row in connection.execute(sa.select(results).where(results.c.observed_to.is_(None)))
        }
        for row in connection.execute(sa.select(findings).where(findings.c.resolved_at.is_(None))):
            found[names[row.host_id], f"{row.check_id} {row.item}"] = (row.state, row.evidence)
    return found


def fleet(office: Office) -> list[uuid.UUID]:
    """The recorded machines, swept today."""
    added = []
    for number, path in enumerate(sorted(RECORDED.glob("*/host.json"))):
        host = office.add_host(path.parent.name, zone=("lgwan", "mynumber", None)[number % 3])
        office.report(host, collect(recorded_host(path.parent)))
        added.append(host)
    judging.sweep(office.database, office.rules, office.config, START + DAY)
    return added


def test_it_judges_only_what_differs_as_if_everything_were_judged(
    office: Office, other_rules: RuleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet(office)
    asked: list[frozenset[str] | None] = []
    answered = judging._answered

    def spy(rules: RuleSet, machine: Machine, turn: judging.Turn) -> object:
        asked.append(turn.checks)
        return answered(rules, machine, turn)

    monkeypatch.setattr(judging, "_answered", spy)
    at = START + DAY + timedelta(hours=1)
    assert repair(office.database, other_rules, office.config, at, before=office.rules) == 8
    partly = answers(office)
    with office.database.write() as connection:
        assert waiting(connection, other_rules) == 0
        connection.execute(sa.update(hosts).values(judged_ruleset="something else"))
    assert repair(office.database, other_rules, office.config, at) == 8

    some = {"access.ssh-root-login", "access.new-one", "support.os-ending-soon", "ports.exposed-database"}
    assert asked == [some] * 8 + [None] * 8
    assert answers(office) == partly
    assert {check for _, check in partly if check.startswith("access.new-one")}
    assert not {check for _, check in partly if check.startswith("access.ssh-root-login")}
    assert {content[0] for (_, check), content in partly.items() if check == "ports.exposed-database tcp/22"} == {
        "open"
    }


def test_it_judges_everything_where_it_does_not_know_that_the_rest_holds(office: Office, other_rules: RuleSet) -> None:
    """Judged by yet other rules, for another state, or not yet swept today."""
    names = ["by-others", "other-state", "not-swept", "known"]
    for name in names:
        office.report(office.add_host(name, zone="lgwan"), linux())
    judging.sweep(office.database, office.rules, office.config, START + DAY)
    changed: dict[str, dict[str, object]] = {
        "by-others": {"judged_ruleset": "others"},
        "other-state": {"judged_state": bytes(32)},
        "not-swept": {"swept_on": "2026-11-02"},
    }
    with office.database.write() as connection:
        for name, values in changed.items():
            connection.execute(sa.update(hosts).where(hosts.c.name == name).values(**values))
        connection.execute(sa.update(results).values(evidence="wrong"))

    repair(office.database, other_rules, office.config, START + DAY + timedelta(hours=1), before=office.rules)

    wrong = {host for (host, _), content in answers(office).items() if "wrong" in content}
    assert wrong == {"known"}


def test_it_goes_on_where_it_was_killed(office: Office, other_rules: RuleSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejudging, "BATCH", 2)
    fleet(office)
    office.database.engine.dispose()

    child = os.fork()
    if not child:
        own = Database(office.database.engine.url)

        def die(done: int, _of: int) -> None:
            if done >= 4:
                os.kill(os.getpid(), signal.SIGKILL)

        repair(own, other_rules, office.config, START + DAY, die)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL

    with office.database.read() as connection:
        assert waiting(connection, other_rules) == 4
    heard: list[tuple[int, int]] = []
    repair(office.database, other_rules, office.config, START + DAY, lambda *each: heard.append(each))
    assert heard == [(2, 4), (4, 4)]


def test_reports_get_their_turn_between_two_batches(
    office: Office, other_rules: RuleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that reports meanwhile is judged by its report, and not again."""
    monkeypatch.setattr(rejudging, "BATCH", 2)
    added = sorted(fleet(office))
    office.rules = other_rules

    def report(done: int, _of: int) -> None:
        if done == 2:
            office.report(added[-1], {"ports": facts.Ports(listening=())}, START + DAY)

    repair(office.database, other_rules, office.config, START + DAY, report)

    with office.database.read() as connection:
        revisions = {row.host_id: row.revision for row in connection.execute(sa.select(hosts))}
        assert waiting(connection, other_rules) == 0
    assert revisions[added[-1]] == revisions[added[0]] + 1  # the rules, then the report


def test_a_host_that_cannot_be_judged_keeps_no_other_from_it(
    office: Office, other_rules: RuleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = fleet(office)
    broken, load_machines = sorted(added)[1], judging.load_machines

    def load(
        connection: sa.Connection, config: Config, host_ids: Collection[uuid.UUID], *only: frozenset[str] | None
    ) -> dict[uuid.UUID, Machine]:
        if broken in host_ids:
            raise OverflowError("date value out of range")
        return load_machines(connection, config, host_ids, *only)

    monkeypatch.setattr(judging, "load_machines", load)
    repair(office.database, other_rules, office.config, START + DAY)

    with office.database.read() as connection:
        judged = {row.host_id: row.judged_ruleset for row in connection.execute(sa.select(hosts))}
    assert {host for host, version in judged.items() if version != other_rules.version} == {broken}
