"""What no machine can answer (自己点検): who confirmed it, when, until when."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy.engine import Connection

from secmon.app import now_utc
from secmon.attestations.model import ANSWERS, Attestation, current, due, latest_due, state
from secmon.attestations.words import ANSWERS as ANSWER_WORDS
from secmon.attestations.words import HISTORY
from secmon.commands.common import actor, check_day, check_post, check_text, note, opened, say, say_json
from secmon.commands.common import spoken as _in
from secmon.config import Config
from secmon.errors import Failure, UsageError
from secmon.evaluate.frameworks import Framework
from secmon.evaluate.questions import Question
from secmon.exceptions.model import fiscal_year
from secmon.rulebook import Rules, open_rulebook
from secmon.store import attestations, audit

_MAX_TEXT = 1_000
_MAX_NAME = 100


def attest_add(options: Namespace, config: Config) -> int:
    rules = open_rulebook(config).rules
    question = _question(options.question, rules, config)
    post = check_post("--post", options.post, config)
    name = _text("--name", options.name, config, _MAX_NAME)
    evidence = _text("--evidence", options.evidence, config) if options.evidence else ""
    now = now_utc()
    today = now.astimezone(config.tz).date()
    day = check_day("--on", options.on, config) if options.on else today
    last = check_day("--until", options.until, config) if options.until else due(day, question.months)
    _check_days(day, last, today, config)
    wanted = attestations.Wanted(
        question=question.id,
        asked=question.question.of(config.office.language),
        answer=next(answer for answer in ANSWERS if answer == options.answer),
        attested_on=day,
        due_on=last,
        post=post,
        name=name,
        evidence=evidence,
    )
    with opened(config) as database, database.write() as connection:
        record = attestations.add(connection, wanted, actor=actor(), now=now)
        entry = _record(record)
        _note(connection, record, "add", now, {name: entry[name] for name in _AUDITED if entry[name]})
    if last < today:
        note(
            _in(
                config,
                f"期限（{last}）はすでに過ぎているため、期限切れとして扱います",
                f"its last day ({last}) is over already, so it counts as overdue",
            )
        )
    if options.json:
        say_json(entry)
        return 0
    answer = ANSWER_WORDS[record.answer].of(config.office.language)
    title = question.title.of(config.office.language)
    say(
        _in(
            config,
            f"{record.number} を登録しました：{title}「{answer}」（{day} 確認、{last} まで有効）",
            f"{record.number} is recorded: {title}: {answer} (of {day}, until {last})",
        )
    )
    return 0


_AUDITED: Final = ("question", "answer", "attested_on", "due_on", "post", "name", "evidence")


def attest_list(options: Namespace, config: Config) -> int:
    rules = open_rulebook(config).rules
    with opened(config) as database, database.read() as connection:
        records = attestations.read_all(connection)
    now = now_utc()
    today = now.astimezone(config.tz).date()
    if options.all:
        entries = list(_history(records, rules, now, today, config))
    else:
        entries = list(_standing(records, rules, now, today, config))
    if options.due:
        entries = [entry for entry in entries if entry["state"] in ("missing", "overdue", "due_soon")]
    if options.json:
        say_json(entries)
        return 0
    for entry in entries:
        say("  ".join(_cells(entry, config)))
    if not entries:
        note(_in(config, "該当するものはありません", "there are none"))
    return 0


def attest_show(options: Namespace, config: Config) -> int:
    rules = open_rulebook(config).rules
    question = _question(options.question, rules, config)
    with opened(config) as database, database.read() as connection:
        records = [each for each in attestations.read_all(connection) if each.question == question.id]
    now = now_utc()
    history = list(_history(records, rules, now, now.astimezone(config.tz).date(), config))
    controls = [f"{framework} {control}" for framework, control in controls_of(question.id, rules.frameworks)]
    told = {
        "question": question.id,
        "title": question.title.of(config.office.language),
        "asked": question.question.of(config.office.language),
        "months": question.months,
        "controls": controls,
        "attestations": history,
    }
    if options.json:
        say_json(told)
        return 0
    say(f"{question.id}  {told['title']}")
    say(f"  {told['asked']}")
    say(_in(config, f"  確認の間隔：{question.months}か月", f"  asked every {question.months} months"))
    for control in controls:
        say(f"  {control}")
    for entry in history:
        say("  " + "  ".join(_cells(entry, config)))
        if entry["evidence"]:
            say("    " + _in(config, f"根拠：{entry['evidence']}", f"evidence: {entry['evidence']}"))
    return 0


def attest_withdraw(options: Namespace, config: Config) -> int:
    reason = _text("--reason", options.reason, config)
    with opened(config) as database, database.write() as connection:
        now = now_utc()
        attestations.lock(connection)
        record = attestations.find(connection, options.number.upper())
        if record is None:
            raise Failure(
                _in(
                    config,
                    f"{options.number} は登録されていません。`secmon attest list --all` で確かめてください",
                    f"there is no {options.number}; see `secmon attest list --all`",
                )
            )
        if record.withdrawn_at is not None:
            raise Failure(
                _in(config, f"{record.number} はすでに取り消されています", f"{record.number} is withdrawn already")
            )
        attestations.withdraw(connection, record, reason=reason, actor=actor(), now=now)
        _note(connection, record, "withdraw", now, {"reason": reason})
        before = current(attestations.read_all(connection), date.max, now).get(record.question)
    if before is None:
        rest = _in(config, "この質問は未確認に戻りました", "the question is not attested now")
    else:
        rest = _in(
            config,
            f"{before.number}（{before.due_on} まで）が直近の確認になります",
            f"{before.number} (until {before.due_on}) is the last one now",
        )
    say(_in(config, f"{record.number} を取り消しました。{rest}", f"{record.number} is withdrawn; {rest}"))
    return 0


# ── entering ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _question(id_: str, rules: Rules, config: Config) -> Question:
    if (found := rules.questions.get(id_)) is None:
        raise UsageError(
            _in(
                config,
                f"{id_} という質問はありません。`secmon attest list` で確かめてください",
                f"there is no question {id_}; see `secmon attest list`",
            )
        )
    return found


def _check_days(day: date, last: date, today: date, config: Config) -> None:
    earliest, latest = date(fiscal_year(today) - 1, 4, 1), latest_due(day)
    wrong = ""
    if not earliest <= day <= today:
        wrong = _in(
            config,
            f"--on {day}：確認した日は、前年度（{earliest}）から今日（{today}）までの日にしてください",
            f"--on {day}: between {earliest} and today ({today})",
        )
    elif not day <= last <= latest:
        wrong = _in(
            config,
            f"--until {last}：期限は、確認した日（{day}）から翌年度末（{latest}）までの日にしてください",
            f"--until {last}: between the day it was attested ({day}) and {latest}",
        )
    if wrong:
        raise UsageError(wrong)


def _text(option: str, text: str, config: Config, most: int = _MAX_TEXT) -> str:
    text = text.strip()
    check_text(option, text, most)
    if not text:
        raise UsageError(_in(config, f"{option} を書いてください", f"{option} must say something"))
    return text


def _note(connection: Connection, record: Attestation, act: str, now: datetime, detail: Mapping[str, object]) -> None:
    audit.write(
        connection, at=now, actor=actor(), action=f"attestation.{act}", subject=record.number, detail=dict(detail)
    )


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _standing(
    records: Iterable[Attestation], rules: Rules, now: datetime, today: date, config: Config
) -> Iterator[dict[str, Any]]:
    """A line for each question, in the order of the rules."""
    latest = current(records, today, now)
    for question in rules.questions.values():
        record = latest.get(question.id)
        entry = {"title": question.title.of(config.office.language), "state": state(record, today)}
        yield entry | (_record(record) if record else {"question": question.id})


def _history(
    records: Sequence[Attestation], rules: Rules, now: datetime, today: date, config: Config
) -> Iterator[dict[str, Any]]:
    """Every record, the oldest first; one that was withdrawn or replaced says so."""
    latest = current(records, today, now)
    for record in records:
        question = rules.questions.get(record.question)
        title = question.title.of(config.office.language) if question else record.question
        counts = latest.get(record.question) == record
        standing = "withdrawn" if record.withdrawn_at else state(record, today) if counts else "replaced"
        yield {"title": title, "state": standing} | _record(record)


def _record(record: Attestation) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__ if name != "attestation_id"}


def _cells(entry: Mapping[str, Any], config: Config) -> list[str]:
    language = config.office.language
    cells = [entry["question"], entry["title"], HISTORY[entry["state"]].of(language)]
    if "answer" in entry:
        until = _in(config, f"{entry['due_on']} まで", f"until {entry['due_on']}")
        cells += [ANSWER_WORDS[entry["answer"]].of(language), str(entry["attested_on"])]
        cells += [f"{entry['post']} {entry['name']}", until, entry["number"]]
    return cells


def controls_of(question: str, frameworks: Iterable[Framework]) -> list[tuple[str, str]]:
    """Framework and control of all that rest on it."""
    return [
        (framework.id, control.id)
        for framework in frameworks
        for control in framework.controls
        if question in control.attested
    ]
