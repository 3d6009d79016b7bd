"""What other rules bring, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from secmon.evaluate.catalogue import Change, Difference
from secmon.evaluate.model import Language, Text
from secmon.notify.text import one_line

MAX_TEXT: Final = 300
ASPECTS: Final[Mapping[str, Text]] = {
    "condition": Text(ja="条件", en="condition"),
    "limits": Text(ja="基準値", en="limits"),
    "severity": Text(ja="重要度", en="severity"),
    "lists": Text(ja="一覧", en="lists"),
    "switched": Text(ja="調べるかどうか", en="whether it is asked"),
}
_WORDS: Final[Mapping[str, Text]] = {
    "upgrade": Text(
        ja="判定基準 {old} → {new}（付属の基準が変わりました）", en="rules {old} → {new}: other rules came with secmon"
    ),
    "office": Text(
        ja="判定基準 {old} → {new}（役場の基準の変更）", en="rules {old} → {new}: the office changed its own"
    ),
    "same": Text(ja="  判定に影響する違いはありません", en="  nothing that decides is different"),
    "added": Text(ja="  増えた項目：{n} 件", en="  {n} new checks"),
    "gone": Text(ja="  なくなった項目：{n} 件", en="  {n} checks are gone"),
    "changed": Text(ja="  変わった項目：{n} 件", en="  {n} checks are different"),
    "profiles": Text(ja="  変わったプロファイル：{names}", en="  different profiles: {names}"),
    "lifecycle": Text(ja="  サポート期限の情報が変わりました", en="  ends of support are different"),
    "misfits": Text(
        ja="  役場の基準のうち、使われていないもの：{n} 件",
        en="  {n} of the office's own rules fit nothing and are not used",
    ),
}


def told(found: Difference, language: Language) -> Iterator[str]:
    """Every change by its name; nothing is left out."""

    def word(name: str, **values: object) -> str:
        return _WORDS[name].of(language).format(**values)

    yield word("upgrade" if found.shipped_changed else "office", old=found.old, new=found.new)
    if found.is_empty:
        yield word("same")
    for name, checks in (("added", found.added), ("gone", found.gone)):
        if checks:
            yield word(name, n=len(checks))
            yield from (f"    {id_}  {title.of(language)}" for id_, title in checks.items())
    if found.changed:
        yield word("changed", n=len(found.changed))
        yield from (f"    {change.check}  {summary(change, language)}" for change in found.changed)
    if found.profiles:
        yield word("profiles", names=", ".join(found.profiles))
    if found.lifecycle:
        yield word("lifecycle")
    if found.misfits:
        yield word("misfits", n=len(found.misfits))
        yield from (f"    {one_line(misfit, MAX_TEXT)}" for misfit in found.misfits)


def summary(change: Change, language: Language) -> str:
    """What of a check is different, with the numbers."""
    joint = "、" if language == "ja" else ", "
    aspects = joint.join(ASPECTS[aspect].of(language) for aspect in change.aspects)
    return f"{change.title.of(language)}（{aspects}）{_details(change.details)}" if language == "ja" else (
        f"{change.title.of(language)} ({aspects}){_details(change.details)}"
    )  # fmt: skip


def _details(details: Sequence[str]) -> str:
    return f"  {'; '.join(details)}" if details else ""
