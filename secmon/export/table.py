"""Results for a spreadsheet, a line per item."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from secmon import spreadsheet
from secmon.evaluate.model import Language, Text
from secmon.evidence import evidence_line
from secmon.exceptions.borne import Borne
from secmon.export.model import Answer, Export
from secmon.inspect import SEVERITY_WORDS
from secmon.reasons import sentence
from secmon.whatif.tell import STATUS

COLUMNS = (
    Text(ja="端末", en="Machine"),
    Text(ja="台帳番号", en="Asset number"),
    Text(ja="系統", en="Zone"),
    Text(ja="課", en="Department"),
    Text(ja="設置場所", en="Location"),
    Text(ja="結果", en="Result"),
    Text(ja="点検項目", en="Check"),
    Text(ja="項目ID", en="Check id"),
    Text(ja="重要度", en="Severity"),
    Text(ja="対象", en="Item"),
    Text(ja="根拠・理由", en="Evidence or reason"),
    Text(ja="いつから", en="Since"),
    Text(ja="最後に確認した日時", en="Last known to be so"),
    Text(ja="関連する条項", en="Controls"),
    Text(ja="収集サーバーID", en="Collector id"),
    Text(ja="例外措置・誤検知", en="Exception or dispute"),
    Text(ja="承認者", en="Approved by"),
    Text(ja="例外措置・誤検知の期限", en="Until"),
)


def as_csv(export: Export, language: Language, zone: ZoneInfo) -> bytes:
    return spreadsheet.as_csv([[column.of(language) for column in COLUMNS], *_rows(export, language, zone)])


def _rows(export: Export, language: Language, zone: ZoneInfo) -> Iterator[list[str]]:
    checks = {check.id: check for check in export.checks}
    for machine in export.machines:
        said = machine.attributes
        about = [
            machine.name,
            machine.asset_number or "",
            *(said.get(name, "") for name in ("zone", "department", "location")),
        ]
        for answer in machine.answers:
            check = checks.get(answer.check)
            title = check.title.of(language) if check else answer.check
            severity = SEVERITY_WORDS[check.severity].of(language) if check else ""
            controls = "; ".join(f"{name} {', '.join(ids)}" for name, ids in check.controls.items()) if check else ""
            borne = {each.item: each for each in answer.borne}
            for status, item, why in _items(answer, language):
                on = borne.get(item[:255]) if status == "fail" else None
                yield [
                    *about, _result(status, on, language), title, answer.check, severity, item, why,
                    _local(answer.since, zone), _local(machine.observed_at, zone), controls, str(export.collector_id),
                    *([on.number, on.approver, on.until.isoformat()] if on else [""] * 3),
                ]  # fmt: skip
        for scanned in machine.scanned:
            yield [
                *about, STATUS[scanned.status].of(language), scanned.title or scanned.rule,
                f"{scanned.scanner}: {scanned.rule}", scanned.severity, "", scanned.said,
                _local(scanned.since, zone), _local(scanned.observed_at, zone), "", str(export.collector_id),
                *[""] * 3,
            ]  # fmt: skip
        if not machine.answers and not machine.scanned:
            yield [*about, *[""] * 7, _local(machine.observed_at, zone), "", str(export.collector_id), *[""] * 3]


def _items(answer: Answer, language: Language) -> Iterator[tuple[str, str, str]]:
    """Status, item and why; a check without items, or with none that is wrong, is one line."""
    for item in answer.items:
        why = sentence(item.reason, language) if item.reason else evidence_line(item.evidence, language)
        yield item.status, item.key, why
    if not answer.items:
        told = answer.reason and answer.status == "unknown"
        why = sentence(answer.reason, language) if told else evidence_line(answer.evidence, language)
        yield answer.status, "", why


def _result(status: str, on: Borne | None, language: Language) -> str:
    """What is disputed counts as unknown, and says so."""
    if on is None:
        return STATUS[status].of(language)
    if on.kind == "exception":
        return STATUS["excepted"].of(language)
    return STATUS["unknown"].of(language) + ("（誤検知の届け出）" if language == "ja" else " (disputed)")


def _local(moment: datetime | None, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" if moment else ""
