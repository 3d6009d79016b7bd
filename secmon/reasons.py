"""Reasons of an answer are stored in stable English; here they become a sentence for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from secmon.evaluate.model import STALE, Language, Text
from secmon.exceptions.model import DISPUTED
from secmon.fact_words import FIELDS, SECTIONS, field_title, section_title

_STATUS: Final[Mapping[str, Text]] = {
    "absent": Text(ja="この機器にはありません", en="is not on this machine"),
    "denied": Text(ja="権限が足りず読み取れません", en="cannot be read for want of permission"),
    "failed": Text(ja="読み取りに失敗しました", en="could not be read"),
    "unsupported": Text(ja="この OS では読み取りに未対応です", en="cannot be read on this system"),
    "undecodable": Text(ja="この版の secmon では読めない形式です", en="is of a shape that this version cannot read"),
}
_SECTION: Final = "|".join(SECTIONS)
_Sentence = Callable[[re.Match[str], Language], str]


def _never(match: re.Match[str], language: Language) -> str:
    title = section_title(match["section"], language)
    return f"「{title}」の報告がまだ届いていません。" if language == "ja" else f"“{title}” was never reported."


def _unreadable(match: re.Match[str], language: Language) -> str:
    title, status = section_title(match["section"], language), _STATUS[match["status"]].of(language)
    return f"「{title}」は、{status}。" if language == "ja" else f"“{title}” {status}."


def _stale(_: re.Match[str], language: Language) -> str:
    return "最後の報告が古いため、現在の状態が分かりません。" if language == "ja" else "The last report is too old."


_ATTRIBUTES: Final[Mapping[str, Text]] = {
    "zone": Text(ja="系統", en="zone"),
    "department": Text(ja="課", en="department"),
    "role": Text(ja="役割", en="role"),
    "location": Text(ja="設置場所", en="location"),
    "contact": Text(ja="担当", en="contact"),
    "department_code": Text(ja="部署コード", en="department code"),
    "owner": Text(ja="管理者（職名）", en="owner (a post)"),
}


def _not_told(match: re.Match[str], language: Language) -> str:
    """What only the office can say is nothing that a machine failed to tell."""
    name = match["name"]
    word = _ATTRIBUTES[name].of(language)
    command = f"secmon host set HOST --{name.replace('_', '-')} {name.upper()}"
    if language == "ja":
        return f"この機器の{word}がまだ登録されていません（登録するコマンド：{command}）。"
    return f"The office has not told secmon this machine's {word}: {command}"


def _judging_failed(match: re.Match[str], language: Language) -> str:
    error = match["error"]
    if language == "ja":
        return f"判定の途中で secmon に内部エラーが起きました（{error}）。secmon のログを確認してください。"
    return f"secmon itself failed while judging ({error}); see its log."


def _not_judged(_: re.Match[str], language: Language) -> str:
    return (
        "まだ判定できるだけの報告が届いていません。"
        if language == "ja"
        else "Nothing was reported that could be judged."
    )


def _undetermined(match: re.Match[str], language: Language) -> str:
    path = match["path"]
    section, name = path.split(".")[0], path.rpartition(".")[2]
    if section not in SECTIONS or name not in FIELDS:
        return f"機器から値を読み取れませんでした（{path}）。" if language == "ja" else f"Not determined: {path}."
    title, field = section_title(section, language), field_title(name, language)
    if language == "ja":
        return f"「{title}」の「{field}」を機器から読み取れませんでした（{path}）。"
    return f"“{title}: {field}” could not be determined ({path})."


def _not_fresh(match: re.Match[str], language: Language) -> str:
    path = match["path"]
    return f"判定の元になる情報が古くなっています（{path}）。" if language == "ja" else f"Not fresh enough: {path}."


def _not_applying(match: re.Match[str], language: Language) -> str:
    condition = match["condition"]
    return f"この機器は対象ではありません（条件：{condition}）。" if language == "ja" else f"Applies where {condition}."


def _no_end(match: re.Match[str], language: Language) -> str:
    product = match["product"]
    if language == "ja":
        return f"「{product}」のサポート期限の情報がありません。"
    return f"No end of support is known for {product}."


def _no_networks(_: re.Match[str], language: Language) -> str:
    if language == "ja":
        return "系統のアドレスの範囲が、secmon の設定（zones の networks）に書かれていません。"
    return "The configuration says of no zone which networks it has (zones.networks)."


def _no_address(_: re.Match[str], language: Language) -> str:
    return "機器が報告したアドレスの形式が読み取れません。" if language == "ja" else "An address is not legible."


def _future(match: re.Match[str], language: Language) -> str:
    day = match["day"]
    return f"機器の記録が未来の日付です（{day}）。" if language == "ja" else f"{day} lies in the future."


def _disputed(_: re.Match[str], language: Language) -> str:
    return (
        "誤検知として届け出があり、見直し中です。" if language == "ja" else "The answer is disputed and under review."
    )


def _not_asked(match: re.Match[str], language: Language) -> str:
    profile = match["profile"]
    if language == "ja":
        return f"この種類の機器（プロファイル：{profile}）では調べない項目です。"
    return f"Machines of the profile {profile} are not asked this."


def _switched_off(match: re.Match[str], language: Language) -> str:
    why = match["why"]
    return f"役場の判断で調べないことにしています（理由：{why}）。" if language == "ja" else f"Switched off here: {why}"


_SENTENCES: Final[tuple[tuple[re.Pattern[str], _Sentence], ...]] = (
    (re.compile(re.escape(STALE)), _stale),
    (re.compile(rf"(?P<section>{_SECTION}) never reported"), _never),
    (re.compile(rf"(?P<section>{_SECTION}) (?P<status>{'|'.join(_STATUS)})(?:: .*)?", re.DOTALL), _unreadable),
    (re.compile(rf"attributes\.(?P<name>{'|'.join(_ATTRIBUTES)}) not determined"), _not_told),
    (re.compile(r"(?P<path>\S+) not determined"), _undetermined),
    (re.compile(r"judging failed: (?P<error>\w+)"), _judging_failed),
    (re.compile(r"not judged"), _not_judged),
    (re.compile(DISPUTED), _disputed),
    (re.compile(r"not fresh: (?P<path>.+)"), _not_fresh),
    (re.compile(r"not asked by the profile (?P<profile>\S+)"), _not_asked),
    (re.compile(r"switched off by the office: (?P<why>.+)"), _switched_off),
    (re.compile(r"not: (?P<condition>.+)", re.DOTALL), _not_applying),
    (re.compile(r"no end of support is known for (?P<product>.+)"), _no_end),
    (re.compile(r"no zone has networks"), _no_networks),
    (re.compile(r"an address is none"), _no_address),
    (re.compile(r"(?P<day>\S+) lies in the future"), _future),
)


def sentence(reason: str, language: Language) -> str:
    """For people; a reason of a shape that is not known here stands as it is."""
    for pattern, tell in _SENTENCES:
        match = pattern.fullmatch(reason)
        if match is not None:
            return tell(match, language)
    return reason
