"""The source of the probes, read and not run: what each probe says of itself, and which fields it can tell."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from msgspec import Struct

AGENTS: Final = Path(__file__).parents[2] / "agents"
_PROBES: Final = "secmon_agent.probes"
FAMILIES: Final = ("linux", "windows")


class Place(Struct, frozen=True):
    """A name at the top of a module."""

    module: str
    name: str


class Probe(Struct, frozen=True, kw_only=True):
    place: Place
    sources: str
    """Its docstring without the paragraph on rights."""
    rights: str
    """`Rights: …`, or empty."""


def probes() -> dict[str, dict[str, Probe]]:
    """By family and section, in the order of the tables."""
    return {family: dict(_table(f"{_PROBES}.table_{family}")) for family in FAMILIES}


def fields_told(probe: Probe) -> set[tuple[str, str]]:
    """(Struct, field) of every fact that is made on the way from this probe."""
    told: set[tuple[str, str]] = set()
    waiting, seen = [probe.place], {probe.place}
    while waiting:
        place = waiting.pop()
        node = _definitions(place.module).get(place.name)
        if node is None:
            continue
        told |= set(_made(node, place.module))
        for used in _used(node, place.module):
            if used not in seen and used.module.startswith(_PROBES):
                seen.add(used)
                waiting.append(used)
    return told


def _table(module: str) -> Iterator[tuple[str, Probe]]:
    names = _imports(module)
    table = _definitions(module)["PROBES"]
    assert isinstance(table, ast.AnnAssign)
    assert isinstance(table.value, ast.Dict)
    for key, value in zip(table.value.keys, table.value.values, strict=True):
        assert isinstance(key, ast.Constant)
        assert isinstance(value, ast.Name)
        yield str(key.value), _probe(names[value.id])


def _probe(place: Place) -> Probe:
    node = _definitions(place.module)[place.name]
    assert isinstance(node, ast.FunctionDef)
    text = inspect.cleandoc(ast.get_docstring(node) or "")
    sources, _, rights = text.partition("\n\nRights: ")
    return Probe(place=place, sources=sources, rights=f"Rights: {rights}" if rights else "")


@cache
def _tree(module: str) -> ast.Module:
    """Empty for what is no module of its own: `NAMES.get` of an imported table is no place."""
    path = AGENTS / (module.replace(".", "/") + ".py")
    return ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")


@cache
def _definitions(module: str) -> Mapping[str, ast.stmt]:
    found: dict[str, ast.stmt] = {}
    for node in _tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
    return found


@cache
def _imports(module: str) -> Mapping[str, Place]:
    """What each imported name means, wherever in the module it is imported."""
    found = [node for node in ast.walk(_tree(module)) if isinstance(node, ast.ImportFrom) and node.module]
    return {it.asname or it.name: Place(str(node.module), it.name) for node in found for it in node.names}


def _used(node: ast.stmt, module: str) -> Iterator[Place]:
    """Places that the definition mentions: its own module's, imported ones, and those of imported modules."""
    names = _imports(module)
    for it in ast.walk(node):
        if isinstance(it, ast.Name):
            yield names.get(it.id, Place(module, it.id))
        elif isinstance(it, ast.Attribute) and isinstance(it.value, ast.Name) and it.value.id in names:
            owner = names[it.value.id]
            yield Place(f"{owner.module}.{owner.name}", it.attr)


def _made(node: ast.stmt, module: str) -> Iterator[tuple[str, str]]:
    """Of calls `Struct(field=…)`; of `convert(…, Struct)` the keys of the module's tables; of `replace(…, field=…)` any
    Struct's."""
    for call in (it for it in ast.walk(node) if isinstance(it, ast.Call)):
        name = _name(call.func)
        for word in call.keywords:
            if word.arg and not (isinstance(word.value, ast.Name) and word.value.id == "UNSET"):
                yield name, word.arg
        if name == "convert" and len(call.args) == 2:
            texts = (it.value for it in ast.walk(_tree(module)) if isinstance(it, ast.Constant))
            yield from ((_name(call.args[1]), text) for text in texts if isinstance(text, str))


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
