"""Two machines that speak under one key, and what only looks like it."""

from __future__ import annotations

import hashlib
import itertools
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from nacl.signing import SigningKey

from secmon.alerts.dispatch import dispatch
from secmon.alerts.rules import load_alert_rules
from secmon.evaluate.frameworks import load_frameworks
from secmon.ingest.admission import Admitted, KeyRing, Refused
from secmon.ingest.apply import Applied, Applier
from secmon.resources import rules_dir
from secmon.schedule import JOBS, Schedule
from secmon.store.schema import audit, deliveries, findings, host_attributes, hosts
from secmon_agent import facts, wire
from tests.support.office import START, Office, linux

HOUR = timedelta(hours=1)
CHECK = "zone.clone"


class Clock:
    now: datetime = START


class Machine:
    """An agent that draws a new stream when it is told of a fork, as the real one does."""

    _streams = itertools.count(1)

    def __init__(self, office: Office, name: str, serial: str, clock: Clock) -> None:
        self.office = office
        self.clock = clock
        self.name = name
        self.serial = serial
        self.boot = hashlib.sha256(name.encode()).digest()[:16]
        self.stream = bytes(16)
        self.sequence = 0
        key = SigningKey(hashlib.sha256(b"PC-1").digest())
        found = KeyRing(office.database).find(wire.key_id(bytes(key.verify_key)))
        assert found is not None
        self.key = found

    def image(self, name: str, serial: str) -> Machine:
        """Another machine that was given this one's disk."""
        other = Machine(self.office, name, serial, self.clock)
        other.restore(self.snapshot())
        return other

    def snapshot(self) -> tuple[bytes, int]:
        return self.stream, self.sequence

    def restore(self, snapshot: tuple[bytes, int]) -> None:
        self.stream, self.sequence = snapshot

    def start(self) -> None:
        self.boot = hashlib.sha256(self.boot).digest()[:16]

    def cycle(self) -> list[str]:
        said = [self._send()]
        if said == ["fork"]:
            self.stream, self.sequence = hashlib.sha256(b"%d" % next(self._streams)).digest()[:16], 0
            said.append(self._send())
        return said

    def _send(self) -> str:
        self.sequence += 1
        self.clock.now += HOUR
        host = facts.Host(hostname=self.name, serial=self.serial)
        sections = {name: wire.ok_section(each, START) for name, each in linux(host=host).items()}  # type: ignore[arg-type]
        report = wire.Report(
            stream=self.stream, sequence=self.sequence, boot_id=self.boot, collected_at=self.clock.now, interval_s=900,
            state=wire.state_digest(sections), sections=sections,
        )  # fmt: skip
        digest = hashlib.sha256(repr(report).encode()).digest()
        admitted = Admitted(key=self.key, report=report, payload_hash=digest, received_at=self.clock.now)
        with self.office.database.write() as connection:
            (outcome,) = Applier(self.office.rules, self.office.config).apply(connection, [admitted])
        assert isinstance(outcome, (Applied, Refused)), outcome
        return outcome.outcome if isinstance(outcome, Applied) else outcome.problem


@pytest.fixture
def pc(office: Office) -> Machine:
    """It has reported three times."""
    host = office.add_host("PC-1", zone="lgwan")
    with office.database.write() as connection:
        connection.execute(sa.update(hosts).where(hosts.c.host_id == host).values(serial="SN-1"))
    machine = Machine(office, "PC-1", "SN-1", Clock())
    assert [machine.cycle() for _ in range(3)] == [["accepted"]] * 3
    return machine


def said_of_clones(office: Office) -> list[tuple[str, str]]:
    with office.database.read() as connection:
        rows = connection.execute(sa.select(findings.c.state, findings.c.evidence).where(findings.c.check_id == CHECK))
        return [(row.state, row.evidence) for row in rows]


def in_turn(machines: list[Machine], rounds: int) -> dict[str, list[list[str]]]:
    heard: dict[str, list[list[str]]] = {machine.name: [] for machine in machines}
    for _ in range(rounds):
        for machine in machines:
            heard[machine.name].append(machine.cycle())
    return heard


@pytest.mark.parametrize("clone_first", [False, True])
def test_it_refuses_the_clone_and_leaves_the_machine_in_peace(office: Office, pc: Machine, clone_first: bool) -> None:
    clone = pc.image("PC-2", "SN-2")

    heard = in_turn([clone, pc] if clone_first else [pc, clone], 6)

    assert heard["PC-2"][-2:] == [["clone"], ["clone"]]
    assert heard["PC-1"][-3:] == [["accepted"]] * 3
    assert said_of_clones(office) == [("open", "clone = PC-2 SN-2")]


def test_it_refuses_the_one_that_speaks_where_nothing_tells_them_apart(office: Office, pc: Machine) -> None:
    """Two virtual machines of one image, with no serial number and the same name."""
    pc.serial = "To be filled by O.E.M."
    twin = pc.image("PC-1", "To be filled by O.E.M.")

    mine, others = [], []
    for _ in range(6):
        mine.append(pc.cycle())
        others.append(twin.cycle())

    assert sorted([mine[-1], others[-1]]) == [["accepted"], ["clone"]]
    assert said_of_clones(office) == [("open", "clone = PC-1")]


def test_it_finds_every_copy_of_a_master_one_after_the_other(office: Office, pc: Machine) -> None:
    copies = [pc.image(f"PC-{number}", f"SN-{number}") for number in range(2, 12)]

    heard = in_turn([pc, *copies], 8)

    assert heard.pop("PC-1")[-3:] == [["accepted"]] * 3
    assert {name: answers[-1] for name, answers in heard.items()} == {copy.name: ["clone"] for copy in copies}


@pytest.mark.parametrize("sent_since", [0, 5])
def test_it_accuses_no_machine_that_was_restored(office: Office, pc: Machine, sent_since: int) -> None:
    """Once and again from the same snapshot, and then back to where it had been before."""
    snapshot = pc.snapshot()
    for _ in range(sent_since):
        pc.cycle()
    before = pc.snapshot()
    for _ in range(6):
        pc.restore(snapshot)
        pc.start()
        assert "clone" not in pc.cycle() + pc.cycle()
    pc.restore(before)
    assert "clone" not in pc.cycle() + pc.cycle()

    assert said_of_clones(office) == []


def test_it_accuses_no_machine_that_goes_to_and_fro_between_two_states(office: Office, pc: Machine) -> None:
    """Each state is kept when it is left: twice there and back."""
    states = [pc.snapshot(), pc.snapshot()]
    for number in range(5):
        pc.restore(states[number % 2])
        pc.start()
        assert "clone" not in pc.cycle() + pc.cycle()
        states[number % 2] = pc.snapshot()

    assert said_of_clones(office) == []


def test_it_finds_a_clone_that_runs_when_the_machine_is_off(office: Office, pc: Machine) -> None:
    """One in the morning, the other in the afternoon: each of them starts anew every day."""
    clone = pc.image("PC-2", "SN-2")
    for _ in range(8):
        for machine in (pc, clone):
            machine.start()
            last = machine.cycle()

    assert last == ["clone"]
    assert pc.cycle() == ["accepted"]


def test_it_forgets_a_return_after_a_month(office: Office, pc: Machine) -> None:
    """Two machines would meet again sooner."""
    clone = pc.image("PC-2", "SN-2")
    for machine in (pc, clone) * 4:
        assert "clone" not in machine.cycle()
        pc.clock.now += timedelta(days=31)

    assert said_of_clones(office) == []


def test_people_are_told_at_once_and_again_when_it_is_over(office: Office, pc: Machine) -> None:
    clone = pc.image("PC-2", "SN-2")
    in_turn([pc, clone], 4)

    def mails() -> list[str]:
        loaded = office.rules
        frameworks, alerts = load_frameworks(rules_dir(), loaded), load_alert_rules(rules_dir())
        config = office.config
        dispatch(office.database, config, loaded, frameworks, alerts, pc.clock.now)
        with office.database.read() as connection:
            return list(connection.execute(sa.select(deliveries.c.subject).order_by(deliveries.c.created_at)).scalars())

    assert sum("複製" in subject for subject in mails()) == 1
    with office.database.read() as connection:
        entry = connection.execute(sa.select(audit).where(audit.c.action == "agent.clone")).one()
    assert (entry.subject, '"hostname":"PC-2"' in entry.detail) == ("PC-1", True)

    days = _machines_job(office, pc.clock, days=6)
    assert said_of_clones(office) == [("open", "clone = PC-2 SN-2")]
    clone.cycle()
    days += _machines_job(office, pc.clock, days=6)
    assert said_of_clones(office) == [("open", "clone = PC-2 SN-2")]
    days += _machines_job(office, pc.clock, days=2)

    assert said_of_clones(office) == [("resolved", "clone = PC-2 SN-2")]
    assert sum("複製" in subject for subject in mails()) == 2
    with office.database.read() as connection:
        until = connection.execute(sa.select(host_attributes.c.valid_to).where(host_attributes.c.name == "clone"))
        assert until.scalar_one() is not None


def _machines_job(office: Office, clock: Clock, days: int) -> list[str]:
    class Rules:
        current = office.rules

    jobs = [job for job in JOBS if job.name == "machines"]
    schedule = Schedule(
        database=office.database, config=office.config, rules=Rules(), clock=lambda: clock.now,  # type: ignore[arg-type]
        identity=(office.collector_id, office.generation), table=jobs,
    )  # fmt: skip
    done = []
    for _ in range(days):
        clock.now += timedelta(days=1)
        done += [ran.error for ran in schedule.run_due(clock.now)]
    assert not any(done), done
    return done
