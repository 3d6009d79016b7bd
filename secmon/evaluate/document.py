"""A small, strict YAML: mappings, sequences and scalars, each with its line.

Rule files are written by people and read at start-up, so everything that surprises is refused: anchors and aliases (an
alias bomb needs them), tags, repeated keys, several documents, depth, size. Plain scalars follow the core of YAML 1.2:
`no`, `on` and dates stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import yaml
from msgspec import Struct

MAX_FILE_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 12

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT: Final = re.compile(r"[-+]?[0-9]{1,15}")
_FLOAT: Final = re.compile(r"[-+]?[0-9]{1,15}\.[0-9]{1,15}")
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a quoted text can smuggle into terminals, mails and pages: control characters, changes of the direction of
reading, and halves of characters."""
_WORDS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "null": None, "~": None, "": None}

Scalar = str | int | float | bool | None


class Node(Struct, frozen=True, kw_only=True):
    """A value with the line it stands on; `value` is a scalar, a list of nodes, or a mapping to nodes."""

    line: int
    value: Scalar | list[Node] | dict[str, Node]
    lines: Mapping[str, int] = {}
    """Of a mapping: the line of each key."""


class DocumentError(Exception):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


def read_document(data: bytes, max_bytes: int = MAX_FILE_BYTES) -> Node:
    """The one document in `data`; raises DocumentError at the first thing that is not allowed."""
    if len(data) > max_bytes:
        raise DocumentError(1, f"file of {len(data)} bytes; the limit is {max_bytes}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(data[: error.start].count(b"\n") + 1, "not UTF-8") from None
    try:
        return _document(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentError(
            int(mark.line) + 1 if mark is not None else 1, f"not YAML: {error.problem or error.context}"
        ) from None
    except yaml.YAMLError as error:
        raise DocumentError(1, f"not YAML: {error}") from None


def _document(events: Iterator[yaml.Event]) -> Node:
    root: Node | None = None
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            if root is not None:
                raise DocumentError(_line(event), "a second document; a file holds one")
            root = _node(next(events), events, 1)
    if root is None:
        raise DocumentError(1, "the file is empty")
    return root


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return int(mark.line) + 1 if mark is not None else 1


def _node(event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
    line = _line(event)
    if depth > MAX_DEPTH:
        raise DocumentError(line, f"nested deeper than {MAX_DEPTH}")
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise DocumentError(line, "anchors and aliases are not allowed")
    tag = getattr(event, "tag", None)
    if tag and tag != "!":
        raise DocumentError(line, f"tags are not allowed: {tag}")
    if isinstance(event, yaml.MappingStartEvent):
        return _mapping(line, events, depth)
    if isinstance(event, yaml.SequenceStartEvent):
        return _sequence(line, events, depth)
    if not isinstance(event, yaml.ScalarEvent):
        raise DocumentError(line, "a value is expected")
    text = str(event.value)
    if _FORBIDDEN.search(text):
        raise DocumentError(line, "control characters are not allowed in a text")
    is_plain = not event.style  # the C parser says "" where the other says None
    return Node(line=line, value=_scalar(text) if is_plain else text)


def _sequence(line: int, events: Iterator[yaml.Event], depth: int) -> Node:
    items: list[Node] = []
    for event in events:
        if isinstance(event, yaml.SequenceEndEvent):
            break
        items.append(_node(event, events, depth + 1))
    return Node(line=line, value=items)


def _mapping(line: int, events: Iterator[yaml.Event], depth: int) -> Node:
    entries: dict[str, Node] = {}
    lines: dict[str, int] = {}
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            break
        if not isinstance(event, yaml.ScalarEvent):
            raise DocumentError(_line(event), "a key must be plain text")
        _node(event, events, depth)
        key = event.value
        if key in entries:
            raise DocumentError(_line(event), f"the key {key!r} stands here twice")
        lines[key] = _line(event)
        entries[key] = _node(next(events), events, depth + 1)
    return Node(line=line, value=entries, lines=lines)


def _scalar(text: str) -> Scalar:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def plain(node: Node) -> object:
    """The value without its lines."""
    if isinstance(node.value, dict):
        return {key: plain(inner) for key, inner in node.value.items()}
    if isinstance(node.value, list):
        return [plain(inner) for inner in node.value]
    return node.value
