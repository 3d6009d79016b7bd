"""The files of `rules/alerts/`, read. A file is a rule; its name is the rule's id, and names give the order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

from secmon.alerts.model import AlertRule, Caution, Urgency
from secmon.evaluate.areas import AREAS
from secmon.evaluate.bounded import listed, read_bounded
from secmon.evaluate.document import DocumentError, Node, read_document
from secmon.evaluate.mistakes import Mistake, Reader, RulesError
from secmon.evaluate.model import SEVERITIES, Language

EVENTS: Final = ("opened", "reopened", "resolved", "first_state", "ruleset")
CAUSES: Final = ("machine", "time", "rules", "attributes", "baseline")
DEFAULT_MAILS_PER_HOUR: Final = 6
MAX_FILES: Final = 100

_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_ADDRESS: Final = re.compile(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+")
_OPTIONAL: Final = (
    "severities",
    "zones",
    "checks",
    "mails_per_hour",
    "recipients",
    "language",
    "cautions",
    "frameworks",
)


def load_alert_rules(folder: Path) -> tuple[AlertRule, ...]:
    """The rules in `folder/alerts`, in order; raises RulesError with every mistake."""
    paths = listed(folder / "alerts", "*.yaml")
    mistakes: list[Mistake] = []
    if not paths or len(paths) > MAX_FILES:
        reason = f"{len(paths)} files *.yaml; one to {MAX_FILES} are needed"
        mistakes.append(Mistake(file=str(folder / "alerts"), line=1, reason=reason))
    rules: list[AlertRule] = []
    frameworks = sorted(path.stem for path in (folder / "frameworks").glob("*.yaml")) or ["(none)"]
    for path in paths[:MAX_FILES]:
        shown = str(path.relative_to(folder.parent))
        try:
            rule, reader = read_alert_rule(read_bounded(path, folder), shown, path.stem, frameworks)
        except OSError as error:
            mistakes.append(Mistake(file=shown, line=1, reason=f"cannot be read: {error.strerror}"))
            continue
        mistakes += reader.mistakes
        if rule is not None:
            rules.append(rule)
    if mistakes:
        raise RulesError(mistakes)
    return tuple(rules)


def read_alert_rule(data: bytes, file: str, name: str, frameworks: Sequence[str]) -> tuple[AlertRule | None, Reader]:
    """One file; the reader holds its mistakes. `name` is what the id must be, `frameworks` are those that there are."""
    reader = Reader(file)
    try:
        node = read_document(data)
    except DocumentError as error:
        reader.wrong(error.line, error.reason)
        return None, reader
    fields = reader.mapping(node, "alert rule", _OPTIONAL, ("id", "events", "causes", "urgency"))
    id_ = reader.string(fields.get("id"), "id")
    if id_ and (id_ != name or not _ID.fullmatch(id_)):
        reader.wrong(fields["id"].line, f"id: {id_!r} must be the file's name: lower case, digits and hyphens")
    language = reader.one_of(fields.get("language"), "language", ("ja", "en"))
    rule = AlertRule(
        id=id_,
        events=_words(reader, fields.get("events"), "events", EVENTS),
        causes=_words(reader, fields.get("causes"), "causes", CAUSES),
        severities=_words(reader, fields.get("severities"), "severities", SEVERITIES),
        zones=_words(reader, fields.get("zones"), "zones"),
        checks=_words(reader, fields.get("checks"), "checks"),
        urgency=cast(Urgency, reader.one_of(fields.get("urgency"), "urgency", ("immediate", "summary", "morning"))),
        mails_per_hour=_count(reader, fields.get("mails_per_hour")),
        recipients=_recipients(reader, fields.get("recipients")),
        language=cast(Language, language) if language else None,
        cautions=_cautions(reader, fields.get("cautions")),
        frameworks=_words(reader, fields.get("frameworks"), "frameworks", frameworks),
    )
    return rule, reader


def _words(reader: Reader, node: Node | None, what: str, allowed: Sequence[str] = ()) -> tuple[str, ...]:
    if node is None:
        return ()
    entries = reader.sequence(node, what)
    if isinstance(node.value, list) and not entries:
        reader.wrong(node.line, f"{what}: the list is empty")
    if allowed:
        return tuple(reader.one_of(entry, what, allowed) for entry in entries)
    return tuple(reader.string(entry, what) for entry in entries)


def _count(reader: Reader, node: Node | None) -> int:
    if node is None:
        return DEFAULT_MAILS_PER_HOUR
    if isinstance(node.value, int) and not isinstance(node.value, bool) and 1 <= node.value <= 60:
        return node.value
    reader.wrong(node.line, "mails_per_hour must be a number from 1 to 60")
    return DEFAULT_MAILS_PER_HOUR


def _recipients(reader: Reader, node: Node | None) -> tuple[str, ...]:
    found = _words(reader, node, "recipients")
    for address in found:
        if node is not None and address and not _ADDRESS.fullmatch(address):
            reader.wrong(node.line, f"recipients: {address!r} is not a mail address")
    return found


def _cautions(reader: Reader, node: Node | None) -> tuple[Caution, ...]:
    if node is None:
        return ()
    cautions = []
    for entry in reader.sequence(node, "cautions"):
        fields = reader.mapping(entry, "caution", needed=("areas", "text"))
        areas = _words(reader, fields.get("areas"), "caution.areas", tuple(AREAS))
        cautions.append(Caution(areas=areas, text=reader.text(fields.get("text"), "caution.text")))
    return tuple(cautions)
