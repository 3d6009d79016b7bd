"""What an agent reports, when, and what it makes of the collector's answers."""

from __future__ import annotations

from msgspec import UNSET

from secmon_agent import state, wire
from tests.agents.desk import Desk, absent, host, ports
from tests.agents.server import Collector, Handler, cut, refuse


def data_of(report: wire.Report) -> set[str]:
    """Names of the sections that carry data."""
    assert report.sections is not UNSET
    return {name for name, section in report.sections.items() if section.data is not UNSET}


def test_it_sends_full_state_first_and_then_a_heartbeat(desk: Desk, collector: Collector) -> None:
    assert desk.agent().cycle().delivered == 1
    assert desk.agent().cycle().delivered == 1
    first, second = collector.received
    assert data_of(first) == {"host", "ports"}
    assert second.sections is UNSET
    assert second.state == first.state
    assert (second.stream, second.sequence) == (first.stream, first.sequence + 1)
    assert desk.waiting() == []


def test_it_sends_data_only_for_what_changed(desk: Desk, collector: Collector) -> None:
    desk.agent().cycle()
    desk.sections["ports"] = ports(22)
    desk.agent().cycle()
    report = collector.received[-1]
    assert report.sections is not UNSET
    assert set(report.sections) == {"host", "ports", "screen_lock"}
    assert data_of(report) == {"ports"}
    assert collector.sections["ports"][1] == desk.sections["ports"].digest


def test_it_tells_a_change_of_status_alone(desk: Desk, collector: Collector) -> None:
    desk.agent().cycle()
    desk.sections["screen_lock"] = wire.other_section(
        "failed", desk.sections["screen_lock"].reason, host().collected_at
    )
    desk.agent().cycle()
    assert collector.sections["screen_lock"][0] == "failed"


def test_it_tells_that_a_section_is_gone(desk: Desk, collector: Collector) -> None:
    desk.agent().cycle()
    del desk.sections["ports"]
    assert desk.agent().cycle().delivered == 1
    assert set(collector.sections) == {"host", "screen_lock"}


def test_it_answers_at_once_what_the_collector_wants(desk: Desk, collector: Collector) -> None:
    desk.agent().cycle()
    collector.stored.clear()
    desk.sections["screen_lock"] = absent("another reason")
    assert desk.agent().cycle().delivered == 2
    assert data_of(collector.received[-1]) == {"host", "ports"}
    assert desk.agent().cycle().delivered == 1
    assert collector.received[-1].sections is UNSET


def test_it_sends_full_state_when_the_collector_wants_everything(desk: Desk, collector: Collector) -> None:
    desk.agent().cycle()
    collector.sections.clear()
    collector.stored.clear()
    assert desk.agent().cycle().delivered == 2
    assert data_of(collector.received[-1]) == {"host", "ports"}


def test_it_stops_answering_a_collector_that_never_has_enough(desk: Desk, collector: Collector) -> None:
    def insatiable(handler: Handler) -> tuple[int, bytes, dict[str, str]]:
        report = wire.read_report(wire.read_envelope(handler.body))
        return 200, collector.ack(report, (wire.FULL_STATE,)), {}

    collector.script = [insatiable] * 20
    assert desk.agent().cycle().delivered == 3


def test_it_does_not_repeat_itself_for_a_section_it_does_not_have(desk: Desk, collector: Collector) -> None:
    def mistaken(handler: Handler) -> tuple[int, bytes, dict[str, str]]:
        report = wire.read_report(wire.read_envelope(handler.body))
        return 200, collector.ack(report, ("devices",)), {}

    collector.script = [mistaken] * 20
    assert desk.agent().cycle().delivered == 1


def test_it_forgets_what_was_acknowledged_when_the_collector_was_restored(desk: Desk, collector: Collector) -> None:
    desk.agent().cycle()
    collector.generation = 2
    assert desk.agent().cycle().delivered == 2
    assert data_of(collector.received[-1]) == {"host", "ports"}
    assert desk.state().generation == 2


def test_it_keeps_reports_while_the_collector_is_away_and_delivers_them_in_order(
    desk: Desk, collector: Collector
) -> None:
    desk.agent().cycle()
    collector.script = [refuse("busy", 503, Retry_After="7")] * 3
    for numbers in ((22,), (22, 80), (22, 443)):
        desk.sections["ports"] = ports(*numbers)
        outcome = desk.agent().cycle()
        assert "busy" in outcome.trouble
        assert outcome.retry_after_s == 7
    assert len(desk.waiting()) == 3
    assert desk.agent().drain().delivered == 3
    assert [report.sequence for report in collector.received] == [1, 2, 3, 4]
    assert collector.sections["ports"][1] == ports(22, 443).digest


def test_it_sends_data_again_when_something_else_is_on_its_way(desk: Desk, collector: Collector) -> None:
    """Acknowledged A, waiting B, now A again: without its data the collector might stay at B."""
    desk.agent().cycle()
    collector.script = [refuse("busy", 503)] * 2
    desk.sections["ports"] = ports(22)
    desk.agent().cycle()
    desk.sections["ports"] = ports(22, 443)
    desk.agent().cycle()
    desk.agent().drain()
    assert data_of(collector.received[-1]) == {"ports"}
    assert desk.agent().cycle().delivered == 1
    assert collector.received[-1].sections is UNSET


def test_it_repeats_a_report_with_identical_bytes_when_the_answer_was_lost(desk: Desk, collector: Collector) -> None:
    collector.script = [cut]
    assert "collector 127.0.0.1" in desk.agent().cycle().trouble
    assert desk.agent().drain().delivered == 1
    assert len(collector.received) == 1
    assert collector.repeated == 1


def test_it_continues_when_a_kept_connection_was_closed(desk: Desk, collector: Collector) -> None:
    collector.script = [refuse("busy", 503)] * 2
    desk.agent().cycle()
    desk.agent().cycle()

    def close_after(handler: Handler) -> tuple[int, bytes, dict[str, str]]:
        handler.close_connection = True
        return handler.usual(collector)

    collector.script = [close_after]
    assert desk.agent().drain().delivered == 2


def test_it_uses_one_connection_for_many_reports(desk: Desk, collector: Collector) -> None:
    collector.script = [refuse("busy", 503)] * 3
    for _ in range(3):
        desk.agent().cycle()
    collector.connections = 0
    assert desk.agent().drain().delivered == 3
    assert collector.connections == 1


def test_it_moves_a_refused_report_aside_and_says_so_in_the_next(desk: Desk, collector: Collector) -> None:
    collector.script = [refuse("malformed", 400, "at `$.state`"), refuse("too-large", 413)]
    assert desk.agent().cycle().rejected == 1
    assert desk.agent().cycle().rejected == 1
    assert desk.waiting() == []
    assert len(desk.rejected()) == 2
    assert desk.agent().cycle().delivered == 1
    assert collector.received[-1].rejected == 2
    assert data_of(collector.received[-1]) == {"host", "ports"}


def test_it_draws_a_new_stream_after_a_fork_and_sends_full_state_at_once(desk: Desk, collector: Collector) -> None:
    desk.agent().cycle()
    before = desk.state()
    desk.agent().cycle()
    state.save(desk.folder, before)  # as after the machine was put back to a snapshot
    desk.sections["ports"] = ports(1)
    outcome = desk.agent().cycle()
    assert (outcome.rejected, outcome.delivered, outcome.waiting) == (1, 1, 0)
    last = collector.received[-1]
    assert last.stream != before.stream
    assert last.sequence == 1
    assert data_of(last) == {"host", "ports"}


def test_it_begins_a_new_stream_with_full_state_although_older_reports_still_waited(
    desk: Desk, collector: Collector
) -> None:
    desk.agent().cycle()
    collector.script = [refuse("busy", 503)] * 2
    desk.sections["ports"] = ports(1)
    desk.agent().cycle()
    desk.agent().cycle()
    collector.script = [refuse("fork", 409)]
    desk.agent().drain()
    assert desk.agent().cycle().delivered == 1
    assert data_of(collector.received[-1]) == {"host", "ports"}


def test_it_draws_a_new_stream_when_its_state_is_lost(desk: Desk, collector: Collector) -> None:
    desk.agent().cycle()
    (desk.folder / "state.json").write_bytes(b"\0" * 50)
    desk.agent().cycle()
    first, second = collector.received
    assert second.stream != first.stream
    assert data_of(second) == {"host", "ports"}
    assert (desk.folder / "state.json.damaged").exists()


def test_it_keeps_the_spool_and_says_what_to_do_when_its_key_is_unknown(desk: Desk, collector: Collector) -> None:
    collector.keys.clear()
    outcome = desk.agent().cycle()
    assert "This key is not enrolled here" in outcome.trouble
    assert "enroll this machine again" in outcome.trouble
    assert len(desk.waiting()) == 1


def test_it_keeps_the_spool_when_its_key_is_revoked(desk: Desk, collector: Collector) -> None:
    collector.script = [refuse("revoked-key", 401)]
    assert "as secmon-agent doctor says" in desk.agent().cycle().trouble
    assert len(desk.waiting()) == 1


def test_it_does_not_believe_an_ack_of_another_report(desk: Desk, collector: Collector) -> None:
    def confused(handler: Handler) -> tuple[int, bytes, dict[str, str]]:
        report = wire.read_report(wire.read_envelope(handler.body))
        other = wire.read_ack(collector.ack(report))
        return (
            200,
            wire.encode(
                wire.Ack(**{name: getattr(other, name) for name in other.__struct_fields__} | {"sequence": 99})
            ),
            {},
        )

    collector.script = [confused]
    assert "another report" in desk.agent().cycle().trouble
    assert len(desk.waiting()) == 1


def test_it_does_not_believe_an_answer_that_is_no_ack(desk: Desk, collector: Collector) -> None:
    collector.script = [
        lambda _: (200, b"<html>", {}),
        lambda _: (200, b"x" * 70_000, {}),
        lambda _: (302, b"", {"Location": "/"}),
    ]
    for reason in ("no ack", "longer than", "HTTP status 302"):
        assert reason in desk.agent().cycle().trouble
    assert len(desk.waiting()) == 3


def test_it_clamps_the_interval_it_is_told(desk: Desk, collector: Collector) -> None:
    agent = desk.agent()
    for told, kept in ((1, 60), (600, 600), (10**9, 86_400)):
        collector.interval_s = told
        agent.cycle()
        assert agent.interval_s == kept
        assert desk.agent().interval_s == kept


def test_it_reports_the_offset_of_its_clock(desk: Desk, collector: Collector) -> None:
    collector.clock_ahead_s = 5000
    desk.agent().cycle()
    desk.agent().cycle()
    assert collector.received[0].offset_s is UNSET
    offset_s = collector.received[1].offset_s
    assert offset_s is not UNSET
    assert 4990 < offset_s < 5010


def test_it_reports_a_section_over_a_limit_as_failed_and_the_others_as_they_are(
    desk: Desk, collector: Collector
) -> None:
    desk.sections["ports"] = ports(*range(1, wire.MAX_LIST_ELEMENTS + 2))
    assert desk.agent().cycle().delivered == 1
    assert collector.sections["ports"][0] == "failed"
    assert collector.sections["host"][0] == "ok"
    assert desk.agent().cycle().delivered == 1
    assert collector.received[-1].sections is UNSET


def test_it_sends_a_heartbeat_of_at_most_400_bytes(desk: Desk, collector: Collector) -> None:
    sizes: list[int] = []

    def measure(handler: Handler) -> tuple[int, bytes, dict[str, str]]:
        sizes.append(len(handler.body))
        return handler.usual(collector)

    desk.agent().cycle()
    collector.script = [measure]
    desk.agent().cycle()
    report = collector.received[-1]
    assert report.sections is UNSET
    assert isinstance(report.vitals, dict)
    assert set(report.vitals) == {"uptime_s", "disk_free_bytes", "memory_available_bytes"}
    assert isinstance(collector.received[0].vitals, dict)
    assert set(collector.received[0].vitals) - set(report.vitals) == {"agent_cpu_s", "agent_peak_rss_bytes"}
    assert report.offset_s is not UNSET
    assert sizes[0] <= 400
