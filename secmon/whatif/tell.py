"""What would change, for people: check by check, machines below, with how many where there are too many to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from secmon.evaluate.model import Language, Text
from secmon.evaluate.ruleset import RuleSet
from secmon.notify.text import one_line
from secmon.reasons import sentence
from secmon.whatif.compare import Change

MAX_MACHINES: Final = 20
"""Shown below one change of one check; `--json` has them all."""
MAX_ITEMS: Final = 5
_MAX_TEXT: Final = 200
_BORNE: Final = Text(ja="（例外措置・誤検知：{numbers}）", en="(covered by {numbers})")
STATUS: Final[Mapping[str | None, Text]] = {
    "pass": Text(ja="適合", en="pass"),
    "fail": Text(ja="要対応", en="fail"),
    "unknown": Text(ja="確認不能", en="unknown"),
    "not_applicable": Text(ja="対象外", en="not applicable"),
    "excepted": Text(ja="例外", en="excepted"),
    None: Text(ja="項目なし", en="no such check"),
}
_WORDS: Final[Mapping[str, Text]] = {
    "head": Text(
        ja="規則 {old} → {new}：{machines} 台のうち {touched} 台で答えが変わります（項目 {checks}）",
        en="rules {old} → {new}: {touched} of {machines} machines would answer otherwise ({checks} checks)",
    ),
    "same": Text(
        ja="規則 {old} → {new}：{machines} 台すべてで答えは変わりません。",
        en="rules {old} → {new}: none of {machines} machines would answer otherwise",
    ),
    "count": Text(ja="  {before} → {after}：{n} 台", en="  {before} → {after}: {n} machines"),
    "more": Text(ja="    ほか {n} 台（--json で全件）", en="    and {n} more (--json lists all)"),
}


def report(changes: Sequence[Change], old: RuleSet, new: RuleSet, machines: int, language: Language) -> Iterator[str]:
    """Lines, none longer than what a machine's texts allow."""

    def words(name: str, **values: object) -> str:
        return _WORDS[name].of(language).format(old=old.version, new=new.version, machines=machines, **values)

    if not changes:
        yield words("same")
        return
    touched, checks = len({change.host for change in changes}), len({change.check for change in changes})
    yield words("head", touched=touched, checks=checks)
    for id_, of_check in groupby(sorted(changes, key=_order), key=lambda change: change.check):
        check = new.checks.get(id_) or old.checks[id_]
        yield f"{id_}  {check.title.of(language)}"
        for (before, after), group in groupby(of_check, key=_standings):
            those = list(group)
            yield words("count", before=STATUS[before].of(language), after=STATUS[after].of(language), n=len(those))
            yield from (f"    {_machine(change, language)}" for change in those[:MAX_MACHINES])
            if len(those) > MAX_MACHINES:
                yield words("more", n=len(those) - MAX_MACHINES)


def _order(change: Change) -> tuple[str, str, str, str]:
    before, after = _standings(change)
    return change.check, before or "", after or "", change.host


def _standings(change: Change) -> tuple[str | None, str | None]:
    return change.before_counts_as or change.before, change.after_counts_as or change.after


def _machine(change: Change, language: Language) -> str:
    signs = [f"+{key}" for key in change.opened] + [f"-{key}" for key in change.closed]
    if len(signs) > MAX_ITEMS:
        signs = [*signs[:MAX_ITEMS], f"… {len(signs)}"]
    why = sentence(change.reason, language) if change.after == "unknown" and change.reason else ""
    borne = _BORNE.of(language).format(numbers=" ".join(change.exceptions)) if change.exceptions else ""
    return one_line("  ".join(filter(None, (change.host, " ".join(signs), borne, why))), _MAX_TEXT)
