"""Frameworks: which checks and questions bear on a guideline's controls; `rules/frameworks/` alone has the mapping."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

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
        framework = _read(path, reader, rules.checks, questions)
        if framework.id in frameworks:
            reader.wrong(1, f"the framework {framework.id!r} stands in another file already")
        frameworks[framework.id] = framework
        mistakes += reader.mistakes
    if mistakes:
        raise RulesError(mistakes)
    return tuple(frameworks[id_] for id_ in sorted(frameworks))


Articles = Mapping[str, Mapping[str, str]]
"""By framework and control the number in the office's own rules."""
ARTICLES_FROM: Final = "articles"
"""The table of the settings that they stand in."""
MAX_DIGITS: Final = 9


def with_articles(frameworks: Iterable[Framework], articles: Articles) -> tuple[Framework, ...]:
    """The same with the office's own numbers, which go before those of the rules folder; raises RulesError for
    controls that are not there."""
    known = {framework.id: framework for framework in frameworks}
    wrong = [
        Mistake(file=f"[{ARTICLES_FROM}.{framework}]", line=1, reason=f"there is no control {control!r}")
        for framework, given in articles.items()
        for control in given
        if framework not in known or control not in {each.id for each in known[framework].controls}
    ]
    if wrong:
        raise RulesError(wrong)
    return tuple(_renumbered(framework, articles.get(framework.id, {})) for framework in known.values())


def _renumbered(framework: Framework, given: Mapping[str, str]) -> Framework:
    """Another object only where it says something else: what it remembers of itself must not come along."""
    if not given:
        return framework
    controls = tuple(replace(each, local_article=given.get(each.id, each.local_article)) for each in framework.controls)
    return replace(framework, controls=controls)


def _read(path: Path, reader: Reader, checks: Container[str], questions: Container[str]) -> Framework:
    fields: Mapping[str, Node] = {}
    try:
        node = read_document(read_bounded(path, path.parents[1]))
        fields = reader.mapping(node, "framework", needed=NEEDED, allowed=ALLOWED)
    except DocumentError as error:
        reader.wrong(error.line, error.reason)
    except OSError as error:
        reader.wrong(1, f"cannot be read: {error.strerror}")
    verified = reader.flag(fields.get("verified"), "verified")
    parts = [reader.string(each, "order") for each in _entries(reader, fields, "order")]
    controls: dict[str, Control] = {}
    for entry in _entries(reader, fields, "controls"):
        control = _control(reader, entry, verified, checks, questions)
        if control.id and control.id in controls:
            reader.wrong(entry.line, f"the control {control.id!r} stands here twice")
        controls[control.id] = control
    return Framework(
        id=reader.string(fields.get("id"), "id"),
        title=reader.text(fields.get("title"), "title"),
        edition=reader.string(fields.get("edition"), "edition"),
        verified=verified,
        listed=reader.text(fields.get("listed"), "listed"),
        controls=tuple(sorted(controls.values(), key=lambda control: _place(control.id, parts))),
    )


def _entries(reader: Reader, fields: Mapping[str, Node], key: str) -> list[Node]:
    return reader.sequence(fields[key], key) if key in fields else []


def _control(reader: Reader, node: Node, verified: bool, checks: Container[str], questions: Container[str]) -> Control:
    fields = reader.mapping(node, "control", needed=CONTROL_NEEDED, allowed=CONTROL_ALLOWED)
    return Control(
        id=reader.string(fields.get("id"), "id"),
        title=reader.text(fields.get("title"), "title"),
        checks=reader.names(fields.get("checks"), "checks", "check", checks),
        attested=reader.names(fields.get("attested"), "attested", "question", questions),
        level=reader.string(fields.get("level"), "level"),
        verified=reader.flag(fields["verified"], "verified") if "verified" in fields else verified,
        local_article=reader.string(fields.get("local_article"), "local_article"),
    )


def _place(id_: str, parts: Sequence[str]) -> tuple[int, tuple[tuple[int, str], ...]]:
    """Where a control stands: by the framework's own order of its parts, then as people count, `6.1(2)` before
    `6.1(13)`."""
    first = next((number for number, part in enumerate(parts) if id_.startswith(part)), len(parts))
    pieces = re.findall(r"[0-9]+|[^0-9]+", id_)
    return first, tuple((int(piece[:MAX_DIGITS]), "") if piece.isdecimal() else (0, piece) for piece in pieces)
