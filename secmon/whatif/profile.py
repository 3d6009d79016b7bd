"""What is asked of one machine: its profile, the checks that are not asked and why, the limits that are others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Final

from msgspec import Struct

from secmon.evaluate.model import Language, Machine, Text
from secmon.evaluate.ruleset import RuleSet
from secmon.notify.text import one_line
from secmon.reasons import sentence

_MAX_TEXT: Final = 300


class Shown(Struct, frozen=True, kw_only=True):
    host: str
    attributes: Mapping[str, str]
    observed_at: datetime | None
    profile: str | None
    """None: none fits, and every check is asked."""
    profile_title: Text | None
    checks: int
    """That are asked."""
    left_out: Mapping[str, str]
    """Checks that are not asked, with the reason."""
    limits: Mapping[str, Mapping[str, tuple[int | float, int | float]]]
    """By check and name: as it was written and as it holds, where they differ."""
    rules: str


def shown(host: str, machine: Machine, rules: RuleSet) -> Shown:
    tailored = rules.tailored(machine)
    limits: dict[str, dict[str, tuple[int | float, int | float]]] = {}
    for id_, check in tailored.checks.items():
        for name, limit in check.limits.items():
            before, now = rules.written[id_].limits[name].of(machine.zone), limit.of(machine.zone)
            if before != now:
                limits.setdefault(id_, {})[name] = (before, now)
    return Shown(
        host=host,
        attributes=machine.attributes,
        observed_at=machine.observed_at,
        profile=tailored.profile.id if tailored.profile is not None else None,
        profile_title=tailored.profile.title if tailored.profile is not None else None,
        checks=len(tailored.checks) - len(tailored.left_out),
        left_out=tailored.left_out,
        limits=limits,
        rules=rules.version,
    )


# ── for people ────────────────────────────────────────────────────────────────────────────────────────────────────────

_WORDS: Final[Mapping[str, Text]] = {
    "observed": Text(ja="最後に確認した日時", en="last known to be so"),
    "never": Text(ja="報告なし", en="never"),
    "profile": Text(ja="プロファイル", en="profile"),
    "none": Text(ja="なし（すべての項目を調べます）", en="none (every check is asked)"),
    "asked": Text(ja="調べる項目：{n} 件", en="{n} checks are asked"),
    "left_out": Text(ja="調べない項目：{n} 件", en="{n} checks are not asked"),
    "limits": Text(ja="変更した基準値（変更前 → 現在）", en="other limits (written → now)"),
}


def lines(shown_: Shown, language: Language, time_zone: tzinfo) -> Iterator[str]:
    """Lines for a terminal."""

    def word(name: str, **values: object) -> str:
        return _WORDS[name].of(language).format(**values)

    given, title = shown_, shown_.profile_title
    yield given.host
    yield from (f"  {name} = {one_line(value, _MAX_TEXT)}" for name, value in sorted(given.attributes.items()))
    seen = f"{given.observed_at.astimezone(time_zone):%Y-%m-%d %H:%M}" if given.observed_at else word("never")
    yield f"{word('observed')}: {seen}"
    yield f"{word('profile')}: {f'{given.profile}  {title.of(language)}' if title else word('none')}"
    yield word("asked", n=given.checks)
    if given.left_out:
        yield word("left_out", n=len(given.left_out))
        yield from (f"  {id_}  {sentence(reason, language)}" for id_, reason in given.left_out.items())
    if given.limits:
        yield word("limits")
        for id_, limits in given.limits.items():
            yield from (f"  {id_} {name}: {before} → {now}" for name, (before, now) in limits.items())
