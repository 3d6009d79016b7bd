"""Threats as tags: which checks and questions bear on one. The lists stand in `rules/threats/` only."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct

from secmon.evaluate.areas import AREAS
from secmon.evaluate.bounded import listed, read_bounded
from secmon.evaluate.document import DocumentError, Node, read_document
from secmon.evaluate.mistakes import Mistake, Reader, RulesError
from secmon.evaluate.model import Text
from secmon.evaluate.questions import load_questions
from secmon.evaluate.ruleset import RuleSet

NEEDED: Final = ("id", "title", "verified", "threats")
THREAT_NEEDED: Final = ("id", "title")
THREAT_ALLOWED: Final = (*THREAT_NEEDED, "areas", "checks", "attested")


class Threat(Struct, frozen=True, kw_only=True):
    id: str
    """Its rank."""
    title: Text
    checks: tuple[str, ...]
    """By id, those of whole areas among them."""
    attested: tuple[str, ...]
    """Ids of questions."""


class ThreatList(Struct, frozen=True, kw_only=True):
    id: str
    title: Text
    verified: bool
    """Ranks and names were compared with the published list."""
    threats: tuple[Threat, ...]

    def threats_of(self, check: str) -> tuple[Threat, ...]:
        return tuple(threat for threat in self.threats if check in threat.checks)


def load_threats(folder: Path, rules: RuleSet) -> tuple[ThreatList, ...]:
    """The lists in `threats/` of the rules folder; raises RulesError with every mistake."""
    mistakes: list[Mistake] = []
    found: dict[str, ThreatList] = {}
    for path in listed(folder / "threats", "*.yaml"):
        reader = Reader(f"{folder.name}/threats/{path.name}")
        of = _read(path, reader, rules, frozenset(load_questions(folder)))
        if of.id in found:
            reader.wrong(1, f"the list {of.id!r} stands in another file already")
        found[of.id] = of
        mistakes += reader.mistakes
    if mistakes:
        raise RulesError(mistakes)
    return tuple(found.values())


def _read(path: Path, reader: Reader, rules: RuleSet, questions: frozenset[str]) -> ThreatList:
    fields: dict[str, Node] = {}
    try:
        fields = reader.mapping(
            read_document(read_bounded(path, path.parents[1])), "list", needed=NEEDED, allowed=NEEDED
        )
    except DocumentError as error:
        reader.wrong(error.line, error.reason)
    except OSError as error:
        reader.wrong(1, f"cannot be read: {error.strerror}")
    threats: dict[str, Threat] = {}
    for entry in reader.sequence(fields["threats"], "threats") if "threats" in fields else []:
        threat = _threat(entry, reader, rules, questions)
        if threat.id in threats:
            reader.wrong(entry.line, f"the threat {threat.id!r} stands here twice")
        threats[threat.id] = threat
    return ThreatList(
        id=reader.string(fields.get("id"), "id"),
        title=reader.text(fields.get("title"), "title"),
        verified=reader.flag(fields.get("verified"), "verified"),
        threats=tuple(threats.values()),
    )


def _threat(node: Node, reader: Reader, rules: RuleSet, questions: frozenset[str]) -> Threat:
    fields = reader.mapping(node, "threat", needed=THREAT_NEEDED, allowed=THREAT_ALLOWED)
    areas = reader.names(fields.get("areas"), "areas", "area", AREAS)
    single = reader.names(fields.get("checks"), "checks", "check", rules.checks)
    return Threat(
        id=reader.string(fields.get("id"), "id"),
        title=reader.text(fields.get("title"), "title"),
        checks=tuple(id_ for id_, check in rules.checks.items() if check.area in areas or id_ in single),
        attested=reader.names(fields.get("attested"), "attested", "question", questions),
    )
