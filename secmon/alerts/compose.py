"""From a draft to what its mail says: the rule's texts, the machines, the due dates."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy.engine import Connection

from secmon.alerts import cards
from secmon.alerts.decide import OPENINGS
from secmon.alerts.model import AlertRule, Draft, Transition
from secmon.config import Config
from secmon.evaluate.catalogue import Difference
from secmon.evaluate.model import Language
from secmon.evaluate.ruleset import RuleSet
from secmon.evidence import evidence_line
from secmon.ledger.gaps import described
from secmon.notify.text import one_line
from secmon.notify.view import Affected, Change, Clause, MachineCard, Mail, NewMachine, RulesNews, Topic
from secmon.rules_news import summary
from secmon.store.rulesets import difference_over

MAX_EVIDENCE: Final = 5
"""Items named for one machine; the others are counted."""
MAX_NEWS: Final = 200
"""Characters of one line about other rules."""
MAX_WORST: Final = 3
"""Failing checks named for a new machine."""

Clauses = Callable[[str, Sequence[str], Language], tuple[Clause, ...]]
"""Where a check is asked for, by these frameworks."""


class Context(Struct, frozen=True, kw_only=True):
    """What composing may look at besides the draft."""

    config: Config
    rules: RuleSet
    clauses: Clauses
    cards: Mapping[uuid.UUID, MachineCard] = {}
    assets: Mapping[str, MachineCard] = {}
    """By asset number, of machines that are known from the ledger alone."""
    due: Mapping[uuid.UUID, datetime] = {}
    """By finding."""
    lapsed: Mapping[uuid.UUID, str] = {}
    """Number of the exception whose time is over, by finding."""
    newcomers: Mapping[uuid.UUID, NewMachine] = {}
    difference: Difference | None = None
    """Between the rules that the drafts tell of and those before."""

    def title(self, check_id: str, language: Language) -> str:
        check = described(self.rules, check_id)
        return check.title.of(language) if check else check_id

    def card(self, transition: Transition) -> MachineCard:
        host_id = transition.host_id
        known = self.cards.get(host_id) if host_id else self.assets.get(transition.item)
        return known or MachineCard(name="?")


def read_context(
    connection: Connection, config: Config, rules: RuleSet, clauses: Clauses, drafts: Sequence[Draft]
) -> Context:
    """Everything that these drafts need, in a handful of queries."""
    of = {draft.kind: _hosts(drafts, draft.kind) for draft in drafts}
    everyone = frozenset().union(*of.values())
    known = cards.machine_cards(connection, config, everyone)
    bare = Context(config=config, rules=rules, clauses=clauses)
    languages = {draft.kind: language_of(draft.rule, config) for draft in drafts}
    newcomers = of.get("new_machines", frozenset())
    return Context(
        config=config,
        rules=rules,
        clauses=clauses,
        cards=known,
        assets=cards.asset_cards(connection, config, _asset_numbers(drafts)),
        due=cards.due_dates(connection, of.get("problem", frozenset())),
        lapsed=cards.lapsed_exceptions(connection, _reopened(drafts)),
        newcomers=_newcomers(connection, bare, known, newcomers, languages.get("new_machines", "ja")),
        difference=_difference(connection, drafts),
    )


def language_of(rule: AlertRule, config: Config) -> Language:
    return rule.language or config.office.language


def compose(draft: Draft, context: Context) -> Mail:
    office, language = context.config.office, language_of(draft.rule, context.config)
    topics: tuple[Topic, ...] = ()
    newcomers: tuple[NewMachine, ...] = ()
    changes: tuple[Change, ...] = ()
    ruleset, news, follows = "", None, True
    if draft.kind == "new_machines":
        newcomers = _worst_first(context, draft.transitions)
    elif draft.kind == "rules":
        ruleset = next((each.evidence for each in reversed(draft.transitions) if each.event == "ruleset"), "")
        changes = _changes(context, draft.transitions, language)
        news = _news(context.difference, language) if ruleset and context.difference is not None else None
    else:
        topics = _topics(context, draft, language)
        follows = "resolved" in draft.rule.events
    return Mail(
        kind=draft.kind,
        language=language,
        office=one_line(office.name),
        contact=one_line(office.contact),
        time_zone=context.config.tz,
        topics=topics,
        follows=follows,
        newcomers=newcomers,
        ruleset=one_line(ruleset),
        news=news,
        changes=changes,
    )


def _topics(context: Context, draft: Draft, language: Language) -> tuple[Topic, ...]:
    """Most machines first."""
    by_check: dict[str, list[Transition]] = defaultdict(list)
    for transition in draft.transitions:
        by_check[transition.check_id].append(transition)
    topics = [_topic(context, draft, check_id, members, language) for check_id, members in by_check.items()]
    return tuple(sorted(topics, key=lambda topic: -len(topic.affected)))


def _topic(context: Context, draft: Draft, check_id: str, members: Sequence[Transition], language: Language) -> Topic:
    by_host: dict[uuid.UUID | str, list[Transition]] = defaultdict(list)
    for transition in members:
        by_host[transition.host_id or transition.item].append(transition)
    affected = tuple(_affected(context, draft, of_host, language) for of_host in by_host.values())
    check = described(context.rules, check_id)
    if check is None:  # the rules changed since
        return Topic(title=check_id, severity=members[0].severity, affected=affected)
    return Topic(
        title=check.title.of(language),
        severity=members[0].severity,
        why=check.why.of(language),
        steps=tuple(check.fix[language]),
        cautions=tuple(each.text.of(language) for each in draft.rule.cautions if check.area in each.areas),
        clauses=context.clauses(check_id, draft.rule.frameworks, language),
        affected=affected,
    )


def _affected(context: Context, draft: Draft, members: Sequence[Transition], language: Language) -> Affected:
    due = [context.due[each.finding_id] for each in members if each.finding_id and each.finding_id in context.due]
    return Affected(
        machine=context.card(members[0]),
        since=min(each.observed_at for each in members),
        due=min(due, default=None),
        evidence=_evidence(members, language) if draft.kind == "problem" else (),
        again=any(each.event == "reopened" and each.finding_id not in context.lapsed for each in members),
        lapsed=next(
            (context.lapsed[id_] for each in members if (id_ := each.finding_id) in context.lapsed and id_), ""
        ),
        failing=members[-1].event in OPENINGS,
    )


def _evidence(members: Sequence[Transition], language: Language) -> tuple[str, ...]:
    lines = list(dict.fromkeys(filter(None, (_line(each, language) for each in members))))
    if len(lines) > MAX_EVIDENCE:
        rest = len(lines) - MAX_EVIDENCE
        return (*lines[:MAX_EVIDENCE], f"ほか{rest}件" if language == "ja" else f"and {rest} more")
    return tuple(lines)


def _line(transition: Transition, language: Language) -> str:
    """The item, and what was read where that says more. The item of an asset stands on its card."""
    if transition.host_id is None:
        return ""
    item, evidence = one_line(transition.item, 80), one_line(evidence_line(transition.evidence, language), 160)
    if not item or item in evidence:
        return evidence
    return f"{item} ({evidence})" if evidence else item


def _worst_first(context: Context, transitions: Iterable[Transition]) -> tuple[NewMachine, ...]:
    hosts = dict.fromkeys(each.host_id for each in transitions if each.host_id is not None)
    found = [context.newcomers[host_id] for host_id in hosts]
    return tuple(sorted(found, key=lambda each: (-each.high, -each.medium, -each.low, each.machine.name)))


def _changes(context: Context, transitions: Iterable[Transition], language: Language) -> tuple[Change, ...]:
    """What changed most first."""
    counts = Counter((each.check_id, each.event == "resolved") for each in transitions if each.check_id)
    changes = [
        Change(title=context.title(check, language), opened=counts[check, False], resolved=counts[check, True])
        for check in dict.fromkeys(check for check, _ in counts)
    ]
    return tuple(sorted(changes, key=lambda change: (-change.opened, -change.resolved, change.title)))


def _difference(connection: Connection, drafts: Iterable[Draft]) -> Difference | None:
    versions = [
        each.evidence
        for draft in drafts
        if draft.kind == "rules"
        for each in draft.transitions
        if each.event == "ruleset"
    ]
    return difference_over(connection, versions) if versions else None


def _news(found: Difference, language: Language) -> RulesNews:
    return RulesNews(
        is_upgrade=found.shipped_changed,
        added=tuple(one_line(title.of(language)) for title in found.added.values()),
        gone=tuple(one_line(title.of(language)) for title in found.gone.values()),
        changed=tuple(one_line(summary(change, language), MAX_NEWS) for change in found.changed),
        misfits=tuple(one_line(_misfit(misfit, language), MAX_NEWS) for misfit in found.misfits),
    )


def _misfit(misfit: str, language: Language) -> str:
    """File and line, and in English the reason, which is written in no other language."""
    return misfit if language == "en" else misfit.partition(": ")[0]


def _hosts(drafts: Iterable[Draft], kind: str) -> frozenset[uuid.UUID]:
    return frozenset(
        each.host_id for draft in drafts if draft.kind == kind for each in draft.transitions if each.host_id is not None
    )


def _asset_numbers(drafts: Iterable[Draft]) -> frozenset[str]:
    return frozenset(each.item for draft in drafts for each in draft.transitions if each.host_id is None and each.item)


def _reopened(drafts: Iterable[Draft]) -> frozenset[uuid.UUID]:
    """Findings that are open again because time passed."""
    return frozenset(
        each.finding_id
        for draft in drafts
        for each in draft.transitions
        if each.finding_id is not None and (each.event, each.cause) == ("reopened", "time")
    )


def _newcomers(
    connection: Connection,
    context: Context,
    known: Mapping[uuid.UUID, MachineCard],
    hosts: frozenset[uuid.UUID],
    language: Language,
) -> dict[uuid.UUID, NewMachine]:
    if not hosts:
        return {}
    counts = cards.open_findings(connection, hosts)
    worst = cards.failing_checks(connection, hosts, "high")
    unknown = cards.unknown_answers(connection, hosts)
    return {
        host_id: NewMachine(
            machine=known[host_id],
            high=counts[host_id]["high"],
            medium=counts[host_id]["medium"],
            low=counts[host_id]["low"],
            unknown=unknown.get(host_id, 0),
            worst=tuple(context.title(check, language) for check in worst.get(host_id, [])[:MAX_WORST]),
        )
        for host_id in hosts
    }
