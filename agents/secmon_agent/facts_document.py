"""A machine's facts as one JSON file: what `secmon-agent facts` prints and `secmon inspect FACTS.json` reads.

{"format": "secmon.facts.v1", "collected_at": …, "hostname": …,
 "sections": {NAME: {"status": …, "reason": …, "collected_at": …, "facts": {…}}}}
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from secmon_agent import facts, wire
from secmon_agent.host import Host
from secmon_agent.skim import TooManyError, skim

FORMAT: Final = "secmon.facts.v1"
MAX_DOCUMENT_BYTES: Final = 16 << 20
_STATUSES: Final = ("absent", "denied", "failed", "unsupported")

_Moment = Annotated[datetime, Meta(tz=True)]


class _Section(Struct, frozen=True, kw_only=True, omit_defaults=True):
    status: Annotated[str, Meta(max_length=32)]
    collected_at: _Moment
    reason: Annotated[str, Meta(max_length=wire.MAX_REASON_CHARS)] = ""
    facts: msgspec.Raw | UnsetType = UNSET


class _Document(Struct, frozen=True, kw_only=True):
    format: str
    collected_at: _Moment
    sections: Annotated[dict[wire.SectionName, _Section], Meta(max_length=wire.MAX_SECTIONS)]
    hostname: str | UnsetType = UNSET


def facts_document(sections: dict[str, wire.Section], host: Host) -> bytes:
    """Indented JSON, the sections in the order of the vocabulary."""
    order = sorted(
        sections, key=lambda name: (list(facts.SECTIONS).index(name) if name in facts.SECTIONS else 99, name)
    )
    document = _Document(
        format=FORMAT,
        collected_at=max((it.collected_at for it in sections.values()), default=host.now().replace(microsecond=0)),
        hostname=_hostname(sections),
        sections={name: _written(name, sections[name]) for name in order},
    )
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def plain_facts(name: str, section: wire.Section) -> object:
    """The facts of a section as JSON-able values; None where it has none."""
    if section.data is UNSET:
        return None
    return msgspec.to_builtins(wire.decode_facts(name, section.data))


def read_facts_document(data: bytes) -> tuple[datetime, dict[str, wire.Section]]:
    """When the facts were collected, and the sections. ValueError names the fault and its place. A section that this
    version does not know becomes `unsupported`."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"the file has {len(data)} bytes; the limit is {MAX_DOCUMENT_BYTES}")
    try:
        document = msgspec.json.decode(data, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"this is no facts file: {error}") from None
    if document.format != FORMAT:
        raise ValueError(f"format is not {FORMAT} - at `$.format`")
    return document.collected_at, {name: _read(name, it) for name, it in document.sections.items()}


def _hostname(sections: dict[str, wire.Section]) -> str | UnsetType:
    found = plain_facts("host", sections["host"]) if "host" in sections else None
    name = found.get("hostname") if isinstance(found, dict) else None
    return name if isinstance(name, str) else UNSET


def _written(name: str, section: wire.Section) -> _Section:
    found = plain_facts(name, section)
    return _Section(
        status=section.status,
        reason=section.reason,
        collected_at=section.collected_at,
        facts=UNSET if found is None else msgspec.Raw(msgspec.json.encode(found)),
    )


def _read(name: str, section: _Section) -> wire.Section:
    where = f"at `$.sections.{name}`"
    if section.status in _STATUSES:
        return wire.other_section(section.status, section.reason, section.collected_at)
    if section.status != "ok":
        raise ValueError(f"unknown status {section.status!r} - {where}")
    if section.facts is UNSET:
        raise ValueError(f"status is ok, but there are no facts - {where}")
    kind = facts.SECTIONS.get(name)
    if kind is None:
        return wire.other_section("unsupported", f"this version does not know the section {name}", section.collected_at)
    try:
        found: facts.Section = msgspec.json.decode(section.facts, type=kind)
        answer = wire.ok_section(found, section.collected_at)
        skim(
            answer.data if answer.data is not UNSET else b"",
            max_list=wire.MAX_LIST_ELEMENTS,
            max_total=wire.MAX_TOTAL_ELEMENTS,
            max_depth=wire.MAX_DEPTH,
        )
    except (msgspec.DecodeError, TooManyError, UnicodeError, RecursionError) as error:
        raise ValueError(f"{error} - {where}") from None
    return answer
