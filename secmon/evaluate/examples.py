"""The examples of a check: a machine in a few lines, and the answer that must come out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache

import msgspec
from msgspec import Struct

from secmon.evaluate.document import Node, plain
from secmon.evaluate.model import Machine, SectionState, Status
from secmon.evaluate.sections import builtins
from secmon_agent import facts

DEFAULT_NOW = datetime(2026, 11, 20, tzinfo=UTC)


class Example(Struct, frozen=True, kw_only=True):
    machine: Machine
    now: datetime
    expect: Status
    items: tuple[str, ...] | None = None
    """Keys of the failing and unknown items that must come out, where the example names them."""
    reason: str = ""
    """A part of the reason that must come out."""
    line: int = 1


class ExampleError(Exception):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


class _Shape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    facts: dict[str, object]
    expect: Status
    zone: str | None = None
    now: datetime = DEFAULT_NOW
    age_days: float = 0.0
    attributes: dict[str, str] = {}
    networks: dict[str, str] = {}
    items: tuple[str, ...] | None = None
    reason: str = ""


class _Status(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    status: str
    reason: str = ""


STATUSES = ("absent", "denied", "failed", "unsupported", "undecodable")


def read_example(node: Node) -> Example:
    """`facts` gives a section by its fields, or by its status alone (`absent`, …); `age_days` is how old they are."""
    try:
        shape = msgspec.convert(plain(node), _Shape)
    except msgspec.ValidationError as error:
        raise ExampleError(node.line, f"example: {error}") from None
    if shape.now.tzinfo is None:
        raise ExampleError(node.line, "example: `now` needs a time zone")
    sections = {}
    for name, value in shape.facts.items():
        line = _line_of(node, "facts", name)
        if name not in facts.SECTIONS:
            raise ExampleError(line, f"example: unknown section {name!r}")
        sections[name] = _section(name, value, line)
    attributes = {**shape.attributes, **({"zone": shape.zone} if shape.zone else {})}
    try:
        observed_at = shape.now - timedelta(days=shape.age_days)
    except (OverflowError, ValueError):
        raise ExampleError(node.line, "example: `age_days` leads before the first year") from None
    machine = Machine(
        sections=sections,
        observed_at=observed_at,
        zone=shape.zone,
        attributes=attributes,
        networks=tuple(shape.networks.items()),
    )
    return Example(
        machine=machine, now=shape.now, expect=shape.expect, items=shape.items, reason=shape.reason, line=node.line
    )


def _line_of(node: Node, *keys: str) -> int:
    line = node.line
    for key in keys:
        if not isinstance(node.value, dict) or key not in node.value:
            break
        line, node = node.lines[key], node.value[key]
    return line


def _section(name: str, value: object, line: int) -> SectionState:
    if isinstance(value, str):
        value = {"status": value}
    if isinstance(value, dict) and "status" in value:
        return _other(value, line)
    kind = facts.SECTIONS[name]
    try:
        _no_unknown_fields(value, kind, name)
        return SectionState(status="ok", facts=builtins(msgspec.convert(value, kind)))
    except (msgspec.ValidationError, ValueError) as error:
        raise ExampleError(line, f"example: {name}: {error}") from None


def _other(value: Mapping[str, object], line: int) -> SectionState:
    try:
        shape = msgspec.convert(value, _Status)
    except msgspec.ValidationError as error:
        raise ExampleError(line, f"example: {error}") from None
    if shape.status not in STATUSES:
        raise ExampleError(line, f"example: {shape.status!r} is no status; one of {', '.join(STATUSES)}")
    return SectionState(status=shape.status, reason=shape.reason)


def _no_unknown_fields(value: object, kind: type[Struct], path: str) -> None:
    """A misspelt field in an example would be passed over, as one of a newer agent is."""
    _walk(value, _type_info(kind), path)


_type_info = cache(msgspec.inspect.type_info)


def _walk(value: object, info: msgspec.inspect.Type, path: str) -> None:
    if isinstance(info, msgspec.inspect.UnionType):
        for inner in info.types:
            _walk(value, inner, path)
    elif isinstance(info, msgspec.inspect.StructType) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in info.fields}
        for name, inner_value in value.items():
            if name not in fields:
                raise ValueError(f"unknown field {path}.{name}")
            _walk(inner_value, fields[name], f"{path}.{name}")
    elif isinstance(info, msgspec.inspect.VarTupleType) and isinstance(value, list):
        for inner_value in value:
            _walk(inner_value, info.item_type, f"{path}[]")
