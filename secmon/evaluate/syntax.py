"""The part of CEL (https://cel.dev) that conditions are written in: text to a tree.

Left out on purpose, because with them a missing field could decide: `has()`, optional fields, indexing, maps, null.
Left out because no condition needs them: arithmetic, numbers with exponents, escapes other than quotes and backslash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

MAX_CONDITION_BYTES: Final = 2048
MAX_EXPRESSION_DEPTH: Final = 24
MAX_TREE_HEIGHT: Final = 64
"""Also of what stands in a row: `a || b || c` is a tree of height 3, and so is `a.b.c`."""
MAX_NESTED_MACROS: Final = 2
MACROS: Final = frozenset({"all", "exists", "filter"})

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<string>\"(?:[^\"\\\n]|\\[\"\\])*\"|'(?:[^'\\\n]|\\['\\])*')"
    r"|(?P<mark>&&|\|\||[<>=!]=|[<>!?:.,()\[\]+-]))"
)
_RELATIONS: Final = ("<", "<=", ">", ">=", "==", "!=", "in")


class ConditionError(Exception):
    """A condition that is not allowed; says what and where in the text."""


class Literal(Struct, frozen=True):
    value: bool | int | float | str


class Name(Struct, frozen=True):
    name: str


class Select(Struct, frozen=True):
    of: Expression
    field: str


class ListOf(Struct, frozen=True):
    elements: tuple[Expression, ...]


class Call(Struct, frozen=True):
    """`function(arguments)`, or `arguments[0].function(…)` when `method`."""

    function: str
    arguments: tuple[Expression, ...]
    method: bool = False


class Macro(Struct, frozen=True):
    """`of.kind(variable, body)`."""

    kind: str
    of: Expression
    variable: str
    body: Expression


class Not(Struct, frozen=True):
    of: Expression


class Binary(Struct, frozen=True):
    sign: str
    left: Expression
    right: Expression


class Choice(Struct, frozen=True):
    condition: Expression
    then: Expression
    otherwise: Expression


Expression = Literal | Name | Select | ListOf | Call | Macro | Not | Binary | Choice


def parse(source: str) -> Expression:
    """The tree of `source`; raises ConditionError."""
    size = len(source.encode())
    if size > MAX_CONDITION_BYTES:
        raise ConditionError(f"condition of {size} bytes; the limit is {MAX_CONDITION_BYTES}")
    parser = _Parser(_tokens(source))
    tree = parser.choice()
    if parser.peek():
        raise ConditionError(f"{parser.peek()!r} is not expected here")
    if _is_higher(tree, MAX_TREE_HEIGHT):
        raise ConditionError(f"more than {MAX_TREE_HEIGHT} steps in a row or within each other")
    return tree


def _is_higher(tree: Expression, limit: int) -> bool:
    """Level by level: whoever walks down such a tree by calling itself must be able to."""
    level: list[Expression] = [tree]
    for _ in range(limit):
        level = [part for node in level for part in _parts(node)]
        if not level:
            return False
    return True


def _parts(node: Expression) -> Iterator[Expression]:
    for name in node.__struct_fields__:
        value = getattr(node, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Struct):
                yield part  # type: ignore[misc]  # the structs in a node are nodes


def _tokens(source: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    at, end = 0, len(source.rstrip())
    while at < end:
        match = _TOKEN.match(source, at)
        if match is None or match.lastgroup is None:
            raise ConditionError(f"cannot read {source[at : at + 20].strip()!r}")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return tokens


class _Parser:
    """Recursive descent, one method a level of binding, weakest first."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.macros = 0

    def peek(self) -> str:
        """The next token where it is a sign or a word; strings and numbers show as they stand."""
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        text = self.peek()
        if not text or (expected and text != expected):
            raise self.missing(repr(expected) if expected else "a value")
        self.at += 1
        return text

    def missing(self, what: str) -> ConditionError:
        return ConditionError(f"{what} is expected {f'before {self.peek()!r}' if self.peek() else 'at the end'}")

    def choice(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_EXPRESSION_DEPTH:
            raise ConditionError(f"nested deeper than {MAX_EXPRESSION_DEPTH}")
        tree = self.either()
        if self.peek() == "?":
            self.take()
            then = self.choice()
            self.take(":")
            tree = Choice(tree, then, self.choice())
        self.depth -= 1
        return tree

    def either(self) -> Expression:
        tree = self.both()
        while self.peek() == "||":
            tree = Binary(self.take(), tree, self.both())
        return tree

    def both(self) -> Expression:
        tree = self.relation()
        while self.peek() == "&&":
            tree = Binary(self.take(), tree, self.relation())
        return tree

    def relation(self) -> Expression:
        tree = self.sum()
        if self.peek() in _RELATIONS:
            tree = Binary(self.take(), tree, self.sum())
        if self.peek() in _RELATIONS:
            raise ConditionError("comparisons cannot be chained; write && between two")
        return tree

    def sum(self) -> Expression:
        tree = self.unary()
        while self.peek() in ("+", "-"):
            if self.take() == "-":
                raise ConditionError("there is no arithmetic in conditions")
            tree = Binary("+", tree, self.unary())
        return tree

    def unary(self) -> Expression:
        if self.peek() == "!":
            self.take()
            if self.peek() == "!":
                raise ConditionError("!! says nothing")
            return Not(self.member())
        if self.peek() == "-":
            self.take()
            tree = self.primary()
            if not isinstance(tree, Literal) or isinstance(tree.value, (bool, str)):
                raise ConditionError("there is no arithmetic in conditions")
            return Literal(-tree.value)
        return self.member()

    def member(self) -> Expression:
        tree = self.primary()
        while self.peek() in (".", "["):
            if self.take() == "[":
                raise ConditionError("indexing is not allowed; lists are sets")
            name = self.name()
            if self.peek() != "(":
                tree = Select(tree, name)
            elif name in MACROS:
                tree = self.macro(name, tree)
            else:
                tree = Call(name, (tree, *self.arguments("(", ")")), method=True)
        return tree

    def macro(self, kind: str, of: Expression) -> Expression:
        self.macros += 1
        if self.macros > MAX_NESTED_MACROS:
            raise ConditionError(f"more than {MAX_NESTED_MACROS} nested macros")
        self.take("(")
        variable = self.name()
        self.take(",")
        body = self.choice()
        self.take(")")
        self.macros -= 1
        return Macro(kind, of, variable, body)

    def name(self) -> str:
        if self.at >= len(self.tokens) or self.tokens[self.at][0] != "name":
            raise self.missing("a name")
        return self.take()

    def arguments(self, opening: str, closing: str) -> tuple[Expression, ...]:
        self.take(opening)
        found: list[Expression] = []
        while self.peek() != closing:
            found.append(self.choice())
            if self.peek() != closing:
                self.take(",")
        self.take(closing)
        return tuple(found)

    def primary(self) -> Expression:
        group = self.tokens[self.at][0] if self.at < len(self.tokens) else ""
        if group == "number":
            text = self.take()
            return Literal(float(text) if "." in text else int(text))
        if group == "string":
            return Literal(_unquoted(self.take()))
        if group == "name":
            return self.named(self.take())
        if self.peek() == "[":
            return ListOf(self.arguments("[", "]"))
        if self.peek() != "(":
            raise self.missing("a value")
        self.take()
        tree = self.choice()
        self.take(")")
        return tree

    def named(self, name: str) -> Expression:
        if name in ("true", "false"):
            return Literal(name == "true")
        if name in ("null", "in"):
            raise ConditionError(f"{name!r} is not allowed here")
        if self.peek() == "(":
            return Call(name, self.arguments("(", ")"))
        return Name(name)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])
