"""docs/facts.md, made from the vocabulary and the probes: every field, its unit, where it is told, from which sources
and with which rights.

The sentences are the docstrings of the fields. Which platform tells a field is read out of the probes: somewhere on the
way from the table of probes, its Struct is made with that field.
"""

from __future__ import annotations

import ast
import re
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct, UnsetType

from secmon_agent import facts
from tests.agents.probe_source import Probe, fields_told, probes

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "docs" / "facts.md"
_PACKAGE: Final = ROOT / "agents" / "secmon_agent" / "facts"
_UNITS: Final = (("_bytes", "bytes"), ("_s", "seconds"), ("_days", "days"), ("_percent", "%"), ("_on", "date"))
_TYPES: Final = {str: "text", bool: "yes/no", int: "number", datetime: "instant (UTC)"}
_NAMES: Final = {"linux": "Linux", "windows": "Windows"}
_HEAD: Final = """# Facts

What an agent can say about a machine, made from the code by `pytest tests/agents/probes --update-golden`; change the
docstrings in `agents/secmon_agent/facts/` and of the probes, not this file.

- A field that could not be determined is left out: it is never null and never a default.
- Facts are instants and settings, never ages. Lists are sets.
- No names of people, command lines or window titles: an account of a person is named by its uid or SID.
- `[]` after a name means a list; what stands after the dot is a field of each of its members.
- What Windows tells is made from documentation and tried on recordings made from it, not on a real machine.
- Rights: what an agent needs to tell everything; the services that the packages install have them.
"""


class Sentences(Struct, frozen=True):
    """Docstrings of the vocabulary."""

    kinds: Mapping[str, str]
    """By Struct."""
    fields: Mapping[tuple[str, str], str]
    """By Struct and field."""


class Row(Struct, frozen=True, kw_only=True):
    key: tuple[str, str]
    """Struct and field."""
    name: str
    kind: str
    unit: str
    families: tuple[str, ...]
    """Who tells it; empty where the field belongs to a list of which nobody tells it."""
    sentence: str


def sentences(folder: Path = _PACKAGE) -> Sentences:
    kinds: dict[str, str] = {}
    fields: dict[tuple[str, str], str] = {}
    for path in sorted(folder.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                kinds[node.name] = _one_line(ast.get_docstring(node) or "")
                fields |= {(node.name, name): text for name, text in _documented(node)}
    return Sentences(kinds, fields)


def document() -> str:
    said, tables = sentences(), probes()
    parts = [_section(name, kind, said, tables) for name, kind in facts.SECTIONS.items()]
    return "\n".join([_HEAD, *parts])


def _section(name: str, kind: type[Struct], said: Sentences, tables: Mapping[str, Mapping[str, Probe]]) -> str:
    found = {family: table[name] for family, table in tables.items() if name in table}
    told = {family: fields_told(probe) for family, probe in found.items()}
    about = said.kinds[kind.__name__].removeprefix(f"Section `{name}`").lstrip(":. ")
    lines = [f"## {name}", "", about[:1].upper() + about[1:], ""]
    for family, probe in found.items():
        mark = " (made from documentation)" if family == "windows" else ""
        lines += [f"- {_NAMES[family]}{mark}. {_one_line(probe.sources)} {_one_line(probe.rights)}"]
    lines += ["", "| Field | Type | Unit | Platform | Meaning |", "|---|---|---|---|---|"]
    lines += [_line(row) for row in rows(kind, said, told) if row.families]
    return "\n".join([line for at, line in enumerate(lines) if line or lines[at - 1]]) + "\n"


def rows(
    kind: type[Struct], said: Sentences, told: Mapping[str, set[tuple[str, str]]], path: str = ""
) -> Iterator[Row]:
    """Of a Struct and of the Structs in its fields."""
    for name, hint in typing.get_type_hints(kind).items():
        inner, many = _plain(hint)
        key = (kind.__name__, name)
        here = {family: fields for family, fields in told.items() if {key, ("replace", name)} & fields}
        yield Row(
            key=key,
            name=f"{path}{name}{'[]' if many else ''}",
            kind=_kind(inner, many),
            unit=next((unit for ending, unit in _UNITS if name.endswith(ending)), ""),
            families=tuple(here),
            sentence=said.fields.get(key, ""),
        )
        if isinstance(inner, type) and issubclass(inner, Struct):
            yield from rows(inner, said, here, f"{path}{name}{'[]' if many else ''}.")


def _line(row: Row) -> str:
    cells = (f"`{row.name}`", row.kind, row.unit, ", ".join(_NAMES[it] for it in row.families), row.sentence)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _plain(hint: object) -> tuple[object, bool]:
    """The type without UNSET, and whether there are many of them."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        hint = next(it for it in typing.get_args(hint) if it is not UnsetType)
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], True
    return hint, False


def _kind(inner: object, many: bool) -> str:
    if typing.get_origin(inner) is Literal:
        text = ", ".join(f"`{word}`" for word in typing.get_args(inner))
    elif isinstance(inner, type) and issubclass(inner, Struct):
        text = "list" if many else "group"
    else:
        text = _TYPES[typing.cast("type", inner)]
        text = f"list of {text}" if many else text
    return text


def _documented(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, after in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = after.value if isinstance(after, ast.Expr) else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                yield field.target.id, _one_line(text.value)


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
