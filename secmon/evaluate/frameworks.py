"""Frameworks: which controls of a guideline the checks bear on. The mapping stands in `rules/frameworks/` only."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

from msgspec import Struct

from secmon.evaluate.document import DocumentError, Node, read_document
from secmon.evaluate.mistakes import Mistake, Reader, RulesError
from secmon.evaluate.model import Text
from secmon.evaluate.ruleset import RuleSet

NEEDED: Final = ("id", "title", "edition", "verified", "controls")
CONTROL_NEEDED: Final = ("id", "title", "checks")


class Control(Struct, frozen=True, kw_only=True):
    id: str
    title: Text
    checks: tuple[str, ...]
    verified: bool
    """Its number was compared with the published text."""
    local_article: str = ""
    """The number in the town's own rules, where somebody has entered it."""


class Framework(Struct, frozen=True, kw_only=True, dict=True):
    id: str
    title: Text
    edition: str
    verified: bool
    controls: tuple[Control, ...]

    def controls_of(self, check: str) -> tuple[Control, ...]:
        return self._by_check.get(check, ())

    @cached_property
    def _by_check(self) -> Mapping[str, tuple[Control, ...]]:
        checks = {check for control in self.controls for check in control.checks}
        return {check: tuple(control for control in self.controls if check in control.checks) for check in checks}


def load_frameworks(folder: Path, rules: RuleSet) -> tuple[Framework, ...]:
    """The frameworks in `frameworks/` of the rules folder, by id; raises RulesError, also for an unknown check."""
    mistakes: list[Mistake] = []
    frameworks: dict[str, Framework] = {}
    for path in sorted((folder / "frameworks").glob("*.yaml")):
        reader = Reader(f"{folder.name}/frameworks/{path.name}")
        framework = _read(path, reader, rules)
        if framework.id in frameworks:
            reader.wrong(1, f"the framework {framework.id!r} stands in another file already")
        frameworks[framework.id] = framework
        mistakes += reader.mistakes
    if mistakes:
        raise RulesError(mistakes)
    return tuple(frameworks[id_] for id_ in sorted(frameworks))


def _read(path: Path, reader: Reader, rules: RuleSet) -> Framework:
    fields: Mapping[str, Node] = {}
    try:
        fields = reader.mapping(read_document(path.read_bytes()), "framework", needed=NEEDED, allowed=NEEDED)
    except DocumentError as error:
        reader.wrong(error.line, error.reason)
    except OSError as error:
        reader.wrong(1, f"cannot be read: {error.strerror}")
    verified = _flag(reader, fields.get("verified"))
    entries = reader.sequence(fields["controls"], "controls") if "controls" in fields else []
    return Framework(
        id=reader.string(fields.get("id"), "id"),
        title=reader.text(fields.get("title"), "title"),
        edition=reader.string(fields.get("edition"), "edition"),
        verified=verified,
        controls=tuple(_control(reader, entry, verified, rules) for entry in entries),
    )


def _control(reader: Reader, node: Node, verified: bool, rules: RuleSet) -> Control:
    fields = reader.mapping(
        node, "control", needed=CONTROL_NEEDED, allowed=(*CONTROL_NEEDED, "verified", "local_article")
    )
    checks = reader.sequence(fields["checks"], "checks") if "checks" in fields else []
    for check in checks:
        if check.value not in rules.checks:
            reader.wrong(check.line, f"there is no check {check.value!r}")
    return Control(
        id=reader.string(fields.get("id"), "id"),
        title=reader.text(fields.get("title"), "title"),
        checks=tuple(str(check.value) for check in checks),
        verified=_flag(reader, fields["verified"]) if "verified" in fields else verified,
        local_article=reader.string(fields.get("local_article"), "local_article"),
    )


def _flag(reader: Reader, node: Node | None) -> bool:
    if node is not None and not isinstance(node.value, bool):
        reader.wrong(node.line, "verified must be true or false")
    return node is not None and node.value is True
