"""The comparison for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Final

from secmon.evaluate.model import Language, Text
from secmon.notify.text import one_line
from secmon.wsus.compare import Compared, Reason

MAX_SHOWN: Final = 8
REASONS: Final[Mapping[Reason, Text]] = {
    "unapproved": Text(ja="WSUS で未承認のため、端末には提供されていません", en="not approved, so it is not offered"),
    "definitions": Text(
        ja="ウイルス定義の更新です（secmon は別に数えます）", en="antimalware definitions, which secmon counts apart"
    ),
    "driver": Text(ja="ドライバーです（secmon は数えません）", en="a driver, which secmon does not count"),
    "reboot_pending": Text(ja="適用済みで、再起動を待っています", en="installed, waits for a restart"),
    "wsus_heard_earlier": Text(
        ja="WSUS が端末から受けた報告のほうが古い情報です", en="what the WSUS heard from the machine is older"
    ),
    "secmon_heard_earlier": Text(
        ja="端末の更新の確認のほうが古い情報です", en="the machine's last search for updates is older"
    ),
    "other_source": Text(
        ja="この端末は WSUS ではなくインターネットに更新を問い合わせています", en="it asks Microsoft, not the WSUS"
    ),
    "hidden": Text(ja="端末で非表示にされています", en="hidden on the machine"),
    "wsus_unknown": Text(ja="WSUS は状態の報告を受けていません", en="the WSUS has had no report of it"),
    "unexplained": Text(ja="理由は分かりません", en="no reason is known"),
}
_WORDS: Final[Mapping[str, Text]] = {
    "both": Text(
        ja="{host}：secmon {ours} 件、WSUS {theirs} 件（確認 {searched}、WSUS への報告 {reported}）",
        en="{host}: secmon {ours}, WSUS {theirs} (searched {searched}, WSUS heard {reported})",
    ),
    "reboot": Text(ja="  再起動待ちです", en="  waits for a restart"),
    "wsus": Text(ja="WSUS のみ", en="only WSUS"),
    "secmon": Text(ja="secmon のみ", en="only secmon"),
    "more": Text(ja="    ほか {n} 件", en="    and {n} more"),
    "no_wsus": Text(
        ja="{host}：WSUS に登録がありません（secmon {ours} 件）", en="{host}: not in the WSUS (secmon {ours})"
    ),
    "no_secmon": Text(
        ja="{host}：secmon に登録がありません（WSUS {theirs} 件）", en="{host}: not in secmon (WSUS {theirs})"
    ),
    "sum": Text(
        ja="{n} 台：一致 {same}、相違 {differ}、WSUS に登録なし {no_wsus}、secmon に登録なし {no_secmon}、"
        "比較できない {unknown}",
        en="{n} machines: {same} agree, {differ} differ, {no_wsus} not in the WSUS, {no_secmon} not in secmon, "
        "{unknown} cannot be compared",
    ),
    "never": Text(ja="なし", en="never"),
    "unknown": Text(ja="不明", en="unknown"),
}


def report(found: Sequence[Compared], language: Language, zone: tzinfo) -> Iterator[str]:
    for each in found:
        yield from _machine(each, language, zone)
    kinds = Counter(_kind(each) for each in found)
    yield _say(
        "sum", language, n=len(found), same=kinds["same"], differ=kinds["differ"], no_wsus=kinds["no_wsus"],
        no_secmon=kinds["no_secmon"], unknown=kinds["unknown"],
    )  # fmt: skip


def _kind(each: Compared) -> str:
    if not each.wsus_name:
        return "no_wsus"
    if not each.host:
        return "no_secmon"
    if each.secmon_count is None:
        return "unknown"
    return "differ" if each.differences else "same"


def _machine(each: Compared, language: Language, zone: tzinfo) -> Iterator[str]:
    ours = _say("unknown", language) if each.secmon_count is None else each.secmon_count
    kind = _kind(each)
    if kind in ("no_wsus", "no_secmon"):
        name = one_line(each.host or each.wsus_name)
        yield _say(kind, language, host=name, ours=ours, theirs=each.wsus_count)
        return
    yield _say(
        "both", language, host=one_line(each.host), ours=ours, theirs=each.wsus_count,
        searched=_when(each.searched_at, language, zone), reported=_when(each.wsus_reported_at, language, zone),
    )  # fmt: skip
    if each.reboot_pending:
        yield _say("reboot", language)
    groups: dict[tuple[str, Reason], list[str]] = {}
    for difference in each.differences:
        groups.setdefault((difference.only, difference.reason), []).append(one_line(difference.update, 64))
    for (only, reason), updates in sorted(groups.items()):
        yield f"  {_say(only, language)}: {REASONS[reason].of(language)}"
        yield f"    {' '.join(updates[:MAX_SHOWN])}"
        if len(updates) > MAX_SHOWN:
            yield _say("more", language, n=len(updates) - MAX_SHOWN)


def _when(moment: datetime | None, language: Language, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" if moment else _say("never", language)


def _say(name: str, language: Language, **values: object) -> str:
    return _WORDS[name].of(language).format(**values)
