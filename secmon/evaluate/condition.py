"""A condition: CEL text, checked against the vocabulary of facts and made ready to run.

What a condition may say is a strict part of CEL in which a missing field can never decide: reading one has no answer,
and only `&&` and `||` may do without an answer, when the other side alone decides. So taking a fact away can turn an
answer into "unknown" and into nothing else; but for what a check's `spared` reads, without which the worse answer
stands.

The library `common-expression-language` compiles every condition too, so that rule files stay true CEL, and it is the
reference for what they mean (`reference.py`). Running is done here: handing a section of 1,000 packages to the library
costs 23 ms, and its errors name the last word of a path only.
"""

from __future__ import annotations

import cel
from msgspec import Struct

from secmon.evaluate import syntax
from secmon.evaluate.compiler import Compiler
from secmon.evaluate.kinds import Kind, section_kinds
from secmon.evaluate.scope import Run, Scope
from secmon.evaluate.syntax import ConditionError, Expression


class Condition(Struct, frozen=True, kw_only=True, eq=False):
    """Ready to run. Two conditions are equal when their texts are."""

    source: str
    tree: Expression
    kind: Kind
    run: Run
    path: str
    reads: frozenset[str]
    """Paths of facts, e.g. `patches.pending[].security`."""
    names: frozenset[str]
    """Sections and other names outside macros, e.g. `patches`, `limits`."""
    limits: frozenset[str]
    """Names of the limits that it refers to."""
    lists: frozenset[str]
    """Names of the lists that it looks things up in."""
    time_dependent: bool

    @property
    def sections(self) -> frozenset[str]:
        return self.names & section_kinds().keys()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and self.source == other.source

    def __hash__(self) -> int:
        return hash(self.source)


def compile_condition(source: str, scope: Scope, gives: str) -> Condition:
    """`source` as a condition that gives a `gives` (name of a kind); raises ConditionError."""
    tree = syntax.parse(source)
    try:
        cel.compile(source)
    except ValueError as error:
        raise ConditionError(f"not CEL: {str(error).splitlines()[0][:200]}") from None
    return condition_of(tree, source, scope, gives)


def condition_of(tree: Expression, source: str, scope: Scope, gives: str) -> Condition:
    compiler = Compiler()
    typed = compiler.compile(tree, scope)
    if gives != typed.kind.name:
        raise ConditionError(f"gives a {typed.kind.name}; a {gives} is needed")
    return Condition(
        source=source,
        tree=tree,
        kind=typed.kind,
        run=typed.run,
        path=typed.path,
        reads=frozenset(compiler.reads),
        names=frozenset(compiler.names),
        limits=frozenset(compiler.limits),
        lists=frozenset(compiler.lists),
        time_dependent=compiler.time_dependent,
    )
