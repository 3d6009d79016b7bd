"""Two sets of rules, one machine: which answers differ. Pure; the clock is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec
from msgspec import Struct

from secmon.evaluate.check import Check
from secmon.evaluate.condition import Condition
from secmon.evaluate.judge import evaluate
from secmon.evaluate.model import Machine, Status, Verdict
from secmon.evaluate.ruleset import RuleSet


class Change(Struct, frozen=True, kw_only=True):
    """One machine whose answer to one check would be another."""

    host: str
    check: str
    before: Status | None
    """None: there is no such check before, or after."""
    after: Status | None
    opened: tuple[str, ...] = ()
    """Keys of the items that would fail and do not now."""
    closed: tuple[str, ...] = ()
    """Keys of the items that fail now and would not."""
    reason: str = ""
    evidence: str = ""


def differing(old: RuleSet, new: RuleSet) -> frozenset[str]:
    """Ids of the checks that could answer otherwise; texts and severities answer nothing."""
    both = old.checks.keys() | new.checks.keys()
    if old.lifecycle != new.lifecycle:  # any check may look an end of support up
        return frozenset(both)
    return frozenset(id_ for id_ in both if _judging(old.checks.get(id_)) != _judging(new.checks.get(id_)))


def _judging(check: Check | None) -> object:
    """All of a check that its answers rest on."""
    if check is None:
        return None
    conditions: tuple[Condition | None, ...] = (
        check.applies,
        check.items.condition if check.items else None,
        check.key,
        check.pass_,
        check.spared,
        check.requires_fresh,
        check.evidence,
    )
    return ([one and one.source for one in conditions], check.when_absent, msgspec.to_builtins(check.limits))


def changes(
    host: str, machine: Machine, old: RuleSet, new: RuleSet, checks: Iterable[str], now: datetime
) -> Iterator[Change]:
    """What the machine would answer otherwise, in the order of the checks; other evidence alone is no other answer."""
    wanted = list(checks)
    before = {verdict.check: verdict for verdict in evaluate(old, machine, now, wanted)}
    after = {verdict.check: verdict for verdict in evaluate(new, machine, now, wanted)}
    for check in sorted(before.keys() | after.keys()):
        change = _change(host, check, before.get(check), after.get(check))
        if change is not None:
            yield change


def _change(host: str, check: str, before: Verdict | None, after: Verdict | None) -> Change | None:
    failed, fails = _failing(before), _failing(after)
    status = tuple(verdict.status if verdict is not None else None for verdict in (before, after))
    if status[0] == status[1] and failed == fails:
        return None
    told = after or before
    return Change(
        host=host,
        check=check,
        before=status[0],
        after=status[1],
        opened=tuple(sorted(fails - failed)),
        closed=tuple(sorted(failed - fails)),
        reason=told.reason if told else "",
        evidence=told.evidence if told else "",
    )


def _failing(verdict: Verdict | None) -> frozenset[str]:
    return frozenset(item.key for item in verdict.items if item.status == "fail") if verdict else frozenset()
