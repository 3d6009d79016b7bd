"""The rules in force with other check files laid over them, and nothing else changed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from secmon.errors import UsageError
from secmon.evaluate.adapt import Lists
from secmon.evaluate.bounded import read_bounded
from secmon.evaluate.checkfile import CheckFile, read_check
from secmon.evaluate.command import wrong_examples
from secmon.evaluate.document import DocumentError, read_document
from secmon.evaluate.folders import MAX_FILES
from secmon.evaluate.mistakes import Mistake
from secmon.evaluate.ruleset import RulesError, RuleSet, load_rules


def read_rules(folder: Path, site: Path | None = None) -> RuleSet:
    """Raises UsageError with the first mistake of folders that must not be used."""
    try:
        return load_rules(folder, site)
    except RulesError as error:
        raise _refused(error.mistakes) from None


def is_site(path: Path) -> bool:
    """A folder of an office's own rules, to be tried in the place of the present one."""
    parts = ("overrides", "lists", "profiles")
    return any((path / part).is_dir() for part in parts) and not (path / "frameworks").is_dir()


def laid_over(rules: RuleSet, path: Path) -> RuleSet:
    """`path` is one check file, a folder of them, or a whole rules folder, which takes the place of everything.

    Raises UsageError for a file that may not be used, or whose examples do not come out as they say.
    """
    if (path / "checks").is_dir():
        return read_rules(path)
    files = [_read(file, rules.lists) for file in _files(path)]
    checks = {file.check.id: file.check for file in files}
    if len(checks) < len(files):
        raise UsageError(f"{path}: two files hold the same check")
    own = RuleSet(version="trial", checks=checks, lifecycle=rules.lifecycle)
    mistakes = list(wrong_examples(own, {file.check.id: file.examples for file in files}))
    if mistakes:
        raise _refused(mistakes)
    return rules.with_checks("trial", checks)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(path.rglob("*.yaml"))
    if not 1 <= len(found) <= MAX_FILES:
        raise UsageError(f"{path}: holds {len(found)} check files (*.yaml); 1 to {MAX_FILES} can be tried")
    return found


def _read(file: Path, lists: Lists) -> CheckFile:
    try:
        data = read_bounded(file, file.parent)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    area, _, name = _id(data).partition(".")
    found, reader = read_check(data, str(file), area, name, lists)
    if found is None:
        raise _refused(reader.mistakes)
    return found


def _id(data: bytes) -> str:
    """As the file itself says: while a check is tried it may lie anywhere."""
    try:
        fields = read_document(data).value
    except DocumentError:
        return ""
    node = fields.get("id") if isinstance(fields, dict) else None
    return str(node.value) if node is not None else ""


def _refused(mistakes: Iterable[Mistake]) -> UsageError:
    first, *others = sorted(mistakes)
    more = f" (and {len(others)} more)" if others else ""
    return UsageError(f"{first}{more}")
