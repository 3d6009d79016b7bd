"""The files of the office's `overrides/`: what it changes of checks, by their ids."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Final, cast

from secmon.evaluate.adapt import Disabled, LimitChange, LimitChanges, Override
from secmon.evaluate.check import Check, Limit
from secmon.evaluate.document import DocumentError, Node, read_document
from secmon.evaluate.mistakes import Reader
from secmon.evaluate.model import SEVERITIES, Severity

ALLOWED: Final = ("limits", "severity", "disabled", "reason")
MAX_REASON_CHARS: Final = 150


def read_overrides(
    data: bytes, file: str, checks: Mapping[str, Check], profiles: Iterable[str]
) -> tuple[list[tuple[Override, int]], Reader]:
    """Those of one file that fit `checks`, each with its line; the reader has noted the others."""
    reader = Reader(file)
    profiles = sorted(profiles)
    found: list[tuple[Override, int]] = []
    try:
        node = read_document(data)
    except DocumentError as error:
        reader.wrong(error.line, error.reason)
        return found, reader
    for id_, entry in reader.mapping(node, "overrides").items():
        fields = reader.mapping(entry, id_, allowed=ALLOWED)
        if not fields:
            reader.wrong(node.lines[id_], f"{id_}: one of {', '.join(ALLOWED)} is needed")
        check = checks.get(id_)
        if check is None:
            reader.misfit(node.lines[id_], unknown("check", id_, checks))
        override = _override(reader, id_, fields, check, profiles)
        if check is not None:
            found.append((override, node.lines[id_]))
    return found, reader


def _override(
    reader: Reader, id_: str, fields: Mapping[str, Node], check: Check | None, profiles: Iterable[str]
) -> Override:
    severity = reader.one_of(fields.get("severity"), f"{id_}.severity", SEVERITIES)
    limits = fields.get("limits")
    return Override(
        check=id_,
        limits=read_limit_changes(reader, limits, f"{id_}.limits", check) if limits is not None else {},
        severity=cast(Severity, severity) if severity else None,
        disabled=_disabled(reader, id_, fields.get("disabled"), profiles),
        reason=_reason(reader, fields.get("reason"), f"{id_}.reason"),
    )


def _disabled(reader: Reader, id_: str, node: Node | None, profiles: Iterable[str]) -> Disabled | None:
    if node is None:
        return None
    what = f"{id_}.disabled"
    if not isinstance(node.value, dict):
        reader.wrong(node.line, f"{what}: say why: disabled: {{reason: …}}, where it matters with zones and profiles")
        return None
    fields = reader.mapping(node, what, allowed=("zones", "profiles"), needed=("reason",))
    for name in ("zones", "profiles"):
        if name in fields and not reader.strings(fields[name], f"{what}.{name}"):
            reader.wrong(fields[name].line, f"{what}.{name}: name at least one, or leave it out")
    named = reader.strings(fields.get("profiles"), f"{what}.profiles")
    for profile in named:
        if profile not in profiles:
            reader.misfit(fields["profiles"].line, unknown("profile", profile, profiles))
    return Disabled(
        reason=_reason(reader, fields.get("reason"), f"{what}.reason"),
        zones=reader.strings(fields.get("zones"), f"{what}.zones"),
        profiles=named,
    )


def _reason(reader: Reader, node: Node | None, what: str) -> str:
    text = reader.string(node, what)
    if node is not None and (len(text) > MAX_REASON_CHARS or not text.isprintable()):
        reader.wrong(node.line, f"{what}: at most {MAX_REASON_CHARS} characters on one line")
    return text


def read_limit_changes(reader: Reader, node: Node, what: str, check: Check | None) -> LimitChanges:
    """Other numbers for the limits of `check`; of a check that there is not, only the form is looked at."""
    found: dict[str, LimitChange] = {}
    for name, entry in reader.mapping(node, what).items():
        limit = check.limits.get(name) if check is not None else None
        if check is not None and limit is None:
            reader.misfit(node.lines[name], unknown("limit", name, check.limits, of=check.id))
        change = _change(reader, entry, f"{what}.{name}", limit)
        if limit is not None:
            found[name] = change
    return found


def _change(reader: Reader, node: Node, what: str, limit: Limit | None) -> LimitChange:
    if not isinstance(node.value, dict):
        return LimitChange(everywhere=_number(reader, node, what, limit))
    if not node.value:
        reader.wrong(node.line, f"{what}: a number, or numbers by zone and `default`")
    return LimitChange(
        numbers={zone: _number(reader, each, f"{what}.{zone}", limit) for zone, each in node.value.items()}
    )


def _number(reader: Reader, node: Node, what: str, limit: Limit | None) -> int | float:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        reader.wrong(node.line, f"{what}: a number from 0 is needed")
        return 0
    if limit is not None and isinstance(limit.default, int) and not isinstance(value, int):
        reader.wrong(node.line, f"{what}: a whole number is needed, as {limit.default}")
    return value


def unknown(kind: str, name: str, known: Iterable[str], of: str = "") -> str:
    """What is wrong with a name that nothing has, and what to do."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 3, 0.6)
    hint = (
        f"; did you mean {' or '.join(close)}?" if close else f"; it has {', '.join(names)}." if of and names else "."
    )
    return (
        f"{of or 'there'} {'has' if of else 'is'} no {kind} {name!r}{hint} "
        "It is set aside: correct the name, or take the entry out if this secmon no longer has it"
    )
