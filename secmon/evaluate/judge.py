"""Judgement: a check and a machine in, a verdict out. Pure; the clock is an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

from secmon.evaluate.check import Check, Items
from secmon.evaluate.condition import Condition
from secmon.evaluate.functions import Surroundings, UndeterminedError, zone_finder
from secmon.evaluate.lifecycle import Lifecycle
from secmon.evaluate.model import STALE, Item, Machine, SectionState, Status, Verdict
from secmon.evaluate.ruleset import RuleSet
from secmon.evaluate.scope import Frame, SectionGoneError

MAX_TEXT_CHARS: Final = 200
"""Of an evidence, a reason or a key; what machines send may be long."""
MAX_ITEMS: Final = 1000
"""Of one verdict; beyond it a machine says nonsense, and a finding each would only fill the store."""
NO_LIFECYCLE: Final = Lifecycle()

_OF_ONE_CHECK: Final = frozenset({"limits", "lists"})
"""Names that mean something else in another check."""

Answer = tuple[Status, str]


def evaluate(rules: RuleSet, machine: Machine, now: datetime, checks: Iterable[str] | None = None) -> list[Verdict]:
    """Verdicts of all checks, or of those named (unknown names are passed over), in the order of their ids.

    A check that the machine is not asked does not apply to it.
    """
    wanted = rules.checks.keys() if checks is None else rules.checks.keys() & set(checks)
    desk = _Desk(machine, _around(machine, now, rules.lifecycle))
    tailored = rules.tailored(machine)
    return [
        Verdict(check=check, status="not_applicable", reason=tailored.left_out[check])
        if check in tailored.left_out
        else _guarded(desk, tailored.checks[check])
        for check in sorted(wanted)
    ]


def judge(check: Check, machine: Machine, now: datetime, lifecycle: Lifecycle = NO_LIFECYCLE) -> Verdict:
    """The answer of one check. Never raises on account of the facts."""
    return _Desk(machine, _around(machine, now, lifecycle)).judge(check)


def _around(machine: Machine, now: datetime, lifecycle: Lifecycle) -> Surroundings:
    return Surroundings(now=now, lifecycle=lifecycle, find_zone=zone_finder(machine.networks))


def _guarded(desk: _Desk, check: Check) -> Verdict:
    try:
        return desk.judge(check)
    except Exception as error:  # noqa: BLE001 - one check that fails must not stop the others, nor storing
        return Verdict(check=check.id, status="unknown", reason=f"judging failed: {type(error).__name__}")


def _is_stale(machine: Machine, now: datetime) -> bool:
    return machine.observed_at is None or now - machine.observed_at > timedelta(seconds=machine.stale_after_s)


class _Desk:
    """What all checks of one machine share: the sections that are there, and the names that conditions see."""

    def __init__(self, machine: Machine, around: Surroundings) -> None:
        self.machine = machine
        self.around = around
        self.names: dict[str, object] = {
            name: state.facts
            for name, state in machine.sections.items()
            if state.status == "ok" and state.facts is not None
        }
        self.names["now"] = around.now
        self.names["attributes"] = machine.attributes
        self.is_stale = _is_stale(machine, around.now)
        self.applying: dict[str, Answer | str | Literal[True]] = {}
        """What `applying` gave for a text: most checks ask one of a few."""

    def judge(self, check: Check) -> Verdict:
        limits = {name: limit.of(self.machine.zone) for name, limit in check.limits.items()}
        frame = Frame({**self.names, "limits": limits, "lists": check.lists}, self.around)
        answer = self.before(check, frame)
        if answer is not None:
            return Verdict(check=check.id, status=answer[0], reason=clean(answer[1]))
        if check.items is not None:
            return self.judge_items(check, frame)
        status, reason = answer_of(check.pass_, frame)
        evidence = evidence_of(check, check.pass_, frame)
        return Verdict(check=check.id, status=status, reason=clean(reason), evidence=evidence)

    def before(self, check: Check, frame: Frame) -> Answer | None:
        """The answer where it is settled before the facts themselves are judged."""
        if check.reads and self.is_stale:
            return "unknown", STALE
        return self.does_not_apply(check, frame) or self.not_there(check) or self.is_not_fresh(check, frame)

    def does_not_apply(self, check: Check, frame: Frame) -> Answer | None:
        """Only determined-false means `not_applicable`."""
        condition = check.applies
        if condition is None:
            return None
        found = self.applying.get(condition.source)
        if found is None:
            found = applying(condition, frame)
            if condition.names.isdisjoint(_OF_ONE_CHECK):
                self.applying[condition.source] = found
        if found is True:
            return None
        return self.section_answer(check, found) if isinstance(found, str) else found

    def not_there(self, check: Check) -> Answer | None:
        """Unreadable sections come before absent ones: what cannot be read is never outvoted."""
        if self.names.keys() >= check.judged_sections:
            return None
        gone = [name for name in sorted(check.judged_sections) if name not in self.names]
        gone.sort(key=lambda name: self.status_of(name) == "absent")
        return self.section_answer(check, gone[0]) if gone else None

    def section_answer(self, check: Check, name: str) -> Answer:
        state = self.machine.sections.get(name)
        if state is None:
            return "unknown", f"{name} never reported"
        reason = f"{name} {state.status}" + (f": {state.reason}" if state.reason else "")
        return (check.when_absent if state.status == "absent" else "unknown"), reason

    def status_of(self, name: str) -> str:
        return self.machine.sections.get(name, SectionState(status="")).status

    def is_not_fresh(self, check: Check, frame: Frame) -> Answer | None:
        if check.requires_fresh is None:
            return None
        status, reason = answer_of(check.requires_fresh, frame)
        if status == "pass":
            return None
        return "unknown", reason or f"not fresh: {', '.join(sorted(check.requires_fresh.reads))}"

    def judge_items(self, check: Check, frame: Frame) -> Verdict:
        if check.items is None or check.key is None:
            raise ValueError(f"{check.id} is not about a list")
        try:
            elements = check.items.base.run(frame)
        except UndeterminedError as error:
            return Verdict(check=check.id, status="unknown", reason=clean(str(error)))
        found: dict[str, Item] = {}
        spared: dict[str, None] = {}
        for element in elements:  # type: ignore[attr-defined]  # a list, by its kind
            item = judge_item(check, check.items, check.key, frame, element)
            if item is not None and item.status == "pass":
                spared[item.evidence] = None
            elif item is not None:
                found[item.key] = worse(found[item.key], item) if item.key in found else item
        items, words = kept(found.values())
        evidence = words or (clean(", ".join(spared)) if not items else "")
        statuses = {item.status for item in items}
        status: Status = "fail" if "fail" in statuses else "unknown" if statuses else "pass"
        reason = next((item.reason for item in items if item.status == "unknown"), "") if status == "unknown" else ""
        return Verdict(check=check.id, status=status, reason=reason, evidence=evidence, items=items)


def applying(condition: Condition, frame: Frame) -> Answer | str | Literal[True]:
    """True where it applies; otherwise the answer, or the section that was asked for and is not there."""
    try:
        return True if condition.run(frame) else ("not_applicable", f"not: {condition.source}")
    except SectionGoneError as error:
        return error.section
    except UndeterminedError as error:
        return "unknown", str(error)


def judge_item(check: Check, items: Items, key: Condition, frame: Frame, element: object) -> Item | None:
    """The element as an item; None where it passes or the filters leave it out. One that is spared passes, too, and is
    told with what spared it."""
    frame.names["item"] = element
    undetermined = ""
    for one in items.filters:
        frame.names[one.variable] = element
        try:
            if not one.run(frame):
                return None
        except UndeterminedError as error:
            undetermined = undetermined or str(error)
    status, reason = answer_of(check.pass_, frame)
    if undetermined:
        status, reason = "unknown", undetermined
    if status == "pass":
        return None
    name, unnamed = text_of(key, frame)
    if status == "fail" and check.spared is not None and answer_of(check.spared, frame)[0] == "pass":
        return Item(key=name or "?", status="pass", evidence=fields_read(check.pass_.reads | check.spared.reads, frame))
    evidence = evidence_of(check, check.pass_, frame)
    return Item(key=name or "?", status=status, reason=clean(reason or unnamed), evidence=evidence)


def answer_of(condition: Condition, frame: Frame) -> Answer:
    try:
        return ("pass" if condition.run(frame) is True else "fail"), ""
    except UndeterminedError as error:
        return "unknown", str(error)


def text_of(condition: Condition, frame: Frame) -> tuple[str, str]:
    """The text, or nothing and why."""
    try:
        return clean(str(condition.run(frame))), ""
    except UndeterminedError as error:
        return "", str(error)


def evidence_of(check: Check, condition: Condition, frame: Frame) -> str:
    """The check's own text; where a field of it is undetermined, the fields that were judged."""
    text = text_of(check.evidence, frame)[0] if check.evidence else ""
    if text:
        return text
    return fields_read(condition.reads, frame)


def fields_read(paths: Iterable[str], frame: Frame) -> str:
    shown = []
    for path in sorted(paths):
        value = _value_at(path, frame)
        if value is not None:
            shown.append(f"{path.partition('[].')[2] or path} = {value}")
    return clean(", ".join(shown))


def _value_at(path: str, frame: Frame) -> str | None:
    """A plain value as text; None for lists, records and what is undetermined."""
    listed, _, field = path.partition("[].")
    steps = field.split(".") if field else listed.split(".")
    value: object = frame.names.get("item") if field else frame.names
    for step in steps:
        value = value.get(step) if isinstance(value, Mapping) else None
    return _SHOW[type(value)](value) if type(value) in _SHOW else None


_SHOW: Final[Mapping[type, Callable[..., str]]] = {
    str: str,
    int: str,
    bool: lambda value: "true" if value else "false",
    datetime: lambda value: value.date().isoformat(),
}
_WORST: Final = ("fail", "unknown")


def worse(one: Item, other: Item) -> Item:
    """Two elements under one key are one item: the worse answer, the evidence of both."""
    first, second = sorted((one, other), key=lambda item: (_WORST.index(item.status), item.evidence))
    if first.status != second.status or second.evidence in first.evidence.split("; "):
        return first
    return Item(
        key=first.key, status=first.status, reason=first.reason, evidence=clean(f"{first.evidence}; {second.evidence}")
    )


def kept(items: Iterable[Item]) -> tuple[tuple[Item, ...], str]:
    """The items in the order of their keys. Of too many, the failing ones first, and a word on how many there are."""
    found = sorted(items, key=lambda item: (_WORST.index(item.status), item.key))
    words = f"{len(found)} items, {MAX_ITEMS} of them kept" if len(found) > MAX_ITEMS else ""
    return tuple(sorted(found[:MAX_ITEMS], key=lambda item: item.key)), words


def clean(text: str) -> str:
    """Text of a machine, safe to show: of bounded length, without control characters."""
    if len(text) > MAX_TEXT_CHARS:
        text = text[: MAX_TEXT_CHARS - 1] + "…"
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
