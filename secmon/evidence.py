"""Evidence is stored as a neutral text; where it lists fields (`firewall.filtering = false`), here it becomes words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from secmon.evaluate.model import Language, Text
from secmon.fact_words import FIELDS, VALUES, field_title

_FIELD: Final = re.compile(r"(?P<path>[a-z_0-9]+(?:\.[a-z_0-9]+)*) = (?P<value>[^,]*)")
_FLAGS: Final[Mapping[str, Text]] = {"true": Text(ja="はい", en="yes"), "false": Text(ja="いいえ", en="no")}


def evidence_words(evidence: str, language: Language) -> str:
    """A line for each field; a text that lists no fields, or one that is not known here, stays as it is."""
    return "\n".join(_told(evidence, language))


def evidence_line(evidence: str, language: Language) -> str:
    """The same on one line, for mails, papers and table cells."""
    return ("、" if language == "ja" else ", ").join(_told(evidence, language))


def _told(evidence: str, language: Language) -> list[str]:
    parts = [_FIELD.fullmatch(part) for part in evidence.split(", ")]
    told = [_words(part["path"], part["value"], language) for part in parts if part is not None]
    return told if len(told) == len(parts) and all(told) else [evidence]


def _words(path: str, value: str, language: Language) -> str:
    name = path.rpartition(".")[2]
    if name not in FIELDS:
        return ""
    word = VALUES.get((name, value)) or _FLAGS.get(value)
    shown = word.of(language) if word is not None else value
    return f"{field_title(name, language)}{'：' if language == 'ja' else ': '}{shown}"
