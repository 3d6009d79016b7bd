"""Every kind of mail as a person reads it, compared with `tests/golden/mail/`.

After a wanted change of wording: `SECMON_UPDATE_GOLDEN=1 python -m pytest tests/secmon/notify/test_golden_mails.py`,
and read the difference aloud before committing it.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from secmon.evaluate.model import Language
from secmon.japanese import width
from secmon.notify.render import render
from secmon.notify.view import Affected, Change, Clause, MachineCard, Mail, NewMachine, RulesNews, Topic

GOLDEN = Path(__file__).parents[2] / "golden" / "mail"
AT = datetime(2026, 11, 22, 23, 5, tzinfo=UTC)
TEXTS: dict[Language, dict[str, str | tuple[str, ...]]] = {
    "ja": {
        "title": "ウイルス対策の定義ファイル",
        "why": "新しいウイルスを見つけられず、感染しても気付けません。",
        "steps": (
            "端末をネットワークにつないだまま、30分ほど待ってください。",
            "ウイルス対策ソフトの画面を開き、「更新」を押してください。",
            "更新できないときは、画面に出ている番号を控えて連絡先へお知らせください。",
        ),
        "caution": "感染が疑われるときは、電源を切ったり再起動したりしないでください（記録が失われます）。",
        "other": "画面ロックの設定",
        "framework": "地方公共団体における情報セキュリティポリシーに関するガイドライン（総務省）（令和7年3月版）",
        "evidence": "定義の日付 2026-11-15",
    },
    "en": {
        "title": "Antivirus signatures are recent",
        "why": "New malware is not recognised, and an infection goes unnoticed.",
        "steps": (
            "Leave the machine on the network for half an hour.",
            "Open the antivirus program and press Update.",
            "If it does not update, note the number it shows and call the contact below.",
        ),
        "caution": "If you suspect an infection, do not power off or restart, or traces are lost.",
        "other": "The screen locks by itself",
        "framework": "Guideline for information security policies of local governments (令和7年3月版)",
        "evidence": "signatures of 2026-11-15",
    },
}
CARD = MachineCard(
    name="PC-012", asset_number="R3-0012", department="町民課", location="本庁1階 窓口", zone="LGWAN接続系"
)


def _text(language: Language, name: str) -> str:
    value = TEXTS[language][name]
    assert isinstance(value, str)
    return value


def _affected(language: Language, number: int = 12, **other: object) -> Affected:
    card = msgspec.structs.replace(CARD, name=f"PC-{number:03}", asset_number=f"R3-{number:04}")
    since = AT + timedelta(minutes=number)
    plain = Affected(machine=card, since=since, due=since + timedelta(days=7), evidence=(_text(language, "evidence"),))
    return msgspec.structs.replace(plain, **other)


def _topic(language: Language, *affected: Affected, title: str = "title") -> Topic:
    steps = TEXTS[language]["steps"]
    assert isinstance(steps, tuple)
    return Topic(
        title=_text(language, title),
        severity="high",
        why=_text(language, "why"),
        steps=steps,
        cautions=(_text(language, "caution"),),
        clauses=(
            Clause(framework=_text(language, "framework"), control="6.4(1)", verified=False),
            Clause(framework=_text(language, "framework"), control="6.1(13)", verified=True),
        ),
        affected=affected or (_affected(language),),
    )


def _newcomer(number: int) -> NewMachine:
    worst = ("画面ロックの設定",) if number % 2 else ()
    card = MachineCard(name=f"PC-{number:03}", zone="LGWAN接続系")
    return NewMachine(machine=card, high=len(worst), medium=3, low=number, unknown=2, worst=worst)


def _mail(language: Language, **what: object) -> Mail:
    tz = ZoneInfo("Asia/Tokyo")
    plain = Mail(kind="problem", language=language, office="北の町役場", contact="総務課 情報担当", time_zone=tz)
    return msgspec.structs.replace(plain, **what)


def _mails(language: Language) -> dict[str, Mail]:
    def quiet(number: int) -> Affected:
        return _affected(language, number, evidence=(), due=None)

    twelve = [_affected(language, number) for number in range(1, 13)]
    both = (_topic(language), _topic(language, title="other"))
    flapping = (_topic(language, quiet(12), msgspec.structs.replace(quiet(13), failing=False)),)
    changes = tuple(
        Change(title=_text(language, name), opened=n, resolved=1) for n, name in enumerate(("title", "other"))
    )
    return {
        "problem": _mail(language, topics=(_topic(language),)),
        "problem-again": _mail(language, topics=(_topic(language, _affected(language, again=True)),)),
        "problem-twelve": _mail(language, topics=(_topic(language, *twelve),)),
        "problem-two-checks": _mail(language, topics=both),
        "recovery": _mail(language, kind="recovery", topics=(_topic(language, quiet(12)),)),
        "flapping": _mail(language, kind="flapping", topics=flapping),
        "new-machine": _mail(language, kind="new_machines", newcomers=(_newcomer(1),)),
        "new-machines": _mail(language, kind="new_machines", newcomers=tuple(_newcomer(n) for n in range(1, 36))),
        "rules": _mail(language, kind="rules", ruleset="0123456789ab", changes=changes),
        "rules-upgrade": _mail(language, kind="rules", ruleset="0123456789ab", changes=changes, news=_news(language)),
        "rules-without-effect": _mail(language, kind="rules", ruleset="0123456789ab"),
    }


def _news(language: Language) -> RulesNews:
    other = {"ja": "画面ロックの設定（基準値）  lock_s (default): 900 → 600", "en": "Screen lock (limits)"}
    return RulesNews(
        is_upgrade=True,
        added=tuple(f"{_text(language, 'title')} {number}" for number in range(1, 13)),
        changed=(other[language],),
        misfits=("/var/lib/secmon/rules/overrides/joho.yaml:3",),
    )


NAMES = list(_mails("ja"))


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_the_golden_mail_says(name: str, language: Language) -> None:
    rendered = render(_mails(language)[name])
    text = f"{rendered.subject}\n\n{rendered.text}"
    file = GOLDEN / f"{name}.{language}.txt"
    if os.environ.get("SECMON_UPDATE_GOLDEN"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("name", NAMES)
def test_it_stays_within_the_width_of_a_mail(name: str, language: Language) -> None:
    for line in render(_mails(language)[name]).text.splitlines():
        assert width(line) <= 78, line


def test_it_stays_short_whatever_the_number() -> None:
    many = [_affected("ja", number) for number in range(500)]
    mail = _mail("ja", topics=tuple(_topic("ja", *many) for _ in range(40)))
    rendered = render(mail)
    assert len(rendered.text.splitlines()) < 1000
    assert rendered.subject == "[要対応][LGWAN接続系] 500台 ウイルス対策の定義ファイル ほか39件"


def test_it_has_no_golden_mail_that_nobody_compares() -> None:
    assert {file.name for file in GOLDEN.glob("*.txt")} == {
        f"{name}.{each}.txt" for name in NAMES for each in ("ja", "en")
    }
