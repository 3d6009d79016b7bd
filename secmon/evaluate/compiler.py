"""From the tree of a condition to something that runs: kinds are checked, what it reads is noted, closures are made."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from secmon.evaluate import syntax
from secmon.evaluate.functions import FUNCTIONS, METHODS, Function, UndeterminedError
from secmon.evaluate.kinds import BOOL, DOUBLE, INT, STRING, Kind, section_kinds
from secmon.evaluate.scope import MAX_TEXT_CHARS, NOT_FACTS, Frame, Run, Scope, SectionGoneError, Typed
from secmon.evaluate.syntax import ConditionError, Expression

_NUMBERS: Final = ("int", "double")
_LITERALS: Final[Mapping[type, Kind]] = {bool: BOOL, int: INT, float: DOUBLE, str: STRING}
COMPARE: Final[Mapping[str, Callable[..., bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


_ENDINGS: Final[Mapping[str, Callable[..., bool]]] = {"startsWith": str.startswith, "endsWith": str.endswith}


class Compiler:
    """One walk over a tree: kinds are checked, reads are collected, closures are made."""

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.names: set[str] = set()
        self.limits: set[str] = set()
        self.lists: set[str] = set()
        self.time_dependent = False

    def compile(self, tree: Expression, scope: Scope) -> Typed:
        make: Callable[..., Typed] = self.MAKERS[type(tree)]
        return make(self, tree, scope)

    def literal(self, tree: syntax.Literal, _: Scope) -> Typed:
        value = tree.value
        return Typed(_LITERALS[type(value)], lambda _: value)

    def binary(self, tree: syntax.Binary, scope: Scope) -> Typed:
        if tree.sign in ("&&", "||"):
            return self.junction(tree, scope)
        if tree.sign == "in":
            return self.membership(tree, scope)
        return self.joined(tree, scope) if tree.sign == "+" else self.comparison(tree, scope)

    def joined(self, tree: syntax.Binary, scope: Scope) -> Typed:
        left, right = self.text(tree.left, scope), self.text(tree.right, scope)

        def run(frame: Frame) -> object:
            text = str(left(frame)) + str(right(frame))
            if len(text) > MAX_TEXT_CHARS:
                raise UndeterminedError(f"a text of more than {MAX_TEXT_CHARS} characters")
            return text

        return Typed(STRING, run)

    def negated(self, tree: syntax.Not, scope: Scope) -> Typed:
        run = self.boolean(tree.of, scope)
        return Typed(BOOL, lambda frame: not run(frame))

    def boolean(self, tree: Expression, scope: Scope) -> Run:
        typed = self.compile(tree, scope)
        if typed.kind.name != "bool":
            raise ConditionError(f"a bool is needed, here is a {typed.kind.name}")
        return typed.run

    def text(self, tree: Expression, scope: Scope) -> Run:
        typed = self.compile(tree, scope)
        if typed.kind.name != "string":
            raise ConditionError(f"+ joins texts only, here is a {typed.kind.name}; string() makes a text of a number")
        return typed.run

    def name(self, tree: syntax.Name, scope: Scope) -> Typed:
        name = tree.name
        if name not in scope.names:
            raise ConditionError(f"unknown name {name!r}")
        kind, path = scope.names[name]
        if path in section_kinds() or path in NOT_FACTS:
            self.names.add(name)
        if name == "now":
            self.time_dependent = True
        if path == name and path in section_kinds():

            def run(frame: Frame) -> object:
                try:
                    return frame.names[name]
                except KeyError:
                    raise SectionGoneError(name) from None

            return Typed(kind, run, path)
        return Typed(kind, lambda frame: frame.names[name], path, name)

    def select(self, tree: syntax.Select, scope: Scope) -> Typed:
        of, field = self.compile(tree.of, scope), tree.field
        path = f"{of.path}.{field}"
        if of.kind.name == "names":
            kind = STRING
        elif of.kind.name != "record":
            raise ConditionError(f"{of.path or 'this'} is a {of.kind.name} and has no field {field!r}")
        elif field not in of.kind.fields:
            raise ConditionError(f"unknown field {path!r}")
        else:
            kind = of.kind.fields[field]
        if of.path == "limits":
            self.limits.add(field)
        elif of.path == "lists":
            self.lists.add(field)
        elif of.path not in NOT_FACTS:
            self.reads.add(path)
        return Typed(kind, _reading(of, field, path), path)

    def list_of(self, tree: syntax.ListOf, scope: Scope) -> Typed:
        typed = [self.compile(element, scope) for element in tree.elements]
        kinds = {element.kind.name for element in typed}
        if len(kinds) != 1 or not kinds <= {"string", "int"}:
            raise ConditionError("a list holds texts or whole numbers, all of one kind, at least one")
        literals = [element.value for element in tree.elements if isinstance(element, syntax.Literal)]
        if len(literals) != len(typed):
            raise ConditionError("a list holds values that stand in the text")
        texts = tuple(value for value in literals if isinstance(value, str))
        values = frozenset(value for value in literals if isinstance(value, (int, str)))
        return Typed(
            Kind(name="list", element=Kind(name=typed[0].kind.name, values=texts)), lambda _: values, constant=values
        )

    def call(self, tree: syntax.Call, scope: Scope) -> Typed:
        if tree.function == "has":
            raise ConditionError("has() is not allowed: a missing field must not decide")
        function = (METHODS if tree.method else FUNCTIONS).get(tree.function)
        if function is None:
            raise ConditionError(f"unknown function {tree.function!r}")
        typed = [self.compile(argument, scope) for argument in tree.arguments]
        _check_arguments(tree.function, function, typed)
        self.time_dependent |= function.needs_now
        return Typed(function.gives, _calling(function.run, [argument.run for argument in typed]))

    def macro(self, tree: syntax.Macro, scope: Scope) -> Typed:
        of = self.compile(tree.of, scope)
        if of.kind.name != "list" or of.kind.element is None:
            raise ConditionError(f"{tree.kind} needs a list, here is a {of.kind.name}")
        if tree.variable in scope.names:
            raise ConditionError(f"the name {tree.variable!r} is taken")
        inner = scope.with_name(tree.variable, of.kind.element, f"{of.path}[]")
        body = self.boolean(tree.body, inner)
        if tree.kind == "filter":
            return Typed(of.kind, _filtering(of.run, tree.variable, body), of.path)
        run = self.any_ending(tree, of, scope) or _deciding(
            of.run, tree.variable, body, decided_by=tree.kind == "exists"
        )
        return Typed(BOOL, run)

    def any_ending(self, tree: syntax.Macro, of: Typed, scope: Scope) -> Run | None:
        """`["a", "b"].exists(x, text.startsWith(x))`, in one step, also of one of `lists`: all packages are asked."""
        body, is_list = tree.body, of.path.startswith("lists.")
        if tree.kind != "exists" or (of.constant is None and not is_list) or not isinstance(body, syntax.Call):
            return None
        test = _ENDINGS.get(body.function)
        if test is None or body.arguments[1] != syntax.Name(tree.variable):
            return None
        try:
            text = self.compile(body.arguments[0], scope).run
        except ConditionError:  # the text itself speaks of the variable
            return None
        if is_list:
            return _ending_of_list(test, text, of.run)
        parts = tuple(str(part) for part in of.constant or ())
        return lambda frame: test(text(frame), parts)

    def choice(self, tree: syntax.Choice, scope: Scope) -> Typed:
        condition = self.boolean(tree.condition, scope)
        then, otherwise = self.compile(tree.then, scope), self.compile(tree.otherwise, scope)
        if then.kind.name != otherwise.kind.name or then.kind.name in ("list", "record", "names"):
            raise ConditionError(f"? gives a {then.kind.name} or a {otherwise.kind.name}; both must be one plain kind")
        yes, no = then.run, otherwise.run
        return Typed(Kind(name=then.kind.name), lambda frame: yes(frame) if condition(frame) else no(frame))

    def junction(self, tree: syntax.Binary, scope: Scope) -> Typed:
        left, right = self.boolean(tree.left, scope), self.boolean(tree.right, scope)
        decided_by = tree.sign == "||"

        def run(frame: Frame) -> object:
            try:
                if left(frame) is decided_by:
                    return decided_by
            except UndeterminedError:
                if right(frame) is decided_by:
                    return decided_by
                raise
            return right(frame)

        return Typed(BOOL, run)

    def membership(self, tree: syntax.Binary, scope: Scope) -> Typed:
        left, right = self.compile(tree.left, scope), self.compile(tree.right, scope)
        element = STRING if right.kind.name == "names" else right.kind.element
        if element is None or element.name != left.kind.name or element.name not in ("string", "int"):
            raise ConditionError(f"`in` cannot look for a {left.kind.name} in a {right.kind.name}")
        _check_values(left.kind, element)
        needle, hay = left.run, right.run
        if right.constant is not None:
            values = right.constant
            return Typed(BOOL, lambda frame: needle(frame) in values)

        def run(frame: Frame) -> object:
            values = hay(frame)
            frame.spend(len(values))  # type: ignore[arg-type]  # kinds were checked
            return needle(frame) in values  # type: ignore[operator]

        return Typed(BOOL, run)

    def comparison(self, tree: syntax.Binary, scope: Scope) -> Typed:
        left, right = self.compile(tree.left, scope), self.compile(tree.right, scope)
        kinds, equality = {left.kind.name, right.kind.name}, tree.sign in ("==", "!=")
        allowed = {"int", "double", "timestamp"} | ({"bool", "string"} if equality else set())
        if kinds == {"string"} and not equality:
            raise ConditionError("texts have no order; version_cmp() compares versions")
        if not kinds <= allowed or (len(kinds) > 1 and not kinds <= set(_NUMBERS)):
            raise ConditionError(f"{tree.sign} cannot compare a {left.kind.name} with a {right.kind.name}")
        if kinds == {"string"}:
            _check_literal(tree.left, right.kind)
            _check_literal(tree.right, left.kind)
        compare, a, b = COMPARE[tree.sign], left.run, right.run
        return Typed(BOOL, lambda frame: compare(a(frame), b(frame)))

    MAKERS: ClassVar[Mapping[type, Callable[..., Typed]]] = {
        syntax.Literal: literal,
        syntax.Name: name,
        syntax.Select: select,
        syntax.ListOf: list_of,
        syntax.Call: call,
        syntax.Macro: macro,
        syntax.Not: negated,
        syntax.Choice: choice,
        syntax.Binary: binary,
    }


def _reading(of: Typed, field: str, path: str) -> Run:
    inner, name = of.run, of.name

    def run_name(frame: Frame) -> object:
        try:
            return frame.names[name][field]  # type: ignore[index]  # a record is a mapping
        except KeyError:
            raise UndeterminedError(f"{path} not determined") from None

    def run(frame: Frame) -> object:
        try:
            return inner(frame)[field]  # type: ignore[index]  # a record is a mapping
        except KeyError:
            raise UndeterminedError(f"{path} not determined") from None

    return run_name if name else run


def _calling(call: Callable[..., object], runs: list[Run]) -> Run:
    match runs:
        case [only]:
            return lambda frame: call(frame.around, only(frame))
        case [first, second]:
            return lambda frame: call(frame.around, first(frame), second(frame))
    return lambda frame: call(frame.around, *[run(frame) for run in runs])


def _check_arguments(name: str, function: Function, typed: list[Typed]) -> None:
    most = len(function.takes)
    if not most - function.optional <= len(typed) <= most:
        raise ConditionError(f"{name}() takes {most} argument(s), here are {len(typed)}")
    for argument, kinds in zip(typed, function.takes, strict=False):
        if argument.kind.name not in {kind.name for kind in kinds}:
            wanted = " or ".join(kind.name for kind in kinds)
            raise ConditionError(f"{name}() takes a {wanted}, here is a {argument.kind.name}")


def _check_literal(tree: Expression, other: Kind) -> None:
    if isinstance(tree, syntax.Literal):
        _check_values(other, Kind(name="string", values=(str(tree.value),)))


def _check_values(kind: Kind, wanted: Kind) -> None:
    """A value that the vocabulary does not know would never be met."""
    for value in wanted.values if kind.values else ():
        if value not in kind.values:
            raise ConditionError(f"{value!r} is never a value here; it is one of {', '.join(kind.values)}")


def _ending_of_list(test: Callable[..., bool], text: Run, entries: Run) -> Run:
    """Nothing is found in an empty list, whatever is known of the text."""

    def run(frame: Frame) -> object:
        parts = entries(frame)
        return bool(parts) and test(text(frame), parts)

    return run


def _filtering(of: Run, variable: str, body: Run) -> Run:
    def run(frame: Frame) -> object:
        kept, elements = [], of(frame)
        frame.spend(len(elements))  # type: ignore[arg-type]  # a list, by its kind
        for element in elements:  # type: ignore[attr-defined]
            frame.names[variable] = element  # a name that nothing outside `body` can say
            if body(frame):
                kept.append(element)
        return kept

    return run


def _deciding(of: Run, variable: str, body: Run, *, decided_by: bool) -> Run:
    """`exists` is decided by one true, `all` by one false; without one, an element without an answer leaves none."""

    def run(frame: Frame) -> object:
        undetermined: UndeterminedError | None = None
        elements = of(frame)
        frame.spend(len(elements))  # type: ignore[arg-type]  # a list, by its kind
        for element in elements:  # type: ignore[attr-defined]
            frame.names[variable] = element
            try:
                if body(frame) is decided_by:
                    return decided_by
            except UndeterminedError as error:
                undetermined = undetermined or error
        if undetermined is not None:
            raise undetermined
        return not decided_by

    return run
