"""What is decided, without a database."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from secmon.alerts.decide import decide
from secmon.alerts.model import AlertRule, Decision, Past, Transition

NOW = datetime(2026, 11, 2, tzinfo=UTC)
RULE = AlertRule(
    id="high",
    events=("opened", "reopened", "resolved"),
    causes=("machine", "time"),
    severities=("high",),
    urgency="immediate",
    mails_per_hour=6,
)
_ids = itertools.count(1)


def _happened(
    event: str,
    *,
    host: int = 1,
    check: str = "a.check",
    item: str = "",
    finding: uuid.UUID | None = None,
    zone: str = "",
    severity: str = "high",
) -> Transition:
    return Transition(
        transition_id=next(_ids),
        host_id=uuid.UUID(int=host),
        event=event,
        cause="machine",
        check_id=check,
        item=item,
        finding_id=finding or uuid.uuid4(),
        severity=severity,
        zone=zone,
        observed_at=NOW,
    )


def _groups(decision: Decision) -> list[str]:
    return [draft.group for draft in decision.drafts]


def test_it_makes_a_mail_for_a_check_on_several_machines_and_one_for_a_machine_with_several_checks() -> None:
    decision = decide(
        [
            _happened("opened", host=1, check="common"),
            _happened("opened", host=2, check="common"),
            _happened("opened", host=1, check="one"),
            _happened("opened", host=1, check="two"),
            _happened("opened", host=3, check="three"),
        ],
        [RULE],
        Past(),
    )
    assert _groups(decision) == ["problem:check:common", f"problem:host:{uuid.UUID(int=1)}", "problem:check:three"]


def test_it_makes_one_mail_of_more_than_an_hour_allows() -> None:
    decision = decide([_happened("opened", host=n, check=f"check.{n}") for n in range(7)], [RULE], Past())
    assert _groups(decision) == ["problem:all"]
    assert len(decision.drafts[0].transitions) == 7


def test_it_waits_when_the_hour_is_used_up() -> None:
    decision = decide([_happened("opened")], [RULE], Past(mails={("high", "problem"): 6}))
    assert decision == Decision()


def test_it_makes_one_mail_for_all_by_a_summary_rule() -> None:
    rule = msgspec.structs.replace(RULE, urgency="summary")
    decision = decide([_happened("opened", check="a"), _happened("opened", host=2, check="b")], [rule], Past())
    assert _groups(decision) == ["problem:all"]


def test_it_asks_the_first_rule_that_matches() -> None:
    lgwan = msgspec.structs.replace(RULE, id="lgwan", zones=("lgwan",))
    decision = decide([_happened("opened", zone="lgwan"), _happened("opened", host=2)], [lgwan, RULE], Past())
    assert [draft.rule.id for draft in decision.drafts] == ["lgwan", "high"]


def test_it_keeps_quiet_about_what_no_rule_names() -> None:
    transition = _happened("opened", severity="medium")
    assert decide([transition], [RULE], Past()).silent == {transition.transition_id}


def test_it_does_not_tell_again_what_was_told() -> None:
    finding = uuid.uuid4()
    again = [_happened("resolved", finding=finding), _happened("reopened", finding=finding)]
    decision = decide(again, [RULE], Past(told=frozenset({finding})))
    assert decision.drafts == ()
    assert decision.silent == {transition.transition_id for transition in again}


def test_it_tells_no_recovery_while_another_told_item_is_open() -> None:
    gone, left = uuid.uuid4(), uuid.uuid4()
    resolved = _happened("resolved", item="x", finding=gone)
    past = Past(told=frozenset({gone, left}), unresolved={resolved.place: frozenset({left})})
    assert decide([resolved], [RULE], past).drafts == ()


def test_it_tells_no_recovery_when_the_same_check_fails_anew() -> None:
    gone = uuid.uuid4()
    decision = decide(
        [_happened("resolved", item="x", finding=gone), _happened("opened", item="y")],
        [RULE],
        Past(told=frozenset({gone})),
    )
    assert [draft.kind for draft in decision.drafts] == ["problem"]


_any_transition = st.builds(
    _happened,
    st.sampled_from(["opened", "reopened", "resolved"]),
    host=st.integers(1, 4),
    check=st.sampled_from("abcdefghij"),
    item=st.sampled_from(["", "x"]),
    severity=st.sampled_from(["high", "low"]),
)


@given(st.lists(_any_transition, max_size=40), st.integers(0, 8))
def test_it_puts_each_transition_in_one_place_and_never_exceeds_the_hour(happened: list[Transition], used: int) -> None:
    happened = sorted(happened, key=lambda each: each.transition_id)
    decision = decide(happened, [RULE], Past(mails={("high", "problem"): used}))
    told = [each.transition_id for draft in decision.drafts for each in draft.transitions]
    places = told + sorted(decision.silent) + sorted(decision.suppressed)
    assert len(places) == len(set(places))
    assert set(places) <= {each.transition_id for each in happened}
    assert len(decision.drafts) <= max(0, RULE.mails_per_hour - used)
    if used < RULE.mails_per_hour:
        assert len(places) == len(happened)
