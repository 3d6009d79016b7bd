"""Deciding, pure: transitions, rules and the past in, drafts out. A mail is due where it changes what was last told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from secmon.alerts.model import (
    FLAPPING_CHANGES,
    AlertRule,
    Decision,
    Draft,
    Kind,
    Past,
    Place,
    Transition,
)

OPENINGS = ("opened", "reopened")


class _Sifted(Struct, kw_only=True):
    """Transitions of one rule, by what becomes of them."""

    news: dict[Kind, list[Transition]]
    silent: set[int]
    suppressed: set[int]


def decide(transitions: Sequence[Transition], rules: Sequence[AlertRule], past: Past) -> Decision:
    """`transitions` in the order in which they happened."""
    assigned: dict[str, list[Transition]] = {rule.id: [] for rule in rules}
    silent: set[int] = set()
    suppressed: set[int] = set()
    for transition in transitions:
        rule = next((rule for rule in rules if rule.matches(transition)), None)
        if rule is None:
            silent.add(transition.transition_id)
        else:
            assigned[rule.id].append(transition)
    drafts: list[Draft] = []
    for rule in rules:
        sifted = _sift(rule, assigned[rule.id], past)
        silent |= sifted.silent
        suppressed |= sifted.suppressed
        for kind, news in sifted.news.items():
            drafts += _drafts(rule, kind, news, past)
    return Decision(drafts=tuple(drafts), silent=frozenset(silent), suppressed=frozenset(suppressed))


def _sift(rule: AlertRule, transitions: Iterable[Transition], past: Past) -> _Sifted:
    sifted = _Sifted(news=defaultdict(list), silent=set(), suppressed=set())
    places: dict[Place, list[Transition]] = defaultdict(list)
    for transition in transitions:
        if transition.cause == "baseline":
            sifted.news["new_machines"].append(transition)
        elif transition.event in OPENINGS and _is_past(rule, transition, past):
            sifted.silent.add(transition.transition_id)
        elif transition.cause == "rules":
            sifted.news["rules"].append(transition)
        else:
            places[transition.place].append(transition)
    for place, happened in places.items():
        if past.flips.get(place, 0) > FLAPPING_CHANGES:
            _sift_flapping(sifted, happened, told=place in past.flapping_told)
        else:
            _sift_place(sifted, happened, past)
    return sifted


def _is_past(rule: AlertRule, opened: Transition, past: Past) -> bool:
    """Somebody bears with it meanwhile, or it is over; a rule about resolutions, too, sees that for itself."""
    return opened.finding_id in past.covered or ("resolved" not in rule.events and opened.finding_id in past.resolved)


def _sift_flapping(sifted: _Sifted, happened: Sequence[Transition], *, told: bool) -> None:
    """The last change of each item waits: when it has calmed down, people are told if it stands otherwise than told."""
    waiting = {transition.item: transition for transition in happened}
    if not told:
        sifted.news["flapping"].append(waiting.pop(happened[-1].item))
    spared = {each.transition_id for each in (*sifted.news["flapping"], *waiting.values())}
    sifted.suppressed |= {each.transition_id for each in happened} - spared


def _sift_place(sifted: _Sifted, happened: Sequence[Transition], past: Past) -> None:
    """One check on one machine: only the state after all that happened counts, not the steps between."""
    last = {transition.item: transition for transition in happened}
    opened = [each for each in last.values() if each.event in OPENINGS and each.finding_id not in past.told]
    told = happened[0].place in past.told_places
    recovered = [each for each in last.values() if each.event == "resolved" and (told or each.finding_id in past.told)]
    if opened or past.unresolved.get(happened[0].place):
        recovered = []
    sifted.news["problem"] += opened
    sifted.news["recovery"] += recovered
    news = {transition.transition_id for transition in (*opened, *recovered)}
    sifted.silent |= {transition.transition_id for transition in happened} - news


def _drafts(rule: AlertRule, kind: Kind, news: Sequence[Transition], past: Past) -> list[Draft]:
    """Nothing while it has to wait; one for everything when there is more than this hour's mails allow."""
    room = rule.mails_per_hour - past.mails.get((rule.id, kind), 0)
    if not news or room <= 0 or (kind == "rules" and past.rejudging):
        return []
    if rule.urgency == "morning" and not past.office_hours:
        return []
    groups: Mapping[str, Sequence[Transition]] = {"all": news}
    if rule.urgency == "immediate" and kind not in ("new_machines", "rules"):
        apart = _groups(news)
        groups = apart if len(apart) <= room else groups
    return [
        Draft(rule=rule, kind=kind, group=f"{kind}:{group}", transitions=tuple(members))
        for group, members in groups.items()
    ]


def _groups(news: Iterable[Transition]) -> dict[str, list[Transition]]:
    """By check where several machines have it in common, else by machine where it has several checks."""
    by_check: dict[str, list[Transition]] = defaultdict(list)
    for transition in news:
        by_check[transition.check_id].append(transition)
    alone = {check: members for check, members in by_check.items() if len({each.host_id for each in members}) == 1}
    by_host: dict[object, list[str]] = defaultdict(list)
    for check, members in alone.items():
        by_host[members[0].host_id].append(check)
    groups = {f"check:{check}": members for check, members in by_check.items() if check not in alone}
    for host, checks in by_host.items():
        name = f"check:{checks[0]}" if len(checks) == 1 else f"host:{host}"
        groups[name] = [transition for check in checks for transition in alone[check]]
    return groups
