"""Changing the agent's key: when, how, and whatever comes in between."""

from __future__ import annotations

import hashlib
import shutil
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from secmon_agent import agent as agents
from secmon_agent import cli, durable, identity, keys, leavings, secret, session, state, wire
from secmon_agent.agent import Agent
from secmon_agent.config import Config
from secmon_agent.outcome import Outcome
from secmon_agent.rotation import LIFETIME, PATH, SPREAD, is_due
from tests.agents.desk import WHEN, Desk, ports
from tests.agents.doctor.test_doctor import examined
from tests.agents.power import PowerCutError, cut_at
from tests.agents.server import Answer, Collector, Handler, cut, refuse

MOMENTS = 20
"""At which a cycle that changes the key can be interrupted."""
STEP = 3 if sys.platform == "win32" else 1
"""Every one of them; on Windows, where each file is slow, some."""


def started(desk: Desk, folder: Path | None = None) -> Agent:
    """As a turn's process opens it, with the desk's sections instead of this machine's."""
    folder = folder or desk.folder
    assert session.joined(folder, Config()) is None
    opened = agents.open_agent(folder, Config(), keys.load(folder), identity.load(folder))
    opened._collect = lambda: desk.sections
    return opened


def key_id(folder: Path) -> bytes:
    key = keys.load(folder)
    assert key is not None
    return wire.key_id(bytes(key.verify_key))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def asked(desk: Desk, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """It has reported, and the collector asks for another key from now on. The disk need not be waited for."""
    monkeypatch.setattr("secmon_agent.durable.os.fsync", lambda _: None)
    desk.identity = replace(desk.identity, key_id=key_id(desk.folder), key_since=WHEN)
    identity.save(desk.folder, desk.identity)
    assert started(desk).cycle().delivered == 1
    collector.rotate = True
    return desk


def test_it_changes_its_key_when_it_is_asked_to(asked: Desk, collector: Collector) -> None:
    old = key_id(asked.folder)

    outcome = started(asked).cycle()

    assert (outcome.line(), outcome.unchanged) == ("1 delivered, 1 key changed", "")
    new = key_id(asked.folder)
    where = identity.load(asked.folder)
    assert where is not None
    assert (where.key_id, where.enrolled_at) == (new, asked.identity.enrolled_at)
    assert new != old
    assert collector.ended == set()
    collector.rotate = False
    assert started(asked).cycle() == Outcome(delivered=1)
    assert collector.ended == {old}
    assert [report.sequence for report in collector.received] == [1, 2, 3]
    assert names(asked.folder) & {keys.NEXT_FILE, keys.ROTATION_FILE} == {keys.ROTATION_FILE}


def test_it_goes_on_in_the_same_process_by_the_new_key(asked: Desk, collector: Collector) -> None:
    agent = started(asked)
    assert agent.cycle().renewed == 1
    collector.rotate = False
    asked.sections["ports"] = ports(80)
    assert agent.cycle() == Outcome(delivered=1)
    assert len(collector.ended) == 1


def test_it_protects_the_new_key_like_the_first(asked: Desk) -> None:
    assert started(asked).cycle().renewed == 1
    path = asked.folder / keys.KEY_FILE
    assert path.read_bytes().startswith(secret.MARK) == (secret.machine_vault() is not None)
    if secret.machine_vault() is None:
        assert path.stat().st_mode & 0o777 == 0o600


def test_it_changes_its_key_after_a_year_not_all_on_one_day(asked: Desk, collector: Collector) -> None:
    """By the collector's clock, which alone is known to be of use."""
    collector.rotate = False
    due: list[timedelta] = []
    for number in range(8):
        id_ = hashlib.sha256(b"%d" % number).digest()[:16]
        for days in range(LIFETIME.days - 1, (LIFETIME + SPREAD).days + 2):
            now = WHEN + timedelta(days=days)
            known = replace(state.new_state(), sequence=5, last_ack_sequence=5, last_ack_at=now)
            if is_due(replace(asked.identity, key_id=id_), known, asked=False):
                due.append(timedelta(days=days))
                break
    assert len(due) == 8
    assert LIFETIME <= min(due) < max(due) <= LIFETIME + SPREAD + timedelta(days=1)
    assert len(set(due)) > 4


def test_it_counts_from_enrollment_where_an_earlier_version_enrolled(asked: Desk, collector: Collector) -> None:
    collector.rotate = False
    for enrolled_at, renewed in ((None, 0), (collector.now() - LIFETIME / 2, 0), (WHEN - 3 * LIFETIME, 1)):
        identity.save(asked.folder, replace(asked.identity, key_since=None, enrolled_at=enrolled_at))
        assert started(asked).cycle().renewed == renewed


def test_it_waits_until_everything_that_the_old_key_signed_has_arrived(asked: Desk, collector: Collector) -> None:
    for number in (80, 443):
        asked.sections["ports"] = ports(number)
        started(asked).cycle(deliver=False)
    collector.script = [lambda handler: handler.usual(collector), refuse("busy", 503)]

    stuck = started(asked).drain()

    assert (stuck.delivered, stuck.waiting, stuck.renewed) == (1, 1, 0)
    assert PATH not in collector.paths
    assert started(asked).drain().renewed == 1


def test_it_does_not_trouble_a_collector_that_has_nothing_for_it(asked: Desk, collector: Collector) -> None:
    before = len(collector.paths)
    assert started(asked).drain() == Outcome()
    assert len(collector.paths) == before


@pytest.mark.parametrize(
    "refusal",
    [refuse("not-found", 404), refuse("rotation-refused", 409, "two machines use this key"), refuse("key-taken", 409)],
)
def test_it_asks_again_tomorrow_where_the_key_is_not_changed(
    asked: Desk, collector: Collector, refusal: object
) -> None:
    """An older collector knows no rotation at all."""
    before = key_id(asked.folder)
    collector.script = [lambda handler: handler.usual(collector), refusal]  # type: ignore[list-item]

    outcome = started(asked).cycle()

    assert (outcome.trouble, outcome.delivered) == ("", 1)
    assert "the key could not be changed" in outcome.line()
    assert key_id(asked.folder) == before
    assert keys.NEXT_FILE not in names(asked.folder)
    assert started(asked).cycle() == Outcome(delivered=1)
    collector.clock_ahead_s += 86_400 + 60
    assert started(asked).cycle().renewed == 1


@pytest.mark.parametrize("lost", [cut, refuse("busy", 503), lambda _: (200, b"<html>", {})])
def test_it_offers_the_same_key_again_where_the_answer_was_lost(
    asked: Desk, collector: Collector, lost: object
) -> None:
    collector.script = [lambda handler: handler.usual(collector), lost, lost]  # type: ignore[list-item]
    outcome = started(asked).cycle()
    assert outcome.unchanged
    offered = keys.load(asked.folder, keys.NEXT_FILE)
    assert offered is not None
    collector.script.clear()

    assert started(asked).cycle().renewed == 1

    assert key_id(asked.folder) == wire.key_id(bytes(offered.verify_key))


def test_it_does_not_believe_an_answer_about_another_key(asked: Desk, collector: Collector) -> None:
    def mistaken(_: Handler) -> Answer:
        return 200, wire.encode(wire.RotationAnswer(key_id=b"k" * 16, server_time=WHEN)), {}

    before = key_id(asked.folder)
    collector.script = [lambda handler: handler.usual(collector), mistaken]
    assert "another key" in started(asked).cycle().unchanged
    assert key_id(asked.folder) == before


def test_it_draws_another_key_where_the_one_that_was_to_follow_is_damaged(asked: Desk) -> None:
    (asked.folder / keys.NEXT_FILE).write_bytes(b"cut")
    assert started(asked).cycle().renewed == 1


def test_it_ends_with_one_good_key_wherever_the_power_failed(
    asked: Desk, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each change of the disk and each exchange, in turn; each time the machine starts again and reports."""
    ended_at: list[str] = []
    for number in range(0, 200, STEP):
        asked.sections["ports"] = ports(number + 1)
        collector.rotate = True
        with cut_at(number, monkeypatch) as passed:
            try:
                started(asked).cycle()
            except PowerCutError as error:
                ended_at.append(str(error))
        if len(passed) < number:
            break
        for rotate in (True, False):
            collector.rotate = rotate
            outcome = started(asked).cycle()
            assert (outcome.trouble, outcome.waiting, outcome.renewed) == ("", 0, rotate), ended_at
        assert collector.sections["ports"][1] == asked.sections["ports"].digest
        assert key_id(asked.folder) not in collector.ended
    else:
        raise AssertionError("it never ends")
    assert len(ended_at) == len(range(0, MOMENTS, STEP))
    assert len(collector.ended) > len(ended_at)
    places = [(report.stream, report.sequence) for report in collector.received]
    assert len(places) == len(set(places))
    assert {stream for stream, _ in places} == {places[0][0]}
    assert not list((asked.folder / "damaged").iterdir())
    assert not list((asked.folder / "rejected").iterdir())


def test_it_finishes_first_what_it_left_half_done(asked: Desk, collector: Collector) -> None:
    """The identity names the new key, whose file is not in its place yet."""
    before = (asked.folder / keys.KEY_FILE).read_bytes()
    assert started(asked).cycle().renewed == 1
    (asked.folder / keys.KEY_FILE).rename(asked.folder / keys.NEXT_FILE)
    (asked.folder / keys.KEY_FILE).write_bytes(before)
    assert keys.present(asked.folder) == keys.load(asked.folder, keys.NEXT_FILE)
    assert examined(asked.folder)["key"].mark == "ok"
    collector.rotate = False

    assert started(asked).cycle() == Outcome(delivered=1)

    assert keys.NEXT_FILE not in names(asked.folder)


def test_it_tells_a_collector_of_an_older_backup_how_its_key_followed(asked: Desk, collector: Collector) -> None:
    known = dict(collector.keys)
    assert started(asked).cycle().renewed == 1
    collector.rotate = False
    assert started(asked).cycle() == Outcome(delivered=1)
    collector.keys, collector.ended, collector.generation = known, set(), 2

    outcome = started(asked).cycle()

    assert (outcome.trouble, outcome.delivered, outcome.waiting) == ("", 2, 0)
    assert key_id(asked.folder) in collector.keys


def test_it_tells_that_once_and_only_of_its_own_key(asked: Desk, collector: Collector) -> None:
    assert started(asked).cycle().renewed == 1
    collector.rotate = False
    collector.keys.clear()
    collector.paths.clear()

    outcome = started(asked).cycle()

    assert "enroll this machine again" in outcome.trouble
    assert collector.paths == ["/v1/reports", PATH]
    other = keys.load_or_create(asked.folder, keys.NEXT_FILE)
    durable.write(asked.folder / keys.ROTATION_FILE, wire.rotation(other, other, bytes(16), 1))
    collector.paths.clear()
    started(asked).drain()
    assert collector.paths == ["/v1/reports"]


def test_a_machine_that_enrolls_anew_forgets_the_keys_of_before(asked: Desk, collector: Collector) -> None:
    assert started(asked).cycle().renewed == 1
    keys.load_or_create(asked.folder, keys.NEXT_FILE)
    with pytest.raises(SystemExit):
        cli.main(["enroll", str(collector.invitation()), "--state-dir", str(asked.folder)])
    assert not names(asked.folder) & {keys.NEXT_FILE, keys.ROTATION_FILE}


def test_what_a_machine_leaves_holds_no_key(asked: Desk) -> None:
    assert started(asked).cycle().renewed == 1
    keys.load_or_create(asked.folder, keys.NEXT_FILE)
    leavings.clear(asked.folder)
    assert names(asked.folder) == {keys.KEY_FILE}


def test_the_status_names_the_key_and_its_age(asked: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["status", "--state-dir", str(asked.folder)])
    assert f"key: {key_id(asked.folder).hex()} (since 2026-11-20)" in capsys.readouterr().out


def test_a_copy_of_the_folder_in_the_middle_of_it_is_no_second_machine(
    asked: Desk, collector: Collector, tmp_path: Path
) -> None:
    """The key that was offered goes along with the copy; whoever speaks by it first ends the other."""
    collector.script = [lambda handler: handler.usual(collector), cut, cut]
    assert started(asked).cycle().unchanged
    copy = tmp_path / "copy"
    shutil.copytree(asked.folder, copy)
    collector.script.clear()
    assert started(asked).cycle().renewed == 1
    collector.rotate = False
    assert started(asked).cycle() == Outcome(delivered=1)

    assert "revoked" in started(asked, copy).cycle().trouble
