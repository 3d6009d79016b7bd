"""What covers a guideline: checks, answers that somebody gave by hand, and where nothing does."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from secmon.app import now_utc
from secmon.attestations.words import ANSWERS, STATES
from secmon.commands.common import has_data, opened, say
from secmon.config import Config
from secmon.coverage import (
    AttestedCoverage,
    CheckCoverage,
    ControlCoverage,
    Coverage,
    Kept,
    Known,
    Totals,
    coverage,
    threats,
)
from secmon.errors import UsageError
from secmon.evaluate.model import STANDINGS, Language, Standing, Text
from secmon.rulebook import Rules, open_rulebook
from secmon.store.standings import what_is_known


def framework_show(options: Namespace, config: Config) -> int:
    rules = open_rulebook(config).rules
    known = {each.id: each for each in rules.frameworks}
    if options.id is not None and options.id not in known:
        raise UsageError(f"there is no framework {options.id!r}; there are {', '.join(known)}")
    wanted = [known[options.id]] if options.id is not None else list(known.values())
    language = config.office.language
    state = _known(rules, config)
    found = [coverage(each, state, language) for each in wanted]
    if options.json:
        say(msgspec.json.format(msgspec.json.encode(found), indent=1).decode())
        return 0
    for each in found:
        for line in _lines(each, language, in_full=options.id is not None):
            say(line)
    if not state.machines:
        say(_word("no_data", language))
    say(_word("honest", language))
    return 0


def framework_threats(options: Namespace, config: Config) -> int:
    rules = open_rulebook(config).rules
    language, state = config.office.language, _known(rules, config)
    told = {of: threats(of, state, language) for of in rules.threats}
    ids = sorted({each.id for covered in told.values() for each in covered})
    if options.id is not None and options.id not in ids:
        raise UsageError(f"there is no threat {options.id!r}; there are {', '.join(ids)}")
    if options.id is not None:
        told = {of: tuple(each for each in covered if each.id == options.id) for of, covered in told.items()}
    if options.json:
        plain = [
            {"id": of.id, "title": of.title.of(language), "verified": of.verified, "threats": covered}
            for of, covered in told.items()
        ]
        say(msgspec.json.format(msgspec.json.encode(plain), indent=1).decode())
        return 0
    for of, covered in told.items():
        note = "" if of.verified else f" [{_word('unverified_list', language)}]"
        say(f"{of.id}  {of.title.of(language)}{note}")
        for each in covered:
            lines = _control(each, language) if options.id is not None else [_threat(each, language)]
            for line in lines:
                say(f"  {line}")
    say(_word("no_end", language))
    return 0


def _known(rules: Rules, config: Config) -> Known:
    """Without data, of the rules alone: an office looks at guidelines before it has machines."""
    now = now_utc()
    if has_data(config):
        with opened(config) as database, database.read() as connection:
            return what_is_known(connection, rules.checks, rules.questions, now, config.tz)
    today = now.astimezone(config.tz).date()
    return Known(checks=rules.checks, questions=rules.questions, machines={}, attested={}, today=today)


# ── in words ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_WORDS: Final[Mapping[str, Text]] = {
    "listed": Text(ja="挙げている項目：{listed}", en="listed here: {listed}"),
    "total": Text(
        ja="全{all}件：点検 {checks}件、人の確認のみ {hand}件、確かめる手段なし {none}件",
        en="{all} controls: {checks} with checks, {hand} attested by hand alone, {none} not covered",
    ),
    "answers": Text(ja="点検：{told}", en="checks: {told}"),
    "kept": Text(ja="人の確認のみ：{told}", en="by hand alone: {told}"),
    "also": Text(
        ja="点検のある項目のうち、人の確認も要るもの {also}件（未確認・期限切れがあるもの {open}件）",
        en="{also} of those with checks also rest on a person's word, {open} of them with one missing or overdue",
    ),
    "hand": Text(ja="人が確認", en="by hand"),
    "none": Text(ja="確かめる手段がありません。", en="not covered: neither a check nor a question"),
    "attested": Text(
        ja="{answer}（{day} {post} {name}、{due} まで）{number}",
        en="{answer} ({day}, {post} {name}, until {due}) {number}",
    ),
    "attest": Text(
        ja="`secmon attest add {question} …` で登録してください",
        en="enter it with `secmon attest add {question} …`",
    ),
    "off": Text(ja="調べないことにした項目", en="switched off here"),
    "unverified": Text(ja="番号は公表された本文と未照合", en="number not compared with the published text"),
    "unverified_list": Text(ja="順位と名称は公表資料と未照合", en="ranks not compared with the published list"),
    "no_checks": Text(ja="当てはまる点検なし", en="no check bears on it"),
    "checks": Text(ja="点検 {all}件", en="{all} checks"),
    "no_end": Text(
        ja="関係する点検と人の確認を挙げたものです。すべて適合でも、脅威がなくなるわけではありません。",
        en="These checks and questions bear on the threats; even if all pass, no threat is gone.",
    ),
    "no_data": Text(
        ja="データがまだないため、台数と確認の記録は表示していません。",
        en="There are no data yet, so neither machines nor attestations are shown.",
    ),
    "honest": Text(
        ja="点検に通っても、人が「できている」と答えても、項目のすべてを満たす証明にはなりません。"
        "ここにない項目は確かめていません。",
        en="Passed checks and a person's word do not prove a whole control, and controls that are not listed are not "
        "looked at.",
    ),
}
_STANDINGS: Final[Mapping[Standing, Text]] = {
    "fail": Text(ja="要対応", en="fail"),
    "unknown": Text(ja="確認不能", en="unknown"),
    "excepted": Text(ja="例外", en="excepted"),
    "pass": Text(ja="適合", en="pass"),
    "not_applicable": Text(ja="対象外", en="not applicable"),
}
_KEPT: Final[Mapping[Kept, Text]] = {
    "yes": ANSWERS["yes"],
    "not_yes": Text(ja="一部またはできていない", en="partly or no"),
    "overdue": STATES["overdue"],
    "missing": STATES["missing"],
}


def _lines(of: Coverage, language: Language, *, in_full: bool) -> Iterator[str]:
    yield f"{of.id}  {of.title} ({of.edition})"
    if of.listed:
        yield "  " + _word("listed", language).format(listed=of.listed)
    yield from (f"  {line}" for line in _totals(of.totals, language))
    for level, each in of.levels.items():
        yield from (f"  {level}  {line}" for line in _totals(each, language))
    for control in of.controls if in_full else ():
        yield from (f"  {line}" for line in _control(control, language))


def _totals(of: Totals, language: Language) -> Iterator[str]:
    yield _word("total", language).format(all=of.controls, checks=of.checks, hand=of.hand, none=of.none)
    if of.answers:
        told = _counted(((_STANDINGS[standing], number) for standing, number in of.answers.items()), language)
        yield "  " + _word("answers", language).format(told=told)
    if of.kept:
        told = _counted(((_KEPT[kept], number) for kept, number in of.kept.items()), language)
        yield "  " + _word("kept", language).format(told=told)
    if of.also_by_hand:
        yield "  " + _word("also", language).format(also=of.also_by_hand, open=of.also_open)


def _counted(numbers: Iterable[tuple[Text, int]], language: Language) -> str:
    return ("・" if language == "ja" else ", ").join(
        f"{word.of(language)} {number}件" if language == "ja" else f"{number} {word.of(language)}"
        for word, number in numbers
    )


def _control(control: ControlCoverage, language: Language) -> Iterator[str]:
    notes = [control.level, control.local_article, "" if control.verified else _word("unverified", language)]
    yield f"{control.id} {control.title}" + "".join(f" [{note}]" for note in notes if note)
    for check in control.checks:
        yield f"  {check.id}  {check.title}{_machines(check, language)}"
    for check_id, title in control.switched_off.items():
        yield f"  {check_id}  {title} [{_word('off', language)}]"
    for each in control.attested:
        yield f"  {_word('hand', language)}  {each.title}  {_attested(each, language)}"
    if control.means == "none":
        yield f"  {_word('none', language)}"


def _threat(threat: ControlCoverage, language: Language) -> str:
    """In a line: how many checks bear on it and how they stand, and what a person has to say."""
    parts = [f"{threat.id} {threat.title}", _word("checks" if threat.checks else "no_checks", language)]
    parts[1] = parts[1].format(all=len(threat.checks))
    counted = Counter(check.answer for check in threat.checks if check.answer)
    if counted:
        told = ((_STANDINGS[standing], counted[standing]) for standing in STANDINGS if counted[standing])
        parts[1] += f"{'：' if language == 'ja' else ': '}{_counted(told, language)}"
    for each in threat.attested:
        standing = _KEPT[each.kept].of(language)
        parts.append(f"{_word('hand', language)}{'：' if language == 'ja' else ': '}{each.title} {standing}")
    return "  ".join(parts)


def _machines(check: CheckCoverage, language: Language) -> str:
    """Machines by how they answer, the worst first; what no machine answers is left out."""
    if check.machines is None:
        return ""
    told = [(_STANDINGS[standing].of(language), check.machines[standing]) for standing in STANDINGS]
    shown = [f"{word} {number}" for word, number in told if number]
    return "".join(("  ", ("・" if language == "ja" else ", ").join(shown))) if shown else ""


def _attested(of: AttestedCoverage, language: Language) -> str:
    if of.answer is None:
        return f"{STATES['missing'].of(language)}  {_word('attest', language).format(question=of.question)}"
    told = _word("attested", language).format(
        answer=ANSWERS[of.answer].of(language),
        day=of.attested_on,
        post=of.post,
        name=of.name,
        due=of.due_on,
        number=of.number,
    )
    return told if of.state == "held" else f"{STATES[of.state].of(language)}  {told}"


def _word(name: str, language: Language) -> str:
    return _WORDS[name].of(language)
