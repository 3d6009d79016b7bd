"""Templates and what they may use. Everything is escaped; nothing is loaded from elsewhere."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from secmon import __version__
from secmon.console import times
from secmon.console.context import Console
from secmon.console.sign_in import LINK_LIFETIME, SESSION_LIFETIME
from secmon.console.words import WORDS
from secmon.evaluate.areas import AREAS
from secmon.evaluate.model import Language, Text
from secmon.evidence import evidence_line
from secmon.ledger.gaps import GAPS
from secmon.reasons import sentence
from secmon.rejudging import waiting

HTML: Final = "text/html"
STATIC: Final = Path(__file__).with_name("static")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_environment: Final = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(console: Console, language: Language, template: str, **values: object) -> bytes:
    """A whole page in the reader's language."""
    zone, now = console.config.tz, console.clock()
    shared = {
        "language": language,
        "office": console.config.office.name,
        "version": __version__,
        "style": style_name(),
        "trouble": console.trouble(),
        "misfits": [str(misfit) for misfit in console.rules.current.misfits],
        "waiting": _waiting(console),
        "now": now,
        "link_minutes": int(LINK_LIFETIME.total_seconds()) // 60,
        "session_hours": int(SESSION_LIFETIME.total_seconds()) // 3600,
        **_helpers(console, language, zone, now),
    }
    return _environment.get_template(template).render({**shared, **values}).encode()


def _waiting(console: Console) -> int:
    """0 where the database is gone: the page that says so must be made, too."""
    try:
        with console.database.read() as connection:
            return waiting(connection, console.rules.current)
    except sa.exc.SQLAlchemyError:
        return 0


def _helpers(console: Console, language: Language, zone: ZoneInfo, now: datetime) -> dict[str, Callable[..., str]]:
    names = {each.id: each.name for each in console.config.zones}
    return {
        "t": lambda word, **parts: WORDS[word].of(language).format(**parts),
        "at": lambda instant: times.absolute(instant, zone),
        "on": lambda instant: times.day(instant, zone),
        "ago": lambda instant: times.relative(instant, now, language),
        "iso": lambda instant: instant.isoformat(timespec="seconds"),
        "zone_name": lambda id_: str(names.get(id_, id_)),
        "area_name": lambda area: AREAS.get(area, Text(ja=area, en=area)).of(language),
        "in_words": lambda text: sentence(text, language),
        "found": lambda text: evidence_line(text, language),
        "code": with_code,
        "host_link": host_link,
        "check_link": lambda check: "/ledger" if check in GAPS else f"/checks/{quote(check, safe='')}",
    }


def with_code(text: str) -> Markup:
    """Escaped; what stands between backticks becomes code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )


def host_link(name: str, host_id: object) -> str:
    """By name where the name makes a plain address, otherwise by id."""
    return f"/hosts/{name if _PLAIN_NAME.fullmatch(name) else host_id}"


@cache
def style_name() -> str:
    """Changes with its content, so that a browser may keep it for ever."""
    return f"/static/{hashlib.sha256(style()).hexdigest()[:12]}.css"


@cache
def style() -> bytes:
    return (STATIC / "secmon.css").read_bytes()


@cache
def mark() -> bytes:
    return (STATIC / "mark.svg").read_bytes()
