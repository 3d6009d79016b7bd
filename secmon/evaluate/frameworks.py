"""Frameworks: which checks and questions bear on a guideline's controls; `rules/frameworks/` alone has the mapping."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

from msgspec import Struct

from secmon.evaluate.bounded import listed, read_bounded
from secmon.evaluate.document import DocumentError, Node, read_document
from secmon.evaluate.folders import MAX_FILES
from secmon.evaluate.mistakes import Mistake, Reader, RulesError
from secmon.evaluate.model import Text
from secmon.evaluate.questions import load_questions
from secmon.evaluate.ruleset import RuleSet

NEEDED: Final = ("id", "title", "edition", "verified", "controls")
ALLOWED: Final = (*NEEDED, "listed", "order")
CONTROL_NEEDED: Final = ("id", "title")
CONTROL_ALLOWED: Final = (*CONTROL_NEEDED, "checks", "attested", "level", "verified", "local_article")


class Control(Struct, frozen=True, kw_only=True):
    id: str
    title: Text
    checks: tuple[str, ...]
    attested: tuple[str, ...] = ()
    """Ids of the questions that a person answers for it. Without these and without checks nothing covers it."""
    level: str = ""
    """Of a framework that has levels: `IG1`."""
    verified: bool
    """Its number was compared with the published text."""
    local_article: str = ""
    """The number in the town's own rules, where somebody has entered it."""


class Framework(Struct, frozen=True, kw_only=True, dict=True):
    id: str
    title: Text
    edition: str
    verified: bool
    listed: Text
    """Which of its controls stand here, so that nobody takes the list for more than it is."""
    controls: tuple[Control, ...]

    def controls_of(self, check: str) -> tuple[Control, ...]:
        return self._by_check.get(check, ())

    @cached_property
    def _by_check(self) -> Mapping[str, tuple[Control, ...]]:
        checks = {check for control in self.controls for check in control.checks}
        return {check: tuple(control for control in self.controls if check in control.checks) for check in checks}


def load_frameworks(folder: Path, rules: RuleSet) -> tuple[Framework, ...]:
    """The frameworks in `frameworks/` of the rules folder, by id; raises RulesError, also for an unknown check or
    question."""
    mistakes: list[Mistake] = []
    frameworks: dict[str, Framework] = {}
    questions = load_questions(folder)
    paths = listed(folder / "frameworks", "*.yaml")
    if len(paths) > MAX_FILES:
        mistakes.append(Mistake(file=str(folder / "frameworks"), line=1, reason=f"more than {MAX_FILES} files"))
    for path in paths[:MAX_FILES]:
        reader = Reader(f"{folder.name}/frameworks/{path.name}")
        framework = _Reading(reader, rules.checks, questions).framework(path)
        if framework.id in frameworks:
            reader.wrong(1, f"the framework {framework.id!r} stands in another file already")
        frameworks[framework.id] = framework
        mistakes += reader.mistakes
    if mistakes:
        raise RulesError(mistakes)
    return tuple(frameworks[id_] for id_ in sorted(frameworks))


class _Reading:
    """The reading of one file, which knows what a control may name."""

    def __init__(self, reader: Reader, checks: Collection[str], questions: Collection[str]) -> None:
        self._reader = reader
        self._checks = checks
        self._questions = questions

    def framework(self, path: Path) -> Framework:
        reader = self._reader
        fields: Mapping[str, Node] = {}
        try:
            node = read_document(read_bounded(path, path.parents[1]))
            fields = reader.mapping(node, "framework", needed=NEEDED, allowed=ALLOWED)
        except DocumentError as error:
            reader.wrong(error.line, error.reason)
        except OSError as error:
            reader.wrong(1, f"cannot be read: {error.strerror}")
        verified = self._flag(fields.get("verified"))
        entries = reader.sequence(fields["controls"], "controls") if "controls" in fields else []
        controls: dict[str, Control] = {}
        for entry in entries:
            control = self._control(entry, verified)
            if control.id and control.id in controls:
                reader.wrong(entry.line, f"the control {control.id!r} stands here twice")
            controls[control.id] = control
        parts = self._names(fields, "order")
        return Framework(
            id=reader.string(fields.get("id"), "id"),
            title=reader.text(fields.get("title"), "title"),
            edition=reader.string(fields.get("edition"), "edition"),
            verified=verified,
            listed=reader.text(fields.get("listed"), "listed"),
            controls=tuple(sorted(controls.values(), key=lambda control: _place(control.id, parts))),
        )

    def _control(self, node: Node, verified: bool) -> Control:
        reader = self._reader
        fields = reader.mapping(node, "control", needed=CONTROL_NEEDED, allowed=CONTROL_ALLOWED)
        return Control(
            id=reader.string(fields.get("id"), "id"),
            title=reader.text(fields.get("title"), "title"),
            checks=self._names(fields, "checks", self._checks),
            attested=self._names(fields, "attested", self._questions),
            level=reader.string(fields.get("level"), "level"),
            verified=self._flag(fields["verified"]) if "verified" in fields else verified,
            local_article=reader.string(fields.get("local_article"), "local_article"),
        )

    def _names(self, fields: Mapping[str, Node], key: str, known: Collection[str] | None = None) -> tuple[str, ...]:
        """Each once; those that are not known are mistakes."""
        found: dict[str, None] = {}
        for node in self._reader.sequence(fields[key], key) if key in fields else []:
            name = self._reader.string(node, key)
            if known is not None and name and name not in known:
                self._reader.wrong(node.line, f"there is no {_NOUNS[key]} {name!r}")
            if name in found:
                self._reader.wrong(node.line, f"{key}: {name!r} stands here twice")
            found[name] = None
        return tuple(found)

    def _flag(self, node: Node | None) -> bool:
        if node is not None and not isinstance(node.value, bool):
            self._reader.wrong(node.line, "verified must be true or false")
        return node is not None and node.value is True


MAX_DIGITS: Final = 9
_NOUNS: Final = {"checks": "check", "attested": "question"}


def _place(id_: str, parts: tuple[str, ...]) -> tuple[int, tuple[tuple[int, str], ...]]:
    """Where a control stands: by the framework's own order of its parts, then as people count, `6.1(2)` before
    `6.1(13)`."""
    first = next((number for number, part in enumerate(parts) if id_.startswith(part)), len(parts))
    pieces = re.findall(r"[0-9]+|[^0-9]+", id_)
    return first, tuple((int(piece[:MAX_DIGITS]), "") if piece.isdecimal() else (0, piece) for piece in pieces)
