"""A mail in words: the subject and the plain text, from one template for each kind and language."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from msgspec import Struct

from secmon.japanese import local_date, local_time
from secmon.notify.text import fold, one_line
from secmon.notify.view import Affected, Mail, Topic

MAX_MACHINES: Final = 30
"""Machines named under one topic, and newcomers described in one mail; the others are counted."""
MAX_TOPICS: Final = 6
"""Topics told in full; the others are named."""
MAX_NEWS: Final = 10
"""Checks named that are new, gone or different, of each; the others are counted."""
MAX_SUBJECT: Final = 120

_SEVERITIES: Final = {
    "ja": {"high": "高", "medium": "中", "low": "低"},
    "en": {"high": "high", "medium": "medium", "low": "low"},
}


class Rendered(Struct, frozen=True, kw_only=True):
    subject: str
    text: str


def render(mail: Mail) -> Rendered:
    """The first line of a template is the subject."""
    template = _environment.get_template(f"{mail.kind}.{mail.language}.txt.j2")
    text = template.render(
        mail=mail,
        subject_of=_subject_of(mail),
        severities=_SEVERITIES[mail.language],
        day=lambda instant: local_date(instant, mail.time_zone, mail.language),
        moment=lambda instant: local_time(instant, mail.time_zone, mail.language),
        max_machines=MAX_MACHINES,
        max_topics=MAX_TOPICS,
        max_news=MAX_NEWS,
    )
    subject, _, body = text.partition("\n")
    return Rendered(subject=one_line(subject, MAX_SUBJECT), text=re.sub(r"\n{3,}", "\n\n", f"{body.strip()}\n"))


class _Subject(Struct, frozen=True, kw_only=True):
    """The words of a subject that depend on how many there are."""

    zones: tuple[str, ...]
    machines: int
    machine: str
    topics: int
    topic: str
    again: bool
    lapsed: bool


def _subject_of(mail: Mail) -> _Subject:
    affected = [each for topic in mail.topics for each in topic.affected]
    cards = [each.machine for each in affected] + [each.machine for each in mail.newcomers]
    names = list(dict.fromkeys(card.name for card in cards))
    return _Subject(
        zones=tuple(dict.fromkeys(card.zone for card in cards if card.zone)),
        machines=len(names),
        machine=names[0] if names else "",
        topics=len(mail.topics),
        topic=mail.topics[0].title if mail.topics else "",
        again=bool(affected) and all(each.again for each in affected),
        lapsed=bool(affected) and all(each.lapsed for each in affected),
    )


def _described(topic: Topic) -> list[Affected]:
    """The machines that are named, those with the earliest due date first."""
    return sorted(topic.affected, key=lambda each: (each.due or each.since, each.machine.name))[:MAX_MACHINES]


_environment = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701 — plain text; what machines said is made harmless before it comes here
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["fold"] = fold
_environment.filters["described"] = _described
