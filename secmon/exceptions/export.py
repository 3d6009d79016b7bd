"""What the maintainers need to look at a disputed answer: the facts that decided it, without names and addresses.

Only what the check's conditions read is in it, and the reason that a person wrote; both redacted as
`secmon-agent capture` does it. Of the office there is nothing else.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection

from secmon import __version__
from secmon.config import Config
from secmon.evaluate.check import Check
from secmon.evaluate.model import Item, SectionState
from secmon.evaluate.sections import read_sections
from secmon.exceptions.model import Record
from secmon.store.exceptions import is_covered
from secmon.store.hosts import attributes_of
from secmon.store.results import items_of
from secmon.store.schema import assets, attestations, findings, hosts, results, section_versions
from secmon_agent.capture.learn import Secret, says_something
from secmon_agent.capture.recording import walked
from secmon_agent.capture.redact import Redactor

FORMAT: Final = "secmon.dispute.v1"
MAX_MACHINES: Final = 20
"""Of one file; more of the same tell the maintainers nothing new."""
_MIN_CHARS: Final = 2


class ExportedItem(Struct, frozen=True, kw_only=True):
    key: str
    status: str
    reason: str


class ExportedSection(Struct, frozen=True, kw_only=True):
    status: str
    reason: str
    facts: object
    """What the check reads of it; None unless the section is `ok`."""


class ExportedMachine(Struct, frozen=True, kw_only=True):
    status: str
    reason: str
    items: tuple[ExportedItem, ...]
    sections: Mapping[str, ExportedSection]


class Export(Struct, frozen=True, kw_only=True):
    format: str = FORMAT
    secmon: str = __version__
    ruleset: str
    check: str
    item: str | None
    reason: str
    """As the person wrote it, redacted."""
    reads: tuple[str, ...]
    """Paths of the facts that decide."""
    machines: tuple[ExportedMachine, ...]
    machines_left_out: int


def export(
    connection: Connection, record: Record, check: Check, ruleset: str, config: Config
) -> tuple[Export, Redactor]:
    """Of the machines that the record covers now; the redactor knows every name that must not be in it."""
    covered = sa.select(findings.c.host_id).where(findings.c.exception_id == record.exception_id, is_covered())
    host_ids = sorted(set(connection.execute(covered).scalars()))
    redactor = Redactor(_secrets(connection, config))
    return (
        Export(
            ruleset=ruleset,
            check=check.id,
            item=None if record.scope.item is None else redactor.text(record.scope.item),
            reason=redactor.text(record.reason),
            reads=tuple(sorted(check.paths)),
            machines=tuple(_machine(connection, host_id, check, redactor) for host_id in host_ids[:MAX_MACHINES]),
            machines_left_out=max(0, len(host_ids) - MAX_MACHINES),
        ),
        redactor,
    )


def _machine(connection: Connection, host_id: uuid.UUID, check: Check, redactor: Redactor) -> ExportedMachine:
    answer = connection.execute(
        sa.select(results).where(
            results.c.host_id == host_id, results.c.check_id == check.id, results.c.observed_to.is_(None)
        )
    ).first()
    stored = connection.execute(
        sa.select(section_versions).where(
            section_versions.c.host_id == host_id,
            section_versions.c.section.in_(sorted(check.reads)),
            section_versions.c.observed_to.is_(None),
        )
    )
    sections = read_sections({row.section: (row.status, row.reason, row.data) for row in stored})
    return ExportedMachine(
        status=answer.status if answer else "unknown",
        reason=redactor.text(answer.reason) if answer else "not judged",
        items=tuple(_item(item, redactor) for item in (items_of(answer) if answer else ())),
        sections={name: _section(name, state, check, redactor) for name, state in sorted(sections.items())},
    )


def _item(item: Item, redactor: Redactor) -> ExportedItem:
    return ExportedItem(key=redactor.text(item.key), status=item.status, reason=redactor.text(item.reason))


def _section(name: str, state: SectionState, check: Check, redactor: Redactor) -> ExportedSection:
    paths = [path.split(".")[1:] for path in check.paths if path.split(".")[0] == name]
    kept = None if state.facts is None else walked(_plain(chosen(state.facts, paths)), redactor)
    return ExportedSection(status=state.status, reason=redactor.text(state.reason), facts=kept)


def chosen(facts: Mapping[str, object], paths: Iterable[Sequence[str]]) -> dict[str, object]:
    """Only what lies on these paths: `[["pending[]", "security"]]` keeps of each element that one field. A path to a
    list or map alone keeps that there is one, its length, and nothing else."""
    wanted: dict[str, list[Sequence[str]]] = {}
    for path in paths:
        if path:
            wanted.setdefault(path[0].removesuffix("[]"), []).append(path[1:])
    kept: dict[str, object] = {}
    for name, rest in wanted.items():
        if name in facts:
            kept[name] = _below(facts[name], rest)
    return kept


def _below(value: object, paths: Sequence[Sequence[str]]) -> object:
    if isinstance(value, Mapping):
        return chosen(value, paths)
    if isinstance(value, (list, tuple)):
        return [_below(each, paths) for each in value]
    return value


def _plain(value: object) -> Any:
    """Instants as text."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _secrets(connection: Connection, config: Config) -> list[Secret]:
    """Every name of the office that this collector knows; the longest first."""
    names: dict[str, list[str]] = {
        "host": [], "serial": [], "department": [], "location": [], "contact": [], "person": [], "office": [],
    }  # fmt: skip
    for row in connection.execute(sa.select(hosts)):
        names["host"] += [row.name, row.hostname]
        names["serial"].append(row.serial or "")
    host_ids = connection.execute(sa.select(hosts.c.host_id)).scalars()
    for attributes in attributes_of(connection, host_ids).values():
        for name in ("department", "location", "contact"):
            names[name].append(attributes.get(name, ""))
    for number, location in connection.execute(sa.select(assets.c.asset_number, assets.c.location)):
        names["serial"].append(number)
        names["location"].append(location)
    for name in connection.execute(sa.select(attestations.c.name)).scalars():
        names["person"] += [name, *name.split()]
    names["office"] += [config.office.name, *(zone.name for zone in config.zones)]
    found: dict[str, Secret] = {}
    for word, values in names.items():
        told = [value.strip() for value in values if len(value.strip()) >= _MIN_CHARS]
        for number, value in enumerate(dict.fromkeys(told), 1):
            if says_something(value.casefold(), "host"):
                found.setdefault(value.casefold(), Secret("host", value, f"{word}{number}"))
    return sorted(found.values(), key=lambda secret: -len(secret.text))
