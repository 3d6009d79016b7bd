"""Mistakes in rule files, gathered so that all are told at once, and the reading of fields that finds them."""

from __future__ import annotations

from collections.abc import Container, Iterable

from msgspec import Struct

from secmon.evaluate.document import Node
from secmon.evaluate.model import Text


class Mistake(Struct, frozen=True, kw_only=True, order=True):
    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class RulesError(Exception):
    """Rules that must not be used; `mistakes` names them all."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = sorted(mistakes)
        super().__init__("; ".join(str(mistake) for mistake in self.mistakes))


class Reader:
    """Reads the fields of one file. What is wrong is noted, and a harmless value stands in so that reading goes on."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.mistakes: list[Mistake] = []
        self.misfits: list[Mistake] = []
        """What is well written, but speaks of something that there is not, or no longer is."""

    def wrong(self, line: int, reason: str) -> None:
        self.mistakes.append(Mistake(file=self.file, line=line, reason=reason))

    def misfit(self, line: int, reason: str) -> None:
        self.misfits.append(Mistake(file=self.file, line=line, reason=reason))

    def mapping(
        self, node: Node, what: str, allowed: Iterable[str] = (), needed: Iterable[str] = ()
    ) -> dict[str, Node]:
        """The entries of a mapping; `allowed` empty means any key."""
        if not isinstance(node.value, dict):
            self.wrong(node.line, f"{what} must be a mapping")
            return {}
        allowed, needed = list(allowed), list(needed)
        for key, line in node.lines.items():
            if allowed and key not in allowed and key not in needed:
                self.wrong(line, f"{what}: unknown key {key!r}")
        for key in needed:
            if key not in node.value:
                self.wrong(node.line, f"{what}: {key!r} is missing")
        return node.value

    def sequence(self, node: Node, what: str) -> list[Node]:
        if isinstance(node.value, list):
            return node.value
        self.wrong(node.line, f"{what} must be a list")
        return []

    def string(self, node: Node | None, what: str) -> str:
        """Text that is not empty; "" where there is none."""
        if node is None:
            return ""
        if isinstance(node.value, str) and node.value.strip():
            return node.value.strip()
        self.wrong(node.line, f"{what} must be text")
        return ""

    def strings(self, node: Node | None, what: str) -> tuple[str, ...]:
        """A list of texts; one text alone is a list, too."""
        if node is None:
            return ()
        if isinstance(node.value, list):
            return tuple(filter(None, (self.string(each, what) for each in node.value)))
        return tuple(filter(None, (self.string(node, what),)))

    def one_of(self, node: Node | None, what: str, allowed: Iterable[str]) -> str:
        text = self.string(node, what)
        if node is not None and text and text not in (known := list(allowed)):
            self.wrong(node.line, f"{what}: {text!r} is not one of {', '.join(known)}")
            return ""
        return text

    def names(self, node: Node | None, what: str, noun: str, known: Container[str]) -> tuple[str, ...]:
        """A list of what is known, each once; none where there is no list."""
        found: dict[str, None] = {}
        for each in self.sequence(node, what) if node is not None else []:
            name = self.string(each, what)
            if name and name not in known:
                self.wrong(each.line, f"there is no {noun} {name!r}")
            if name in found:
                self.wrong(each.line, f"{what}: {name!r} stands here twice")
            found[name] = None
        return tuple(found)

    def flag(self, node: Node | None, what: str) -> bool:
        if node is not None and not isinstance(node.value, bool):
            self.wrong(node.line, f"{what} must be true or false")
        return node is not None and node.value is True

    def text(self, node: Node | None, what: str) -> Text:
        """A text in both languages."""
        if node is None:
            return Text(ja="", en="")
        both = self.mapping(node, what, needed=("ja", "en"))
        return Text(ja=self.string(both.get("ja"), f"{what}.ja"), en=self.string(both.get("en"), f"{what}.en"))
