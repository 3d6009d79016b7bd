"""The files of `lists/`: names that conditions look things up in, and what the office adds to them and takes out."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from secmon.evaluate.adapt import Lists
from secmon.evaluate.document import DocumentError, Node, read_document
from secmon.evaluate.mistakes import Reader
from secmon.evaluate.overridefile import unknown

MAX_ENTRIES: Final = 200
MAX_ENTRY_CHARS: Final = 100
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class ListChange(Struct, frozen=True, kw_only=True):
    """What the office's file says of a list: its own entries, or what is different from the shipped ones."""

    entries: tuple[str, ...] | None = None
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

    def of(self, shipped: tuple[str, ...]) -> tuple[str, ...]:
        kept = tuple(entry for entry in shipped if entry not in self.remove)
        return kept + tuple(entry for entry in self.add if entry not in kept)


def read_list(data: bytes, file: str, name: str) -> tuple[tuple[str, ...], Reader]:
    """The entries of a shipped list."""
    reader = Reader(file)
    fields = _fields(reader, data, name, allowed=("title",), needed=("entries",))
    if "title" in fields:
        reader.text(fields["title"], "title")
    return _entries(reader, fields.get("entries"), "entries"), reader


def read_list_change(data: bytes, file: str, name: str, shipped: Lists) -> tuple[ListChange, Reader]:
    """The office's file: `add` and `remove` for a list that was shipped, `entries` for one of its own."""
    reader = Reader(file)
    fields = _fields(reader, data, name, allowed=("title", "entries", "add", "remove"))
    own = _entries(reader, fields["entries"], "entries") if "entries" in fields else None
    add, remove = (_entries(reader, fields.get(key), key) for key in ("add", "remove"))
    if name in shipped:
        if own is not None:
            reader.wrong(fields["entries"].line, f"entries: secmon has a list {name!r}; use add and remove")
        for entry in remove:
            if entry not in shipped[name]:
                reader.misfit(fields["remove"].line, unknown("entry", entry, shipped[name], of=f"the list {name}"))
    elif own is None and not reader.mistakes:
        hint = unknown("list", name, shipped)
        reader.misfit(1, f"{hint}; a list of your own has `entries`")
    return ListChange(entries=own, add=add, remove=remove), reader


def _fields(
    reader: Reader, data: bytes, name: str, allowed: tuple[str, ...], needed: tuple[str, ...] = ()
) -> dict[str, Node]:
    if not _NAME.fullmatch(name):
        reader.wrong(1, f"the name of a list is of small letters, digits and _: {name!r}")
    try:
        return reader.mapping(read_document(data), "list", allowed=allowed, needed=needed)
    except DocumentError as error:
        reader.wrong(error.line, error.reason)
        return {}


def _entries(reader: Reader, node: Node | None, what: str) -> tuple[str, ...]:
    """Texts as they stand, blanks at the end too: `"Box "` is not the beginning of Boxer."""
    if node is None or node.value is None:
        return ()
    found: list[str] = []
    for each in reader.sequence(node, what):
        entry = each.value if isinstance(each.value, str) else ""
        if not entry.strip() or len(entry) > MAX_ENTRY_CHARS or not entry.isprintable():
            reader.wrong(each.line, f"{what}: a text of 1 to {MAX_ENTRY_CHARS} characters is needed")
        elif entry in found:
            reader.wrong(each.line, f"{what}: {entry!r} stands here twice")
        found.append(entry)
    if len(found) > MAX_ENTRIES:
        reader.wrong(node.line, f"{what}: {len(found)} entries; the limit is {MAX_ENTRIES}")
    return tuple(found)
