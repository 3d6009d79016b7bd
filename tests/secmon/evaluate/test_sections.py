"""From stored bytes to what a judge sees."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from secmon.evaluate.sections import read_sections
from secmon_agent import facts
from secmon_agent.wire import encode_facts

FETCHED = datetime(2026, 11, 20, 3, tzinfo=UTC)


def test_undetermined_fields_are_left_out_and_instants_keep_their_zone() -> None:
    data = encode_facts(
        facts.Patches(manager="apt", lists_updated_at=FETCHED, pending=(facts.PendingUpdate(package="a"),))
    )

    state = read_sections({"patches": ("ok", "", data)})["patches"]

    assert state.status == "ok"
    assert state.facts is not None
    assert state.facts["lists_updated_at"] == FETCHED
    assert set(state.facts) == {"manager", "lists_updated_at", "pending"}
    assert list(state.facts["pending"]) == [{"package": "a"}]  # type: ignore[call-overload]


def test_what_cannot_be_decoded_is_undecodable_and_says_why() -> None:
    read = read_sections({"patches": ("ok", "", b"\xc1"), "devices": ("ok", "", b"\x80"), "ports": ("ok", "", None)})

    assert {name: state.status for name, state in read.items()} == dict.fromkeys(read, "undecodable")
    assert read["devices"].reason == "section 'devices' is not known to this version"
    assert read["ports"].reason == "its content is not stored"
    assert read["patches"].reason.startswith("section patches: ")


def test_an_instant_without_a_zone_is_undecodable() -> None:
    naive = msgspec.msgpack.encode({"pending": [{"package": "a", "pending_since": "2026-11-20T00:00:00"}]})

    state = read_sections({"patches": ("ok", "", naive)})["patches"]

    assert (state.status, state.reason) == ("undecodable", "section patches: an instant has no time zone")


def test_other_statuses_keep_their_reason() -> None:
    state = read_sections({"patches": ("denied", "no right", None)})["patches"]

    assert (state.status, state.reason, state.facts) == ("denied", "no right", None)
