"""Stored sections as readable tables. Shows what came, also fields and sections that this version does not know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from secmon.console.machine import StoredSection
from secmon.evaluate.model import Language
from secmon.fact_words import SECTIONS, VALUES, field_title, section_title
from secmon_agent import facts

MAX_ROWS: Final = 1_000
_MIB: Final = 1 << 20

Show = Callable[[datetime], str]


class FactTable(Struct, frozen=True, kw_only=True):
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The first `MAX_ROWS`."""
    count: int


class SectionView(Struct, frozen=True, kw_only=True):
    name: str
    title: str
    status: str
    reason: str
    collected_at: datetime
    scalars: tuple[tuple[str, str], ...] = ()
    tables: tuple[FactTable, ...] = ()
    undetermined: tuple[str, ...] = ()
    """Titles of fields that this version knows and that did not come."""


def section_views(sections: Sequence[StoredSection], language: Language, show: Show) -> tuple[SectionView, ...]:
    order = {name: place for place, name in enumerate(SECTIONS)}
    ordered = sorted(sections, key=lambda section: (order.get(section.name, len(order)), section.name))
    return tuple(_view(section, _Writer(language, show)) for section in ordered)


def plain_facts(section: StoredSection) -> dict[str, object] | None:
    """The facts as builtin values; None unless the section is `ok` and its bytes are a map."""
    if section.status != "ok" or section.data is None:
        return None
    try:
        return msgspec.msgpack.decode(section.data, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _view(section: StoredSection, writer: _Writer) -> SectionView:
    values = plain_facts(section)
    undecodable = section.status == "ok" and values is None
    known = facts.SECTIONS.get(section.name)
    fields = known.__struct_fields__ if known else ()
    values = values or {}
    names = [*(name for name in fields if name in values), *sorted(values.keys() - set(fields))]
    missing = [name for name in fields if name not in values] if section.status == "ok" and not undecodable else []
    return SectionView(
        name=section.name,
        title=section_title(section.name, writer.language),
        status="undecodable" if undecodable else section.status,
        reason=section.reason,
        collected_at=section.collected_at,
        scalars=tuple(pair for name in names for pair in writer.scalars(name, values[name])),
        tables=tuple(table for name in names if (table := writer.table(name, values[name])) is not None),
        undetermined=tuple(field_title(name, writer.language) for name in missing),
    )


class _Writer:
    """Values as text in one language."""

    def __init__(self, language: Language, show: Show) -> None:
        self.language = language
        self.show = show

    def scalars(self, name: str, value: object) -> list[tuple[str, str]]:
        """A record's fields stand beside the section's own; lists of records become tables instead."""
        title = field_title(name, self.language)
        if isinstance(value, Mapping):
            return [
                (f"{title}：{inner_title}" if self.language == "ja" else f"{title}: {inner_title}", text)
                for inner, inner_value in value.items()
                for inner_title, text in self.scalars(str(inner), inner_value)
            ]
        return [] if _is_table(value) else [(title, self.text(name, value))]

    def table(self, name: str, value: object) -> FactTable | None:
        if not _is_table(value) or not isinstance(value, list):
            return None
        records = [record for record in value if isinstance(record, Mapping)]
        columns = list(dict.fromkeys(str(field) for record in records for field in record))
        rows = sorted(tuple(self.text(column, record.get(column)) for column in columns) for record in records)
        return FactTable(
            title=field_title(name, self.language),
            columns=tuple(field_title(column, self.language) for column in columns),
            rows=tuple(rows[:MAX_ROWS]),
            count=len(rows),
        )

    def text(self, name: str, value: object) -> str:
        if value is None:
            return "—"
        if isinstance(value, bool):
            return {"ja": ("いいえ", "はい"), "en": ("no", "yes")}[self.language][value]
        if isinstance(value, datetime):
            return self.show(value)
        if isinstance(value, int) and name.endswith("_bytes"):
            return f"{value / _MIB / 1024:.1f} GiB" if value >= _MIB * 1024 else f"{value // _MIB} MiB"
        if isinstance(value, (list, tuple)):
            return ("、" if self.language == "ja" else ", ").join(self.text(name, each) for each in value) or "—"
        if value == "":
            return {"ja": "なし", "en": "none"}[self.language]
        known = VALUES.get((name, value)) if isinstance(value, str) else None
        return str(value) if known is None else known.of(self.language)


def _is_table(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(each, Mapping) for each in value)
