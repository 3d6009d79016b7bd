"""What the library says: each condition of a check run by `common-expression-language`, to compare with ours.

Rule files are CEL. That our running means the same is shown on every example, by `secmon rules check` and by the tests.
The library may have no answer where we have one (it stops `all` and `exists` at the first element without an answer),
never another answer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Final

import cel

from secmon.evaluate.check import Check
from secmon.evaluate.condition import Condition
from secmon.evaluate.functions import FUNCTIONS, REGISTERED, Surroundings, UndeterminedError, zone_finder
from secmon.evaluate.lifecycle import Lifecycle
from secmon.evaluate.model import Machine
from secmon.evaluate.scope import Frame

UNDETERMINED: Final = "undetermined"


def disagreements(check: Check, machine: Machine, now: datetime, lifecycle: Lifecycle) -> Iterator[str]:
    """Where the library gives another answer; nothing when both agree."""
    around = Surroundings(now=now, lifecycle=lifecycle, find_zone=zone_finder(machine.networks))
    names: dict[str, object] = {
        name: state.facts
        for name, state in machine.sections.items()
        if state.status == "ok" and state.facts is not None
    }
    limits = {name: limit.of(machine.zone) for name, limit in check.limits.items()}
    frame = Frame(
        {**names, "now": now, "attributes": machine.attributes, "limits": limits, "lists": check.lists}, around
    )
    yield from _compared(_whole(check), frame)
    for element in _elements(check, frame):
        frame.names["item"] = element
        yield from _compared(_of_items(check), frame)


def _whole(check: Check) -> Mapping[str, Condition | None]:
    found = {"applies": check.applies, "requires_fresh": check.requires_fresh}
    if check.items is not None:
        return {**found, "items": check.items.condition}
    return {**found, "pass": check.pass_, "evidence": check.evidence}


def _of_items(check: Check) -> Mapping[str, Condition | None]:
    return {"key": check.key, "pass": check.pass_, "spared": check.spared, "evidence": check.evidence}


def _elements(check: Check, frame: Frame) -> Iterable[object]:
    if check.items is None:
        return ()
    elements = _ours(check.items.condition, frame)
    return elements if isinstance(elements, list) else ()


def _compared(conditions: Mapping[str, Condition | None], frame: Frame) -> Iterator[str]:
    for name, condition in conditions.items():
        if condition is None:
            continue
        ours, theirs = _ours(condition, frame), _theirs(condition, frame)
        if theirs not in (UNDETERMINED, ours):
            yield f"{name}: CEL answers {theirs!r}, secmon {ours!r}"


def _ours(condition: Condition, frame: Frame) -> object:
    try:
        answer = condition.run(frame)
    except UndeterminedError:
        return UNDETERMINED
    return _plain(answer)


def _plain(value: object) -> object:
    """CEL gives lists where facts hold tuples, also within the elements of a list."""
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return value


def _theirs(condition: Condition, frame: Frame) -> object:
    context = cel.Context()
    for name in REGISTERED:
        context.add_function(name, partial(FUNCTIONS[name].run, frame.around))
    for name, value in frame.names.items():
        context.add_variable(name, value)
    log = logging.getLogger("cel")
    level = log.level
    log.setLevel(logging.CRITICAL)  # a function without an answer is no news
    try:
        return cel.compile(condition.source).execute(context)
    except (ValueError, KeyError, IndexError, TypeError, RuntimeError, ArithmeticError):
        return UNDETERMINED
    finally:
        log.setLevel(level)
