"""The archived model as finished strings in one language: everything that is printed, nothing that is laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from secmon.evaluate.model import Language
from secmon.japanese import wareki_month
from secmon.reports.annex import Annex, annex
from secmon.reports.archive import Archived
from secmon.reports.drawing import Rows
from secmon.reports.method import method, record
from secmon.reports.model import MonthlyReport
from secmon.reports.month import parse_month
from secmon.reports.page import Page, page
from secmon.reports.speaker import Speaker
from secmon.reports.words import WORDS


class View(Struct, frozen=True, kw_only=True):
    language: Language
    words: Mapping[str, str]
    interim: bool
    office: str
    contact: str
    month: str
    made: str
    as_of: str
    hash: str
    empty: bool
    """There is no machine to speak of."""
    page: Page
    annex: Annex
    method: Sequence[str]
    record: Rows


def view(archived: Archived, language: Language) -> View:
    report = archived.report
    speaker = Speaker(language, report.office.time_zone)
    return View(
        language=language,
        words={key: speaker.of(text) for key, text in WORDS.items()},
        interim=report.interim,
        office=report.office.name,
        contact=report.office.contact,
        month=month_name(report, speaker),
        made=speaker.day(archived.created_at),
        as_of=as_of(report, speaker),
        hash=archived.hash.hex() if archived.hash else "",
        empty=report.coverage.machines == 0,
        page=page(report, speaker),
        annex=annex(report, speaker),
        method=method(language),
        record=record(archived, report, language),
    )


def month_name(report: MonthlyReport, speaker: Speaker) -> str:
    return speaker.say(wareki_month(parse_month(report.month).first_day), report.month)


def encode(shown: View) -> str:
    return msgspec.json.encode(shown).decode()


def as_of(report: MonthlyReport, speaker: Speaker) -> str:
    if report.interim:
        return speaker.time(report.as_of)
    day = speaker.day(report.as_of)
    return speaker.say(f"{day} 終了時", f"end of {day}")
