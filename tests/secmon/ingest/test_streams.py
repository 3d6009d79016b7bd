"""The same sequence again, another content under it, an older stream: order by stream and sequence."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from secmon.ingest.admission import Admitted, KeyRing, Refused
from secmon.ingest.apply import Applied, Applier
from secmon.store.schema import contacts, results
from secmon_agent import facts, wire
from tests.support.office import START, Office, linux

STREAM = bytes(range(16))


class Desk:
    """Applies reports of one machine, whatever stream and sequence they bear."""

    def __init__(self, office: Office, name: str = "pc1") -> None:
        self.office = office
        self.host = office.add_host(name, zone="lgwan")
        key = SigningKey(hashlib.sha256(name.encode()).digest())
        found = KeyRing(office.database).find(wire.key_id(bytes(key.verify_key)))
        assert found is not None
        self.key = found

    def admitted(
        self, sequence: int, *, stream: bytes = STREAM, root: str = "no", minutes: int | None = None
    ) -> Admitted:
        at = START + timedelta(minutes=sequence if minutes is None else minutes)
        server = facts.SshServer(permit_root_login=root)  # type: ignore[arg-type]
        sections: Mapping[str, wire.Section] = {
            name: wire.ok_section(each, at)  # type: ignore[arg-type]
            for name, each in linux(remote_access=facts.RemoteAccess(ssh_installed=True, ssh=server)).items()
        }
        report = wire.Report(
            stream=stream, sequence=sequence, boot_id=bytes(16), collected_at=at, interval_s=900,
            state=wire.state_digest(sections), sections=dict(sections),
        )  # fmt: skip
        digest = hashlib.sha256(f"{stream!r} {sequence} {root}".encode()).digest()
        return Admitted(key=self.key, report=report, payload_hash=digest, received_at=at + timedelta(seconds=1))

    def apply(self, *batch: Admitted) -> list[str]:
        """Outcomes: what was applied by name, what was refused by its problem."""
        with self.office.database.write() as connection:
            outcomes = Applier(self.office.rules, self.office.config).apply(connection, batch)
        found = []
        for outcome in outcomes:
            assert isinstance(outcome, (Applied, Refused)), outcome
            found.append(outcome.outcome if isinstance(outcome, Applied) else outcome.problem)
        return found

    def changes(self) -> int:
        with self.office.database.read() as connection:
            return len(connection.execute(sa.select(results.c.revision).where(results.c.host_id == self.host)).all())


def test_it_acknowledges_the_same_report_again_and_applies_it_once(office: Office) -> None:
    desk = Desk(office)

    assert desk.apply(desk.admitted(1), desk.admitted(1)) == ["accepted", "repeated"]
    before = desk.changes()
    assert desk.apply(desk.admitted(1)) == ["repeated"]
    assert desk.changes() == before


def test_it_calls_another_content_under_a_used_sequence_a_fork(office: Office) -> None:
    desk = Desk(office)
    desk.apply(desk.admitted(1), desk.admitted(2))

    assert desk.apply(desk.admitted(2, root="yes")) == ["fork"]
    assert desk.apply(desk.admitted(1, root="yes")) == ["fork"]
    assert desk.apply(desk.admitted(3, root="yes")) == ["accepted"]


def test_it_calls_a_sequence_older_than_the_window_a_fork(office: Office) -> None:
    desk = Desk(office)
    desk.apply(desk.admitted(1), desk.admitted(300))

    assert desk.apply(desk.admitted(1)) == ["repeated"]
    assert desk.apply(desk.admitted(44, root="yes")) == ["fork"]
    assert desk.apply(desk.admitted(2)) == ["fork"]


def test_it_acknowledges_a_late_report_without_turning_the_machine_back(office: Office) -> None:
    desk = Desk(office)
    desk.apply(desk.admitted(1), desk.admitted(5, root="yes"))

    assert desk.apply(desk.admitted(3), desk.admitted(3)) == ["late", "repeated"]
    with office.database.read() as connection:
        status = connection.execute(
            sa.select(results.c.status).where(
                results.c.check_id == "access.ssh-root-login", results.c.observed_to.is_(None)
            )
        ).scalar_one()
        sequence = connection.execute(sa.select(contacts.c.sequence)).scalar_one()
    assert (status, sequence) == ("fail", 5)


def test_it_follows_a_new_stream_and_refuses_the_one_that_was_given_up(office: Office) -> None:
    desk = Desk(office)
    other = bytes(16)
    desk.apply(desk.admitted(7))

    assert desk.apply(desk.admitted(1, stream=other, minutes=8)) == ["accepted"]
    assert desk.apply(desk.admitted(7)) == ["repeated"]
    assert desk.apply(desk.admitted(8)) == ["fork"]
    assert desk.apply(desk.admitted(2, stream=other, minutes=9)) == ["accepted"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.integers(1, 12), min_size=1, max_size=30), cuts=st.lists(st.integers(0, 29), max_size=5))
def test_it_ends_up_the_same_however_reports_repeat_and_batches_fall(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], cuts: list[int]
) -> None:
    """Each sequence is applied at most once, the newest last, whatever repeats and however the batches are cut."""
    desk = Desk(Office(tmp_path_factory.mktemp("office")))
    outcomes: list[str] = []
    edges = sorted({0, *(cut for cut in cuts if cut < len(order)), len(order)})
    for start, end in itertools.pairwise(edges):
        batch = [desk.admitted(number, root="yes" if number % 2 else "no") for number in order[start:end]]
        outcomes += desk.apply(*batch)

    applied = [number for number, outcome in zip(order, outcomes, strict=True) if outcome == "accepted"]
    assert applied == sorted(set(applied))
    assert applied[-1] == max(order)
    assert set(outcomes) <= {"accepted", "repeated", "late"}
    desk.office.database.close()
