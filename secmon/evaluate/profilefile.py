"""The files of `profiles/`: kinds of machines, which checks they ask, and with what limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from secmon.evaluate.adapt import LimitChanges, Pick, Profile, Selector
from secmon.evaluate.areas import AREAS
from secmon.evaluate.check import Check
from secmon.evaluate.document import DocumentError, Node, read_document
from secmon.evaluate.mistakes import Reader
from secmon.evaluate.model import SEVERITIES
from secmon.evaluate.overridefile import read_limit_changes, unknown

NEEDED: Final = ("id", "title", "hosts")
ALLOWED: Final = (*NEEDED, "include", "exclude", "limits")
SELECTORS: Final = ("os", "family", "zone", "role", "department", "department_code", "location", "owner", "contact")
"""What the machine says of its system (`os.id`, `os.family`), and what the office says of the machine."""


def read_profile(
    data: bytes, file: str, name: str, checks: Mapping[str, Check], *, is_own: bool
) -> tuple[Profile | None, Reader]:
    """The profile in `data`, which lies in `profiles/<name>.yaml`."""
    reader = Reader(file)
    try:
        node = read_document(data)
    except DocumentError as error:
        reader.wrong(error.line, error.reason)
        return None, reader
    fields = reader.mapping(node, "profile", allowed=ALLOWED, needed=NEEDED)
    if not fields:
        return None, reader
    id_ = reader.string(fields.get("id"), "id")
    if id_ and id_ != name:
        reader.wrong(fields["id"].line, f"id: {id_!r} must be {name!r}, as the file is named")
    profile = Profile(
        id=id_,
        title=reader.text(fields.get("title"), "title"),
        hosts=_hosts(reader, fields.get("hosts")),
        include=_pick(reader, fields["include"], "include", checks) if "include" in fields else None,
        exclude=_pick(reader, fields["exclude"], "exclude", checks) if "exclude" in fields else Pick(),
        limits=_limits(reader, fields.get("limits"), checks),
        is_own=is_own,
    )
    return (None if reader.mistakes else profile), reader


def _hosts(reader: Reader, node: Node | None) -> tuple[Selector, ...]:
    if node is None:
        return ()
    entries = reader.sequence(node, "hosts")
    if not entries:
        reader.wrong(node.line, "hosts: at least one {attribute: value} is needed")
    found: list[Selector] = []
    for entry in entries:
        fields = reader.mapping(entry, "hosts", allowed=SELECTORS)
        if not fields:
            reader.wrong(entry.line, "hosts: name at least one attribute")
        found.append({name: reader.strings(each, f"hosts.{name}") for name, each in fields.items()})
    return tuple(found)


def _pick(reader: Reader, node: Node, what: str, checks: Mapping[str, Check]) -> Pick:
    fields = reader.mapping(node, what, allowed=("areas", "severities", "checks"))
    if not fields:
        reader.wrong(node.line, f"{what}: one of areas, severities, checks is needed")
    known = {name: each for name, each in fields.items() if name in Pick.__struct_fields__}
    picked = {name: reader.strings(each, f"{what}.{name}") for name, each in known.items()}
    for name, allowed in (("areas", AREAS), ("severities", SEVERITIES)):
        for value in picked.get(name, ()):
            if value not in allowed:
                reader.wrong(fields[name].line, f"{what}.{name}: {value!r} is not one of {', '.join(allowed)}")
    for id_ in picked.get("checks", ()):
        if id_ not in checks:
            reader.misfit(fields["checks"].line, unknown("check", id_, checks))
    return Pick(**{name: frozenset(values) for name, values in picked.items()})


def _limits(reader: Reader, node: Node | None, checks: Mapping[str, Check]) -> dict[str, LimitChanges]:
    found: dict[str, LimitChanges] = {}
    for id_, entry in reader.mapping(node, "limits").items() if node is not None else ():
        if id_ not in checks:
            reader.misfit(node.lines[id_] if node is not None else 1, unknown("check", id_, checks))
        changes = read_limit_changes(reader, entry, f"limits.{id_}", checks.get(id_))
        if changes:
            found[id_] = changes
    return found
