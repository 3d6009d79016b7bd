"""Deciding what a report must carry, and what an acknowledgement means. Pure: no clock, file or socket."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import UNSET, Struct
from msgspec.structs import replace

from secmon_agent import wire
from secmon_agent.skim import skim
from secmon_agent.state import Known, State


class Circumstances(Struct, frozen=True, kw_only=True):
    """What a report says of the moment rather than of the machine's sections."""

    now: datetime
    boot_id: bytes
    machine_id: bytes | None
    vitals: dict[str, float]
    own_cost: dict[str, float]
    """Vitals of the agent itself."""
    rejected: int
    interval_s: int
    agent_version: str
    next_ca: bytes = b""
    """Mark of the successor CA that this agent has; empty where there is none."""


def known(sections: Mapping[str, wire.Section]) -> dict[str, Known]:
    return {name: (section.status, section.digest) for name, section in sections.items()}


def changed(state: State, sections: Mapping[str, wire.Section]) -> set[str]:
    """Names of sections that the collector is not known to have as they are now, those that are gone included."""
    now = known(sections)
    return {name for name in now.keys() | state.acked.keys() if now.get(name) != state.acked.get(name)}


def next_state(state: State, sections: Mapping[str, wire.Section]) -> State:
    """To be made durable before the report is sealed: the next sequence, and what is on its way."""
    unsettled = tuple(sorted(changed(state, sections).union(state.unsettled)))
    return replace(state, sequence=state.sequence + 1, unsettled=unsettled)


def compose(state: State, sections: Mapping[str, wire.Section], around: Circumstances) -> wire.Report:
    """The report of `next_state(…)`: a heartbeat when nothing is unsettled, otherwise all sections."""
    heartbeat = not state.unsettled
    return wire.Report(
        stream=state.stream,
        sequence=state.sequence,
        boot_id=around.boot_id,
        collected_at=around.now,
        interval_s=around.interval_s,
        state=wire.state_digest(sections),
        offset_s=UNSET if state.offset_s is None else state.offset_s,
        machine_id=UNSET if heartbeat or around.machine_id is None else around.machine_id,
        agent_version=UNSET if heartbeat else around.agent_version,
        sections=UNSET if heartbeat else _listed(sections, state.unsettled),
        vitals=around.vitals if heartbeat else {**around.vitals, **around.own_cost},
        rejected=around.rejected or UNSET,
        ca=UNSET if around.next_ca in (b"", state.told_ca) else around.next_ca,
    )


def _listed(sections: Mapping[str, wire.Section], with_data: tuple[str, ...]) -> dict[str, wire.Section]:
    return {name: section if name in with_data else replace(section, data=UNSET) for name, section in sections.items()}


def settle(state: State, report: wire.Report, ack: wire.Ack) -> State:
    """The state after `ack` of `report`. What the collector wants counts as not acknowledged."""
    had = state.acked if report.sections is UNSET else known(report.sections)
    if report.stream != state.stream:
        had = state.acked  # of a stream that was given up; the present one begins with full state
    elif _restored(state, ack):
        had = {} if report.sections is UNSET else known(_complete(report.sections))
    if wire.FULL_STATE in ack.want:
        had = {}
    return replace(
        state,
        acked={name: value for name, value in had.items() if name not in ack.want},
        collector_id=ack.collector_id,
        generation=ack.generation,
        interval_s=min(max(ack.interval_s, wire.MIN_INTERVAL_S), wire.MAX_INTERVAL_S),
        told_ca=_told_ca(state, report, ack),
        last_ack_at=ack.server_time,
        last_ack_sequence=ack.sequence,
    )


def _told_ca(state: State, report: wire.Report, ack: wire.Ack) -> bytes:
    """A collector that offers one does not know that the agent has it, whatever was told before."""
    if ack.ca is not UNSET:
        return b""
    return state.told_ca if report.ca is UNSET else report.ca


def _restored(state: State, ack: wire.Ack) -> bool:
    return state.generation is not None and (state.generation, state.collector_id) != (ack.generation, ack.collector_id)


def _complete(sections: Mapping[str, wire.Section]) -> dict[str, wire.Section]:
    """Sections that arrived whole: with data, or with a status that has none."""
    return {name: section for name, section in sections.items() if section.status != "ok" or section.data is not UNSET}


def within_limits(state: State, sections: Mapping[str, wire.Section]) -> dict[str, wire.Section]:
    """The same with every section that the collector would refuse replaced by `failed`: it cannot hold up the rest.
    What it has acknowledged it does not refuse."""
    news = changed(state, sections)
    return {name: (name in news and _too_large(section)) or section for name, section in sections.items()}


def _too_large(section: wire.Section) -> wire.Section | None:
    if section.data is UNSET:
        return None
    try:
        skim(
            section.data,
            max_list=wire.MAX_LIST_ELEMENTS,
            max_total=wire.MAX_TOTAL_ELEMENTS,
            max_depth=wire.MAX_DEPTH,
        )
    except ValueError as error:
        return wire.other_section("failed", f"too large to report: {error}", section.collected_at)
    return None


def without_largest(sections: Mapping[str, wire.Section], among: tuple[str, ...]) -> dict[str, wire.Section]:
    """The same with the one of `among` that has the most data replaced by `failed`: for a report that is too large."""
    sizes = {name: len(sections[name].data or b"") for name in among if name in sections}
    largest = max(sizes, key=lambda name: sizes[name])
    reason = f"too large to report: {sizes[largest]} bytes"
    return {**sections, largest: wire.other_section("failed", reason, sections[largest].collected_at)}
