"""One check file: read, verified, compiled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, cast

from msgspec import Struct

from secmon.evaluate import syntax
from secmon.evaluate.adapt import Lists
from secmon.evaluate.areas import AREAS
from secmon.evaluate.check import Check, Filter, Items, Limit
from secmon.evaluate.condition import Condition, compile_condition, condition_of
from secmon.evaluate.document import DocumentError, Node, read_document
from secmon.evaluate.examples import Example, ExampleError, read_example
from secmon.evaluate.kinds import DOUBLE, INT, Kind
from secmon.evaluate.mistakes import Reader
from secmon.evaluate.model import SEVERITIES, WORST_FIRST, Language, Severity, Status
from secmon.evaluate.scope import Scope, base_scope
from secmon.evaluate.syntax import ConditionError

MAX_FIX_STEPS: Final = 3
NEEDED: Final = ("id", "area", "title", "pass", "severity", "why", "fix", "examples")
ALLOWED: Final = (*NEEDED, "applies", "when_absent", "items", "key", "spared", "requires_fresh", "limits", "evidence")


class CheckFile(Struct, frozen=True, kw_only=True):
    check: Check
    examples: tuple[Example, ...]


class _Conditions(Struct, kw_only=True):
    applies: Condition | None = None
    items: Items | None = None
    key: Condition | None = None
    pass_: Condition | None = None
    spared: Condition | None = None
    requires_fresh: Condition | None = None
    evidence: Condition | None = None


def read_check(
    data: bytes, file: str, area: str, name: str, lists: Lists | None = None
) -> tuple[CheckFile | None, Reader]:
    """The check in `data`, which lies in `<area>/<name>.yaml`; None where the reader has noted mistakes. `lists` are
    those that its conditions may look things up in."""
    reader = Reader(file)
    try:
        node = read_document(data)
    except DocumentError as error:
        reader.wrong(error.line, error.reason)
        return None, reader
    fields = reader.mapping(node, "check", allowed=ALLOWED, needed=NEEDED)
    if not fields:
        return None, reader
    _check_place(reader, fields, area, name)
    limits = _limits(reader, fields.get("limits"))
    conditions = _conditions(reader, fields, limits, lists or {})
    examples = _examples(reader, fields.get("examples"))
    check = _check(reader, fields, limits, conditions, lists or {})
    if check is None or reader.mistakes:
        return None, reader
    return CheckFile(check=check, examples=examples), reader


def _check_place(reader: Reader, fields: Mapping[str, Node], area: str, name: str) -> None:
    wanted = f"{area}.{name}"
    id_ = reader.string(fields.get("id"), "id")
    if id_ and id_ != wanted:
        reader.wrong(fields["id"].line, f"id: {id_!r} must be {wanted!r}, as the file is named")
    stated = reader.one_of(fields.get("area"), "area", AREAS)
    if stated and stated != area:
        reader.wrong(fields["area"].line, f"area: {stated!r} must be {area!r}, as the folder is named")


def _check(
    reader: Reader, fields: Mapping[str, Node], limits: Mapping[str, Limit], conditions: _Conditions, lists: Lists
) -> Check | None:
    title, why = reader.text(fields.get("title"), "title"), reader.text(fields.get("why"), "why")
    severity = reader.one_of(fields.get("severity"), "severity", SEVERITIES)
    fix = _fix(reader, fields.get("fix"))
    if conditions.pass_ is None:
        return None
    present = _present(conditions)
    judged = [condition for condition in present if condition is not conditions.applies]
    reads = frozenset().union(*(condition.sections for condition in present))
    when_absent = reader.one_of(fields.get("when_absent"), "when_absent", WORST_FIRST)
    if reads and "when_absent" not in fields:
        reader.wrong(1, "when_absent is missing: what is the answer where a section is absent?")
    _check_limits_used(reader, fields, limits, present)
    return Check(
        id=reader.string(fields.get("id"), "id"),
        area=reader.string(fields.get("area"), "area"),
        title=title,
        severity=cast(Severity, severity),
        why=why,
        fix=fix,
        pass_=conditions.pass_,
        applies=conditions.applies,
        items=conditions.items,
        key=conditions.key,
        spared=conditions.spared,
        requires_fresh=conditions.requires_fresh,
        evidence=conditions.evidence,
        when_absent=cast(Status, when_absent or "unknown"),
        limits=limits,
        lists={name: lists[name] for name in sorted(frozenset().union(*(each.lists for each in present)))},
        reads=reads,
        judged_sections=frozenset().union(*(condition.sections for condition in judged)),
        paths=frozenset().union(*(c.reads for c in present if c not in (conditions.evidence, conditions.key))),
        rests_on=reads.union(*(condition.reads for condition in present)),
        time_dependent=any(condition.time_dependent for condition in present),
        file=reader.file,
    )


def _present(conditions: _Conditions) -> list[Condition]:
    items = conditions.items.condition if conditions.items else None
    judging = (conditions.applies, items, conditions.key, conditions.pass_, conditions.spared)
    all_ = (*judging, conditions.requires_fresh, conditions.evidence)
    return [condition for condition in all_ if condition is not None]


def _check_limits_used(
    reader: Reader, fields: Mapping[str, Node], limits: Mapping[str, Limit], present: list[Condition]
) -> None:
    used = frozenset().union(*(condition.limits for condition in present))
    for name in sorted(limits.keys() - used):
        reader.wrong(fields["limits"].lines.get(name, 1), f"limits: {name!r} is used nowhere")


def _conditions(reader: Reader, fields: Mapping[str, Node], limits: Mapping[str, Limit], lists: Lists) -> _Conditions:
    kinds = {name: INT if isinstance(limit.default, int) else DOUBLE for name, limit in limits.items()}
    scope = base_scope(kinds, lists)
    found = _Conditions()
    found.applies = _condition(reader, fields, "applies", scope)
    found.requires_fresh = _condition(reader, fields, "requires_fresh", scope)
    if ("items" in fields) != ("key" in fields):
        reader.wrong(1, "`items` and `key` belong together")
    if "spared" in fields and "items" not in fields:
        reader.wrong(fields["spared"].line, "spared: only an item of a list can be")
    if "items" in fields:
        found.items = _items(reader, fields["items"], scope)
        if found.items is None:
            return found
        element = found.items.condition.kind.element
        scope = scope.with_name("item", element or Kind(name="none"), f"{found.items.base.path}[]")
        found.key = _timeless(reader, fields, "key", scope)
        found.spared = _condition(reader, fields, "spared", scope)
    found.pass_ = _condition(reader, fields, "pass", scope)
    found.evidence = _timeless(reader, fields, "evidence", scope)
    return found


def _condition(
    reader: Reader, fields: Mapping[str, Node], key: str, scope: Scope, gives: str = "bool"
) -> Condition | None:
    source = _source(reader, fields.get(key), key)
    if not source:
        return None
    try:
        return compile_condition(source, scope, gives)
    except ConditionError as error:
        reader.wrong(fields[key].line, f"{key}: {error}")
        return None


def _source(reader: Reader, node: Node | None, key: str) -> str:
    if node is not None and isinstance(node.value, bool):
        return str(node.value).lower()
    return reader.string(node, key)


def _timeless(reader: Reader, fields: Mapping[str, Node], key: str, scope: Scope) -> Condition | None:
    condition = _condition(reader, fields, key, scope, gives="string")
    if condition is not None and condition.time_dependent:
        reader.wrong(fields[key].line, f"{key}: must not depend on now, or it would change every day")
        return None
    return condition


def _items(reader: Reader, node: Node, scope: Scope) -> Items | None:
    """The list, with the filters at its end taken apart."""
    source = reader.string(node, "items")
    if not source:
        return None
    try:
        return _taken_apart(compile_condition(source, scope, "list"), scope)
    except ConditionError as error:
        reader.wrong(node.line, f"items: {error}")
        return None


def _taken_apart(whole: Condition, scope: Scope) -> Items:
    if whole.kind.element is None or not whole.path or whole.path.startswith("lists."):
        raise ConditionError("must be a list of facts")
    tree, filters = whole.tree, list[Filter]()
    while isinstance(tree, syntax.Macro) and tree.kind == "filter":
        inner = scope.with_name(tree.variable, whole.kind.element, f"{whole.path}[]")
        filters.append(Filter(variable=tree.variable, run=condition_of(tree.body, whole.source, inner, "bool").run))
        tree = tree.of
    base = condition_of(tree, whole.source, scope, "list")
    return Items(condition=whole, base=base, filters=tuple(reversed(filters)))


def _limits(reader: Reader, node: Node | None) -> dict[str, Limit]:
    if node is None:
        return {}
    found = {}
    for name, entry in reader.mapping(node, "limits").items():
        values = reader.mapping(entry, f"limits.{name}", needed=()) if entry.value else {}
        strictest = reader.one_of(values.get("strictest"), f"limits.{name}.strictest", ("min", "max")) or "min"
        numbers = {zone: _number(reader, value, name) for zone, value in values.items() if zone != "strictest"}
        if "default" not in numbers:
            reader.wrong(entry.line, f"limits.{name}: 'default' is missing")
        default = numbers.pop("default", 0)
        found[name] = Limit(default=default, zones=numbers, strictest=cast(Literal["min", "max"], strictest))
    return found


def _number(reader: Reader, node: Node, name: str) -> int | float:
    if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return node.value
    reader.wrong(node.line, f"limits.{name}: a number is needed")
    return 0


def _fix(reader: Reader, node: Node | None) -> dict[Language, tuple[str, ...]]:
    if node is None:
        return {}
    both = reader.mapping(node, "fix", needed=("ja", "en"))
    found: dict[Language, tuple[str, ...]] = {}
    languages: tuple[Language, ...] = ("ja", "en")
    for language in languages:
        if language in both:
            steps = reader.sequence(both[language], f"fix.{language}")
            found[language] = tuple(reader.string(step, f"fix.{language}") for step in steps)
            if not 1 <= len(steps) <= MAX_FIX_STEPS:
                reader.wrong(
                    both[language].line, f"fix.{language}: one to {MAX_FIX_STEPS} steps, here are {len(steps)}"
                )
    return found


def _examples(reader: Reader, node: Node | None) -> tuple[Example, ...]:
    if node is None:
        return ()
    examples = []
    for entry in reader.sequence(node, "examples"):
        try:
            examples.append(read_example(entry))
        except ExampleError as error:
            reader.wrong(error.line, error.reason)
    for needed in ("pass", "fail"):
        if needed not in {example.expect for example in examples} and not reader.mistakes:
            reader.wrong(node.line, f"examples: none is expected to {needed}")
    return tuple(examples)
