"""Kinds of values that a condition can meet, taken from the vocabulary of facts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Final, Literal, Union, get_args, get_origin, get_type_hints

from msgspec import Struct, UnsetType

from secmon_agent import facts


class Kind(Struct, frozen=True, kw_only=True):
    """`name` is one of bool, int, double, string, timestamp, list, record, names; the rest says of what."""

    name: str
    values: tuple[str, ...] = ()
    """Of a string: every value it can have, where the vocabulary says so."""
    element: Kind | None = None
    fields: Mapping[str, Kind] = {}


BOOL: Final = Kind(name="bool")
INT: Final = Kind(name="int")
DOUBLE: Final = Kind(name="double")
STRING: Final = Kind(name="string")
TIMESTAMP: Final = Kind(name="timestamp")
NAMES: Final = Kind(name="names")
"""`attributes`: any name to a string; the office may give each or none."""

_SCALARS: Final[Mapping[object, Kind]] = {bool: BOOL, int: INT, float: DOUBLE, str: STRING, datetime: TIMESTAMP}


@cache
def section_kinds() -> Mapping[str, Kind]:
    """Name of a section → its record."""
    return {name: _record(kind) for name, kind in facts.SECTIONS.items()}


def _record(kind: type[Struct]) -> Kind:
    return Kind(name="record", fields={name: _kind(hint) for name, hint in get_type_hints(kind).items()})


def _kind(hint: object) -> Kind:
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and issubclass(hint, Struct):
        return _record(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return Kind(name="string", values=arguments)
    if origin is tuple:
        return Kind(name="list", element=_kind(arguments[0]))
    if origin in (Union, UnionType):
        (inner,) = [argument for argument in arguments if argument is not UnsetType]
        return _kind(inner)
    raise TypeError(f"the vocabulary has a type that conditions cannot read: {hint!r}")
