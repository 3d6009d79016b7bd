"""The present agent with collectors of released versions, and with collectors of versions to come.

What the collectors say is played back byte for byte over TLS.
"""

from __future__ import annotations

import subprocess  # noqa: TID251 - a whole agent is started as an office's timers start it
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from secmon_agent import durable, identity, keys, state, wire
from secmon_agent.errors import AgentError
from secmon_agent.outcome import Outcome
from tests.agents import released
from tests.agents.desk import Desk
from tests.agents.released import Exchange
from tests.agents.server import Answer, Collector, Handler, Scripted, refusal

VERSIONS = sorted(path.name for path in released.FOLDER.glob("[0-9]*"))
RECORDED = [
    (version, name)
    for version in VERSIONS
    for name in released.machines(version)
    if sys.platform != "win32" or name.startswith("windows")
]


class Playback:
    """Gives one recorded answer after the other, and keeps what it was sent."""

    def __init__(self, *answers: Exchange) -> None:
        self.sent: list[bytes] = []
        self.left = list(answers)

    def script(self) -> list[Scripted]:
        return [self] * len(self.left)

    def __call__(self, handler: Handler) -> Answer:
        self.sent.append(handler.body)
        answer = self.left.pop(0)
        return answer.status, answer.answer, answer.headers


def agent(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """The whole program: exit code, output, errors."""
    command = [sys.executable, "-m", "secmon_agent", "--state-dir", str(folder), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False)
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stdout, ended.stderr


def went(outcome: Outcome) -> tuple[int, int, str]:
    """Delivered, refused, trouble."""
    return outcome.delivered, outcome.rejected, outcome.trouble


def installed_before(folder: Path, machine: released.Machine, port: int) -> None:
    """The state folder as the released version left it; the collector has another port here."""
    durable.private_directory(folder)
    durable.private_directory(folder / "spool")
    for name, content in machine.folder.items():
        durable.write(folder / name, content)
    written = msgspec.json.decode(machine.folder["identity.json"])
    durable.write(folder / "identity.json", msgspec.json.encode({**written, "port": port}))


@pytest.mark.parametrize(("version", "name"), RECORDED)
def test_it_goes_on_from_what_a_released_version_left_on_the_disk(
    version: str, name: str, tmp_path: Path, collector: Collector
) -> None:
    machine = released.machine(version, name)
    folder = tmp_path / "state"
    installed_before(folder, machine, collector.port)
    said = [machine.exchanges[each] for each in ("changed", "heartbeat", "heartbeat-2")]
    playback = Playback(*said)
    collector.script = playback.script()

    assert agent(folder, "once") == (0, "2 delivered\n", "")
    assert agent(folder, "once") == (0, "1 delivered\n", "")

    assert playback.sent[0] == machine.exchanges["changed"].body
    key = keys.load(folder)
    assert key is not None
    reports = [wire.open_envelope(body, bytes(key.verify_key)) for body in playback.sent]
    expected = [wire.read_ack(exchange.answer) for exchange in said]
    assert [(report.stream, report.sequence) for report in reports] == [(ack.stream, ack.sequence) for ack in expected]
    known = state.load(folder)
    assert known is not None
    assert (known.last_ack_sequence, known.interval_s, known.collector_id) == (4, 900, expected[-1].collector_id)
    assert not list((folder / "spool").iterdir())
    assert not list((folder / "damaged").iterdir())


@pytest.mark.parametrize("version", VERSIONS)
def test_it_enrolls_at_a_released_collector(version: str, tmp_path: Path, collector: Collector) -> None:
    answers = released.answers(version)
    enrolled = released.machine(version, released.machines(version)[0]).exchanges["enrollment"]
    refusals = [answers[name] for name in answers if name.startswith("token-")] + [answers["enrollment-refused"]]
    folder = tmp_path / "state"
    for refused in refusals:
        collector.script = Playback(refused).script()
        code, out, err = agent(folder, "enroll", str(collector.invitation()))
        assert (code, out) == (1, "")
        assert "ask" in err
        assert identity.load(folder) is None
    collector.script = Playback(answers["pending"], enrolled).script()
    assert "waits for approval (same host name" in agent(folder, "enroll", str(collector.invitation()))[1]
    assert agent(folder, "enroll", str(collector.invitation()))[:2] == (
        0,
        f"enrolled at 127.0.0.1:{collector.port}\n",
    )
    where = identity.load(folder)
    assert where is not None
    assert (where.status, where.token) == ("enrolled", "")
    assert where.collector_id == wire.read_answer(enrolled.answer).collector_id


KEPT: dict[str, str] = {
    "unknown-key": "enroll this machine again",
    "revoked-key": "enroll this machine again",
    "bad-signature": "enroll this machine again",
    "busy": "busy",
    "not-found": "nothing at this address",
}
"""Answers after which the report waits, and what is said of them."""
SET_ASIDE = ("malformed", "too-large", "section-not-allowed")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", KEPT)
def test_it_keeps_its_report_when_a_released_collector_answers_so(
    version: str, name: str, desk: Desk, collector: Collector
) -> None:
    collector.script = Playback(released.answers(version)[name]).script()
    outcome = desk.agent().cycle()
    assert KEPT[name] in outcome.trouble
    assert outcome.retry_after_s == (15 if name == "busy" else None)
    assert went(desk.agent().drain()) == (1, 0, "")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SET_ASIDE)
def test_it_sets_its_report_aside_when_a_released_collector_answers_so(
    version: str, name: str, desk: Desk, collector: Collector
) -> None:
    collector.script = Playback(released.answers(version)[name]).script()
    assert went(desk.agent().cycle()) == (0, 1, "")
    assert went(desk.agent().cycle()) == (1, 0, "")
    assert collector.received[0].rejected == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_it_begins_anew_when_a_released_collector_answers_fork(version: str, desk: Desk, collector: Collector) -> None:
    desk.agent().cycle()
    before = desk.state().stream
    collector.script = Playback(released.answers(version)["fork"]).script()
    outcome = desk.agent().cycle()
    assert (outcome.rejected, outcome.delivered, outcome.forked) == (1, 1, True)
    assert collector.received[-1].stream == desk.state().stream != before


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("name", "with_data"), [("want", {"host"}), ("want-all", {"host", "ports"})])
def test_it_sends_what_a_released_collector_wants(
    version: str, name: str, with_data: set[str], desk: Desk, collector: Collector
) -> None:
    desk.agent().cycle()
    wanting = released.answers(version)[name]
    ack = wire.read_ack(wanting.answer)
    before = msgspec.structs.replace(
        desk.state(), stream=ack.stream, sequence=ack.sequence - 1, collector_id=ack.collector_id
    )
    state.save(desk.folder, before)
    collector.script = Playback(wanting).script()
    assert desk.agent().cycle().delivered == 2
    sections = collector.received[-1].sections
    assert isinstance(sections, dict)
    assert {name for name, section in sections.items() if section.data is not msgspec.UNSET} == with_data


def with_later_fields(handler: Handler) -> Answer:
    status, body, headers = handler.usual(handler.server.collector)
    said = msgspec.msgpack.decode(body)
    novelties = {"successor_ca": b"x" * 600, "weather": {"today": ["fine", 23.5, None]}}
    return status, msgspec.msgpack.encode({**novelties, **said}), headers


def test_it_takes_an_ack_with_fields_of_a_later_collector(desk: Desk, collector: Collector) -> None:
    collector.script = [with_later_fields, with_later_fields]
    assert went(desk.agent().cycle()) == (1, 0, "")
    assert went(desk.agent().cycle()) == (1, 0, "")
    assert collector.received[-1].sections is msgspec.UNSET


def test_it_takes_an_enrollment_answer_with_fields_of_a_later_collector(tmp_path: Path, collector: Collector) -> None:
    collector.script = [with_later_fields]
    assert agent(tmp_path / "state", "enroll", str(collector.invitation()))[0] == 0


def wanting(*names: str) -> Scripted:
    def answer(handler: Handler) -> Answer:
        report = wire.read_report(wire.read_envelope(handler.body))
        handler.usual(handler.server.collector)
        return 200, handler.server.collector.ack(report, names), {}

    return answer


def test_it_passes_over_wanted_sections_that_only_a_later_agent_has(desk: Desk, collector: Collector) -> None:
    collector.script = [wanting("moon_phase")]
    assert desk.agent().cycle().delivered == 1
    collector.script = [wanting("moon_phase", "ports")]
    assert desk.agent().cycle().delivered == 2


LATER: Sequence[tuple[int, bytes]] = [
    (415, wire.problem("unknown-format", 415)),
    (422, b'{"type":"urn:secmon:problem:of-2031","title":"Something new","status":422,"more":{"a":[1]}}'),
    (426, b"<html>Upgrade Required</html>"),
    (202, b""),
]


@pytest.mark.parametrize(("status", "body"), LATER)
def test_it_keeps_its_report_for_an_answer_that_it_does_not_know(
    status: int, body: bytes, desk: Desk, collector: Collector
) -> None:
    collector.script = [lambda _: (status, body, {"Content-Type": wire.PROBLEM_CONTENT_TYPE})]
    assert desk.agent().cycle().trouble
    assert went(desk.agent().drain()) == (1, 0, "")


def test_it_says_what_to_do_about_a_collector_that_is_older_than_itself(
    tmp_path: Path, desk: Desk, collector: Collector
) -> None:
    older = refusal("unknown-format", 415)
    collector.script = [lambda _: older, lambda _: older]
    assert "may be older than the agent" in desk.agent().cycle().trouble
    code, _, err = agent(tmp_path / "new", "enroll", str(collector.invitation()))
    assert code == 1
    assert "upgrade the collector" in err


def test_it_does_not_take_an_enrollment_answer_for_another_than_it_is(tmp_path: Path, collector: Collector) -> None:
    answer = wire.EnrollmentAnswer(
        status="on-probation", collector_id=b"c" * 16, generation=1, interval_s=60, server_time=collector.now()
    )
    collector.script = [lambda _: (200, wire.encode(answer), {})]
    code, _, err = agent(tmp_path / "state", "enroll", str(collector.invitation()))
    assert code == AgentError.exit_code
    assert "'on-probation' does not fit HTTP status 200" in err
