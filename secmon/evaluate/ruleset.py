"""The rules as a whole: every check, the lifecycle data they look things up in, and a version that names them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

from msgspec import Struct

from secmon.evaluate.areas import AREAS
from secmon.evaluate.check import Check
from secmon.evaluate.checkfile import CheckFile, read_check
from secmon.evaluate.examples import Example
from secmon.evaluate.lifecycle import Lifecycle, Product
from secmon.evaluate.lifecyclefile import read_products
from secmon.evaluate.mistakes import Mistake, Reader, RulesError
from secmon.evaluate.model import Severity

__all__ = ["Mistake", "RuleSet", "RulesError", "load_examples", "load_rules"]

MAX_FILES: Final = 1000


class RuleSet(Struct, frozen=True, kw_only=True, dict=True):
    version: str
    """Short hash of the content of everything that judgement rests on."""
    checks: Mapping[str, Check]
    """By id, in the order of ids."""
    lifecycle: Lifecycle
    areas: tuple[str, ...] = tuple(AREAS)

    def touched(self, paths: Iterable[str]) -> frozenset[str]:
        """Ids of the checks whose answers rest on any of these facts (`os.build`) or whole sections (`os`)."""
        by_path = self._by_path
        return frozenset().union(*(by_path.get(path, frozenset()) for path in paths))

    def sections_of(self, checks: Iterable[str]) -> frozenset[str]:
        """The sections that these checks read; ids that are unknown are passed over."""
        return frozenset().union(*(self.checks[check].reads for check in checks if check in self.checks))

    @cached_property
    def severities(self) -> Mapping[str, Severity]:
        return {check.id: check.severity for check in self.checks.values()}

    @cached_property
    def time_dependent(self) -> frozenset[str]:
        """Ids of the checks whose answer `now` alone can change, staleness aside."""
        return frozenset(check.id for check in self.checks.values() if check.time_dependent)

    @cached_property
    def factless(self) -> frozenset[str]:
        """Ids of the checks that read no section, but only what is said of a machine."""
        return frozenset(check.id for check in self.checks.values() if not check.reads)

    @cached_property
    def _by_path(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for check in self.checks.values():
            for path in check.rests_on:
                found.setdefault(path, set()).add(check.id)
        return {path: frozenset(checks) for path, checks in found.items()}


def load_rules(folder: Path) -> RuleSet:
    """The rules in `folder` (`checks/` and `lifecycle/` in it); raises RulesError with every mistake."""
    return _load(folder)[0]


def load_examples(folder: Path) -> tuple[RuleSet, Mapping[str, tuple[Example, ...]]]:
    """The rules with the examples of each check, which judging itself has no use for."""
    return _load(folder)


def _load(folder: Path) -> tuple[RuleSet, Mapping[str, tuple[Example, ...]]]:
    mistakes: list[Mistake] = []
    content = hashlib.sha256()
    files: dict[str, CheckFile] = {}
    mistakes += _strays(folder)
    for path, data in _files(folder / "checks", "*/*.yaml", mistakes):
        file, reader = read_check(data, _shown(path, folder), path.parent.name, path.stem)
        mistakes += reader.mistakes
        _add(content, path, folder, data)
        if file is not None:
            files[file.check.id] = file
    products: dict[str, Product] = {}
    for path, data in _files(folder / "lifecycle", "*.yaml", mistakes, optional=True):
        found, reader = read_products(data, _shown(path, folder))
        _add(content, path, folder, data)
        _merge(products, found, reader)
        mistakes += reader.mistakes
    if mistakes:
        raise RulesError(mistakes)
    rules = RuleSet(
        version=content.hexdigest()[:12],
        checks={id_: files[id_].check for id_ in sorted(files)},
        lifecycle=Lifecycle(products=products),
    )
    return rules, {id_: files[id_].examples for id_ in rules.checks}


def _merge(products: dict[str, Product], found: Iterable[Product], reader: Reader) -> None:
    for product in found:
        if product.product in products:
            reader.wrong(1, f"the product {product.product!r} stands in another file already")
        products[product.product] = product


def _files(
    folder: Path, pattern: str, mistakes: list[Mistake], *, optional: bool = False
) -> Iterator[tuple[Path, bytes]]:
    """Files with their content, in the order of their names."""
    paths = sorted(folder.glob(pattern))
    if not paths and not optional:
        mistakes.append(Mistake(file=str(folder), line=1, reason=f"no files {pattern}"))
    if len(paths) > MAX_FILES:
        mistakes.append(Mistake(file=str(folder), line=1, reason=f"more than {MAX_FILES} files"))
    for path in paths[:MAX_FILES]:
        try:
            yield path, _bounded(path)
        except OSError as error:
            mistakes.append(Mistake(file=str(path), line=1, reason=f"cannot be read: {error.strerror}"))


def _strays(folder: Path) -> Iterator[Mistake]:
    """A check that lies where nobody looks would be missed without a word."""
    checks = folder / "checks"
    for path in sorted(checks.rglob("*")):
        if path.is_file() and (path.parent.parent != checks or path.suffix != ".yaml"):
            yield Mistake(file=_shown(path, folder), line=1, reason="a check lies in <area>/<name>.yaml")


def _bounded(path: Path) -> bytes:
    """The content, read no further than needed to see that it is too long."""
    with path.open("rb") as stream:
        return stream.read(128 * 1024)


def _shown(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder.parent)) if path.is_relative_to(folder.parent) else str(path)


def _add(content: hashlib._Hash, path: Path, folder: Path, data: bytes) -> None:
    content.update(f"{path.relative_to(folder).as_posix()}\0{len(data)}\0".encode())
    content.update(data)
