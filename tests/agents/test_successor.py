"""Whom an agent believes that another CA is to succeed the one that it trusts, and how it says that it does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from msgspec import UNSET, Struct
from msgspec.structs import replace

from secmon_agent import identity, report, state, wire
from secmon_agent.config import Config
from secmon_agent.report import Circumstances
from secmon_agent.successor import Successor, vouches
from tests.agents.desk import WHEN, Desk, host
from tests.agents.server import TLS, Answer, Collector, Handler


class Fixture(Struct, frozen=True):
    ca: bytes
    successor: Successor
    forged: Successor


@pytest.fixture
def given() -> Fixture:
    return msgspec.json.decode((TLS / "successor.json").read_bytes(), type=Fixture)


def test_it_believes_what_the_ca_vouches_for(given: Fixture, tmp_path: Path) -> None:
    assert vouches(tmp_path, given.ca, given.successor)
    assert list(tmp_path.iterdir()) == []


def test_it_believes_nothing_else(given: Fixture, tmp_path: Path) -> None:
    genuine, forged = given.successor, given.forged
    doubtful = {
        "by another CA": forged,
        "for another successor": replace(genuine, ca=forged.ca),
        "another's proof": replace(genuine, proof=forged.proof, proof_key=forged.proof_key),
        "by itself": replace(genuine, proof=genuine.ca),
        "without its key": replace(genuine, proof_key=forged.proof_key),
        "cut": replace(genuine, proof=genuine.proof[:-20]),
        "nothing": Successor(ca=b"", proof=b"", proof_key=b""),
    }
    assert [name for name, offered in doubtful.items() if vouches(tmp_path, given.ca, offered)] == []
    assert not vouches(tmp_path, b"no certificate", genuine)
    assert not vouches(tmp_path, genuine.ca, genuine)
    assert list(tmp_path.iterdir()) == []


def test_it_trusts_both_unless_a_file_says_whom(desk: Desk, given: Fixture, tmp_path: Path) -> None:
    where = replace(desk.identity, next_ca=given.successor.ca)
    assert identity.trusted(Config(), where) == [desk.identity.ca, given.successor.ca]
    file = tmp_path / "ca.pem"
    file.write_bytes((TLS / "ca.pem").read_bytes())
    assert identity.trusted(Config(ca_file=str(file)), where) == [desk.identity.ca]


def test_it_says_which_it_has_until_the_collector_knows() -> None:
    ack = wire.Ack(stream=b"s" * 16, sequence=1, interval_s=900, server_time=WHEN, collector_id=b"c" * 16, generation=1)
    around = Circumstances(
        now=datetime.now(UTC), boot_id=b"", machine_id=None, vitals={}, own_cost={}, rejected=0, interval_s=900,
        agent_version="0", next_ca=b"d" * 8,
    )  # fmt: skip
    known = replace(state.new_state(), stream=ack.stream, sequence=1, generation=1, collector_id=ack.collector_id)
    first = report.compose(known, {"host": host()}, around)
    assert first.ca == b"d" * 8
    known = report.settle(known, first, ack)
    assert report.compose(known, {"host": host()}, around).ca is UNSET
    known = report.settle(known, first, replace(ack, ca=b"d" * 32))  # it has forgotten, as after a restored backup
    assert report.compose(known, {"host": host()}, around).ca == b"d" * 8
    assert report.compose(known, {"host": host()}, replace(around, next_ca=b"")).ca is UNSET


def test_it_goes_on_where_a_successor_is_announced_and_not_shown(desk: Desk, collector: Collector) -> None:
    def offering(handler: Handler) -> Answer:
        status, body, headers = handler.usual(collector)
        return status, wire.encode(replace(wire.read_ack(body), ca=b"d" * 32)), headers

    collector.script = [offering]
    outcome = desk.agent().cycle()
    assert (outcome.trouble, outcome.delivered) == ("", 1)
    assert "the successor of its CA: no such message" in outcome.unchanged
    stored = identity.load(desk.folder)
    assert stored is not None
    assert stored.next_ca == b""


def test_it_says_so_in_a_heartbeat_of_at_most_400_bytes(desk: Desk, collector: Collector, given: Fixture) -> None:
    sizes: list[int] = []

    def measure(handler: Handler) -> Answer:
        sizes.append(len(handler.body))
        return handler.usual(collector)

    desk.agent().cycle()
    desk.identity = replace(desk.identity, next_ca=given.successor.ca)
    collector.script = [measure, measure]
    assert desk.agent().cycle().delivered == 1
    assert desk.agent().cycle().delivered == 1
    mark = wire.ca_mark(given.successor.ca)
    assert [(each.ca, each.sections) for each in collector.received[-2:]] == [(mark, UNSET), (UNSET, UNSET)]
    assert max(sizes) <= 400
