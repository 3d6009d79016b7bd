"""Why a check answers as it does for one machine: conditions, the facts they read, the limits in force, the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Final

from msgspec import Struct

from secmon.evaluate.check import Check
from secmon.evaluate.judge import judge
from secmon.evaluate.lifecycle import Lifecycle
from secmon.evaluate.model import Language, Machine, Text, Verdict
from secmon.evidence import evidence_line
from secmon.notify.text import one_line
from secmon.reasons import sentence
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
    zone: str | None
    attributes: Mapping[str, str]
    """Those the office gave, where a condition reads any of them."""
    facts: tuple[ReadFact, ...]
    facts_left_out: int
    observed_at: datetime | None
    answer: Verdict


def explain(check: Check, host: str, machine: Machine, now: datetime, lifecycle: Lifecycle) -> Explanation:
    read = [fact for path in sorted(check.paths) for fact in read_facts(path, machine)]
    conditions = _conditions(check)
    reads_attributes = any("attributes" in text for text in conditions.values())
    return Explanation(
        check=check.id,
        host=host,
        title=check.title,
        conditions=conditions,
        limits={name: limit.of(machine.zone) for name, limit in check.limits.items()},
        zone=machine.zone,
        attributes=machine.attributes if reads_attributes else {},
        facts=tuple(read[:MAX_VALUES]),
        facts_left_out=max(0, len(read) - MAX_VALUES),
        observed_at=machine.observed_at,
        answer=judge(check, machine, now, lifecycle),
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
    "limits": Text(ja="この機器の基準値", en="limits for this machine"),
    "attributes": Text(ja="登録されている属性", en="what the office says of it"),
    "facts": Text(ja="読み取った値", en="facts that were read"),
    "unread": Text(ja="（読み取れていません）", en="(not determined)"),
    "more": Text(ja="ほか {n} 件", en="and {n} more"),
    "answer": Text(ja="答え", en="answer"),
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
    seen = given.observed_at
    when = f"{seen.astimezone(time_zone):%Y-%m-%d %H:%M}" if seen else word("never")
    yield f"{word('observed')}: {when}"
    yield f"{word('conditions')}:"
    yield from (f"  {word(name)}: {source}" for name, source in given.conditions.items())
    yield from _pairs(word("limits"), given.limits)
    yield from _pairs(word("attributes"), given.attributes)
    if given.facts:
        yield f"{word('facts')}:"
        yield from (f"  {fact.path} = {word('unread') if fact.value is None else fact.value}" for fact in given.facts)
    if given.facts_left_out:
        yield f"  {word('more').format(n=given.facts_left_out)}"
    yield from _answer(given.answer, language)


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
