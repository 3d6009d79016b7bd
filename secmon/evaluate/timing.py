"""How long each condition takes on the largest facts that the wire lets through, in a process that can be ended."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from secmon.evaluate.check import Check
from secmon.evaluate.functions import Surroundings, UndeterminedError, zone_finder
from secmon.evaluate.kinds import Kind, section_kinds
from secmon.evaluate.ruleset import RuleSet, load_rules
from secmon.evaluate.scope import Frame
from secmon_agent.wire import MAX_LIST_ELEMENTS

MAX_CONDITION_S: Final = 2.0
"""Of processor time; a busy machine may take several times as long before the condition is given up."""
PATIENCE: Final = 4
MAX_START_S: Final = 60.0
INNER_LIST_ELEMENTS: Final = 4
"""Of a list within a list element; more would not fit under the wire's total."""
LARGEST_NETWORKS: Final = tuple((f"10.{number}.0.0/16", "lgwan") for number in range(64))
LARGEST_NOW: Final = datetime(2026, 11, 20, tzinfo=UTC)

Timing = tuple[str, str, float | None]
"""Check, condition, seconds; None where it was ended for taking longer than `MAX_CONDITION_S`, or died of it."""


def time_conditions(folder: Path, site: Path | None = None) -> Iterator[Timing]:
    """Every condition of the rules in the folders. A condition that takes too long ends the timing: it is the last."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(folder, site, theirs), daemon=True)
    process.start()
    theirs.close()
    patience, current = MAX_START_S, ("", "start")
    try:
        while ours.poll(patience):
            check, name, seconds = ours.recv()
            if not check:
                return
            if seconds is None:
                patience, current = PATIENCE * MAX_CONDITION_S, (check, name)
            else:
                patience = MAX_START_S
                yield check, name, seconds
        yield *current, None
    except EOFError:  # the process died, out of memory perhaps
        yield *current, None
    finally:
        process.kill()
        process.join()
        ours.close()


def _child(folder: Path, site: Path | None, pipe: Connection) -> None:
    """Sends (check, condition, None) before and (check, condition, seconds) after each."""
    rules = load_rules(folder, site)
    facts = largest_facts()
    for check in rules.checks.values():
        for name, run in _conditions(check, _frame(check, rules, facts)):
            pipe.send((check.id, name, None))
            began = time.process_time()
            run()
            pipe.send((check.id, name, time.process_time() - began))
    pipe.send(("", "done", 0.0))


def _frame(check: Check, rules: RuleSet, facts: Mapping[str, object]) -> Frame:
    limits = {name: limit.of(None) for name, limit in check.limits.items()}
    names = {**facts, "now": LARGEST_NOW, "limits": limits, "lists": check.lists, "attributes": {"zone": "lgwan"}}
    around = Surroundings(now=LARGEST_NOW, lifecycle=rules.lifecycle, find_zone=zone_finder(LARGEST_NETWORKS))
    return Frame(names, around, steps=sys.maxsize)


def _conditions(check: Check, frame: Frame) -> Iterator[tuple[str, Callable[[], None]]]:
    whole = {"applies": check.applies, "requires_fresh": check.requires_fresh}
    per_item = {"key": check.key, "pass": check.pass_, "spared": check.spared, "evidence": check.evidence}
    if check.items is None:
        whole.update(per_item)
    else:
        whole["items"] = check.items.condition
    for name, condition in whole.items():
        if condition is not None:
            yield name, lambda condition=condition: _run(condition.run, frame)  # type: ignore[misc]
    if check.items is None:
        return
    elements = check.items.base.run(frame)
    for name, condition in per_item.items():
        if condition is not None:
            yield name, lambda condition=condition: _run_each(condition.run, frame, elements)  # type: ignore[misc]


def _run(run: Callable[[Frame], object], frame: Frame) -> None:
    try:
        run(frame)
    except UndeterminedError:
        return


def _run_each(run: Callable[[Frame], object], frame: Frame, elements: object) -> None:
    for element in elements:  # type: ignore[attr-defined]  # a list, by its kind
        frame.names["item"] = element
        _run(run, frame)


def largest_facts() -> dict[str, object]:
    """Every section with every field, lists as long as the wire allows."""
    return {name: _largest(kind, MAX_LIST_ELEMENTS, 0) for name, kind in section_kinds().items()}


def _largest(kind: Kind, length: int, number: int) -> object:
    if kind.name == "record":
        return {name: _largest(inner, length, number) for name, inner in kind.fields.items()}
    if kind.name == "list" and kind.element is not None:
        return [_largest(kind.element, INNER_LIST_ELEMENTS, index) for index in range(length)]
    if kind.name == "string":
        return kind.values[number % len(kind.values)] if kind.values else f"some-text-of-usual-length-{number}"
    return {"bool": bool(number % 2), "int": number, "timestamp": datetime(2026, 1, 1, tzinfo=UTC)}[kind.name]
