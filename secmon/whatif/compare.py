"""Two sets of rules, one machine: which answers differ. Pure; the clock is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from secmon.evaluate.check import Check
from secmon.evaluate.condition import Condition
from secmon.evaluate.judge import evaluate
from secmon.evaluate.model import Standing, Status, Verdict
from secmon.evaluate.ruleset import RuleSet
from secmon.exceptions.borne import weighed
from secmon.exceptions.model import Record, Register
from secmon.whatif.machines import Stored


class Change(Struct, frozen=True, kw_only=True):
    """One machine whose answer to one check would be another."""

    host: str
    check: str
    before: Status | None
    """None: there is no such check before, or after."""
    after: Status | None
    before_counts_as: Standing | None = None
    """Under the exceptions and disputes that hold now: `excepted`, or `unknown` where it is disputed."""
    after_counts_as: Standing | None = None
    exceptions: tuple[str, ...] = ()
    """Numbers of those that would cover what fails then."""
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
    if old.profiles != new.profiles or old.overrides != new.overrides:  # any check may be asked of other machines
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
    limits, lists = msgspec.to_builtins(check.limits), msgspec.to_builtins(check.lists)
    return ([one and one.source for one in conditions], check.when_absent, limits, lists)


def changes(
    stored: Stored, old: RuleSet, new: RuleSet, checks: Iterable[str], now: datetime, register: Register
) -> Iterator[Change]:
    """What the machine would answer otherwise, in the order of the checks; other evidence alone is no other answer."""
    machine = stored.machine
    wanted = list(checks)
    before = {verdict.check: verdict for verdict in evaluate(old, machine, now, wanted)}
    after = {verdict.check: verdict for verdict in evaluate(new, machine, now, wanted)}
    for check in sorted(before.keys() | after.keys()):
        change = _change(stored, check, before.get(check), after.get(check), register)
        if change is not None:
            yield change


def _change(
    stored: Stored, check: str, before: Verdict | None, after: Verdict | None, register: Register
) -> Change | None:
    failed, fails = _failing(before), _failing(after)
    status = tuple(verdict.status if verdict is not None else None for verdict in (before, after))
    if status[0] == status[1] and failed == fails:
        return None
    told = after or before

    def counts(verdict: Verdict | None) -> tuple[Standing | None, Mapping[str, Record]]:
        if verdict is None:
            return None, {}
        return weighed(verdict, stored.host_id, stored.machine.attributes, register)

    (counted, _), (counts_as, covers) = counts(before), counts(after)
    return Change(
        host=stored.name,
        check=check,
        before=status[0],
        after=status[1],
        before_counts_as=counted,
        after_counts_as=counts_as,
        exceptions=tuple(sorted({record.number for record in covers.values()})),
        opened=tuple(sorted(fails - failed)),
        closed=tuple(sorted(failed - fails)),
        reason=told.reason if told else "",
        evidence=told.evidence if told else "",
    )


def _failing(verdict: Verdict | None) -> frozenset[str]:
    return frozenset(item.key for item in verdict.items if item.status == "fail") if verdict else frozenset()
