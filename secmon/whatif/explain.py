"""Why a check answers as it does for one machine: conditions, the facts they read, the limits in force, the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Final

from msgspec import Struct

from secmon.evaluate.check import Check
from secmon.evaluate.judge import evaluate
from secmon.evaluate.model import Language, Machine, Standing, Text, Verdict
from secmon.evaluate.ruleset import RuleSet
from secmon.evidence import evidence_line
from secmon.exceptions.borne import Borne, borne, weighed
from secmon.exceptions.model import Register
from secmon.exceptions.reminders import KINDS
from secmon.notify.text import one_line
from secmon.reasons import sentence
from secmon.whatif.machines import Stored
from secmon.whatif.tell import STATUS

MAX_VALUES: Final = 60
"""Facts told for one check."""
_MAX_TEXT: Final = 300


class ReadFact(Struct, frozen=True, kw_only=True):
    """A fact that a condition of the check reads."""

    path: str
    """With the place in the list: `ports.listening[0].port`."""
    value: str | None
    """As text; None where the machine could not determine it, or did not report the section."""


class Explanation(Struct, frozen=True, kw_only=True):
    check: str
    host: str
    title: Text
    conditions: Mapping[str, str]
    """By their keys in the check file, as they stand there."""
    limits: Mapping[str, int | float]
    """As they hold for this machine."""
    written_limits: Mapping[str, int | float]
    """As they would hold without what the profile and the office change; only those that are others."""
    lists: Mapping[str, tuple[str, ...]]
    """As the office has them."""
    profile: str | None
    """The kind of machine that it is; None: none fits, and every check is asked."""
    note: str
    """Why the office changed this check, in its words."""
    zone: str | None
    attributes: Mapping[str, str]
    """Those the office gave, where a condition reads any of them."""
    facts: tuple[ReadFact, ...]
    facts_left_out: int
    observed_at: datetime | None
    answer: Verdict
    counts_as: Standing
    """Under the exceptions and disputes that hold now."""
    borne: tuple[Borne, ...] = ()


def explain(id_: str, stored: Stored, now: datetime, rules: RuleSet, register: Register, tz: tzinfo) -> Explanation:
    """Raises KeyError for a check that there is not."""
    machine = stored.machine
    tailored = rules.tailored(machine)
    check, override = tailored.checks[id_], rules.overrides.get(id_)
    read = [fact for path in sorted(check.paths) for fact in read_facts(path, machine)]
    conditions = _conditions(check)
    reads_attributes = any("attributes" in text for text in conditions.values())
    limits = {name: limit.of(machine.zone) for name, limit in check.limits.items()}
    written = {name: limit.of(machine.zone) for name, limit in rules.written[id_].limits.items()}
    (answer,) = evaluate(rules, machine, now, [id_])
    counts_as, covers = weighed(answer, stored.host_id, machine.attributes, register)
    return Explanation(
        check=check.id,
        host=stored.name,
        title=check.title,
        conditions=conditions,
        limits=limits,
        written_limits={name: number for name, number in written.items() if number != limits[name]},
        lists=check.lists,
        profile=tailored.profile.id if tailored.profile is not None else None,
        note=override.reason if override is not None else "",
        zone=machine.zone,
        attributes=machine.attributes if reads_attributes else {},
        facts=tuple(read[:MAX_VALUES]),
        facts_left_out=max(0, len(read) - MAX_VALUES),
        observed_at=machine.observed_at,
        answer=answer,
        counts_as=counts_as,
        borne=tuple(borne(item, record, tz) for item, record in sorted(covers.items())),
    )


def _conditions(check: Check) -> dict[str, str]:
    found = {
        "applies": check.applies,
        "items": check.items.condition if check.items else None,
        "key": check.key,
        "pass": check.pass_,
        "spared": check.spared,
        "requires_fresh": check.requires_fresh,
    }
    return {name: condition.source for name, condition in found.items() if condition is not None}


def read_facts(path: str, machine: Machine) -> Iterator[ReadFact]:
    """The values at `path` (`ports.listening[].port`): one for each element of the lists on its way."""
    section, _, rest = path.partition(".")
    state = machine.sections.get(section)
    facts = state.facts if state is not None and state.status == "ok" else None
    if facts is None:
        yield ReadFact(path=path, value=None)
        return
    yield from _below(facts, rest.split("."), section)


def _below(value: object, steps: list[str], shown: str) -> Iterator[ReadFact]:
    if not steps:
        yield ReadFact(path=shown, value=_text(value))
        return
    step, is_list = steps[0].removesuffix("[]"), steps[0].endswith("[]")
    inner = value.get(step) if isinstance(value, Mapping) else None
    if inner is None:
        yield ReadFact(path=".".join((shown, *steps)), value=None)
    elif not is_list:
        yield from _below(inner, steps[1:], f"{shown}.{step}")
    elif isinstance(inner, (list, tuple)):
        for at, element in enumerate(inner):
            yield from _below(element, steps[1:], f"{shown}.{step}[{at}]")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return f"[{len(value)}]"
    return "{…}" if isinstance(value, Mapping) else one_line(str(value), _MAX_TEXT)


# ── for people ────────────────────────────────────────────────────────────────────────────────────────────────────────

_WORDS: Final[Mapping[str, Text]] = {
    "host": Text(ja="機器", en="machine"),
    "zone": Text(ja="系統", en="zone"),
    "no_zone": Text(ja="未登録（最も厳しい基準値を使用）", en="none (the strictest limits hold)"),
    "observed": Text(ja="最後に確認した日時", en="last known to be so"),
    "never": Text(ja="報告なし", en="never"),
    "conditions": Text(ja="条件", en="conditions"),
    "applies": Text(ja="対象となる条件", en="applies where"),
    "items": Text(ja="調べる一覧", en="about each of"),
    "key": Text(ja="一覧の項目の名前", en="named by"),
    "pass": Text(ja="適合の条件", en="passes where"),
    "spared": Text(ja="不適合としない条件", en="spared where"),
    "requires_fresh": Text(ja="情報の新しさの条件", en="fresh where"),
    "profile": Text(ja="プロファイル", en="profile"),
    "no_profile": Text(ja="なし（すべての項目を調べます）", en="none (every check is asked)"),
    "written": Text(ja="（変更前は {number}）", en=" (written: {number})"),
    "note": Text(ja="変更の理由", en="why the office changed it"),
    "lists": Text(ja="参照する一覧", en="lists"),
    "limits": Text(ja="この機器の基準値", en="limits for this machine"),
    "attributes": Text(ja="登録されている属性", en="what the office says of it"),
    "facts": Text(ja="読み取った値", en="facts that were read"),
    "unread": Text(ja="（読み取れていません）", en="(not determined)"),
    "more": Text(ja="ほか {n} 件", en="and {n} more"),
    "answer": Text(ja="答え", en="answer"),
    "counts_as": Text(ja="集計での扱い", en="counts as"),
    "until": Text(ja="{day} まで", en="until {day}"),
    "reason": Text(ja="理由", en="reason"),
    "evidence": Text(ja="根拠", en="evidence"),
    "item": Text(ja="該当する項目", en="items"),
}


def told(explanation: Explanation, language: Language, time_zone: tzinfo) -> Iterator[str]:
    """Lines for a terminal. Nothing in them that a machine sent can steer it."""

    def word(name: str) -> str:
        return _WORDS[name].of(language)

    given = explanation
    yield f"{given.check}  {given.title.of(language)}"
    yield f"{word('host')}: {given.host}    {word('zone')}: {given.zone or word('no_zone')}"
    yield f"{word('profile')}: {given.profile or word('no_profile')}"
    seen = given.observed_at
    when = f"{seen.astimezone(time_zone):%Y-%m-%d %H:%M}" if seen else word("never")
    yield f"{word('observed')}: {when}"
    yield f"{word('conditions')}:"
    yield from (f"  {word(name)}: {source}" for name, source in given.conditions.items())
    yield from _pairs(word("limits"), _compared(given, word("written")))
    if given.note:
        yield f"{word('note')}: {one_line(given.note, _MAX_TEXT)}"
    yield from _pairs(word("lists"), {name: ", ".join(entries) for name, entries in given.lists.items()})
    yield from _pairs(word("attributes"), given.attributes)
    if given.facts:
        yield f"{word('facts')}:"
        yield from (f"  {fact.path} = {word('unread') if fact.value is None else fact.value}" for fact in given.facts)
    if given.facts_left_out:
        yield f"  {word('more').format(n=given.facts_left_out)}"
    yield from _answer(given.answer, language)
    if given.borne:
        yield f"{word('counts_as')}: {STATUS[given.counts_as].of(language)}"
        yield from (f"  {_covered(each, language)}" for each in given.borne)


def _covered(each: Borne, language: Language) -> str:
    """`tcp/23  例外措置 2026-E01（総務課長、2027-03-31 まで）  理由`."""
    kind = KINDS[each.kind].of(language)
    who = [each.approver, _WORDS["until"].of(language).format(day=each.until.isoformat())]
    within = ("、" if language == "ja" else ", ").join(filter(None, who))
    told = f"{kind} {each.number}（{within}）" if language == "ja" else f"{kind} {each.number} ({within})"
    return one_line("  ".join(filter(None, (each.item, told, each.reason))), _MAX_TEXT)


def _compared(given: Explanation, written: str) -> Mapping[str, str]:
    """The limits, with what they were where they are others."""
    before = {name: written.format(number=number) for name, number in given.written_limits.items()}
    return {name: f"{number}{before.get(name, '')}" for name, number in given.limits.items()}


def _pairs(title: str, values: Mapping[str, object]) -> Iterator[str]:
    if values:
        yield f"{title}:"
        yield from (f"  {name} = {one_line(str(value), _MAX_TEXT)}" for name, value in values.items())


def _answer(answer: Verdict, language: Language) -> Iterator[str]:
    yield f"{_WORDS['answer'].of(language)}: {STATUS[answer.status].of(language)}"
    if answer.reason:
        yield f"{_WORDS['reason'].of(language)}: {one_line(sentence(answer.reason, language), _MAX_TEXT)}"
    if answer.evidence:
        yield f"{_WORDS['evidence'].of(language)}: {one_line(evidence_line(answer.evidence, language), _MAX_TEXT)}"
    if answer.items:
        yield f"{_WORDS['item'].of(language)}:"
        for item in answer.items[:MAX_VALUES]:
            why = sentence(item.reason, language) if item.reason else evidence_line(item.evidence, language)
            yield f"  {one_line(item.key)}  {STATUS[item.status].of(language)}  {one_line(why, _MAX_TEXT)}".rstrip()
        if len(answer.items) > MAX_VALUES:
            yield f"  {_WORDS['more'].of(language).format(n=len(answer.items) - MAX_VALUES)}"
