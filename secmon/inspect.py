"""One machine, judged here and now: the table of `secmon inspect` and `secmon up`, and its form for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

import msgspec
from msgspec import UNSET, Struct
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text as Line

from secmon.errors import UsageError
from secmon.evaluate.check import Check
from secmon.evaluate.folders import Folders
from secmon.evaluate.judge import evaluate
from secmon.evaluate.model import SEVERITIES, Language, Machine, Severity, Text, Verdict
from secmon.evaluate.ruleset import RulesError, RuleSet, load_rules
from secmon.evaluate.sections import read_sections
from secmon.evidence import evidence_line, evidence_words
from secmon.notify.text import one_line
from secmon.reasons import sentence
from secmon.wrapping import wrap
from secmon_agent import collect, wire
from secmon_agent.facts_document import MAX_DOCUMENT_BYTES, read_facts_document

MAX_ITEMS_SHOWN: Final = 3
MAX_TEXT: Final = 400
"""Characters of one text from a machine."""
MIN_WIDTH: Final = 60
_GAP: Final = 2
_Row = tuple[Check, tuple[str, ...]]
SEVERITY_WORDS: Final[Mapping[Severity, Text]] = {
    "high": Text(ja="高", en="high"),
    "medium": Text(ja="中", en="medium"),
    "low": Text(ja="低", en="low"),
}
_STYLES: Final[Mapping[Severity, str]] = {"high": "bold red", "medium": "yellow", "low": "cyan"}
_WORDS: Final[Mapping[str, Text]] = {
    "severity": Text(ja="重要度", en="Severity"),
    "check": Text(ja="項目", en="Check"),
    "evidence": Text(ja="内容", en="What was found"),
    "first_step": Text(ja="最初の対処", en="First step"),
    "reason": Text(ja="確認できない理由", en="Why it is unknown"),
    "failing": Text(ja="{host}：対応が必要な項目（{n}件）", en="{host}: {n} checks fail"),
    "none_failing": Text(ja="{host}：対応が必要な項目は見つかりませんでした。", en="{host}: no check fails."),
    "unknown": Text(ja="確認できなかった項目（{n}件）", en="{n} checks are unknown"),
    "counts": Text(
        ja="全{total}項目：要対応 {fail}、確認不能 {unknown}、適合 {passed}、対象外 {not_applicable}",
        en="{total} checks: {fail} fail, {unknown} unknown, {passed} pass, {not_applicable} not applicable",
    ),
    "more": Text(ja="ほか{n}件", en="and {n} more"),
}


def table(verdicts: Iterable[Verdict], rules: RuleSet, *, language: Language, hostname: str, console: Console) -> None:
    """Failing checks by severity, then unknown ones with the reason, then how many pass or do not apply."""
    known = [(rules.checks[verdict.check], verdict) for verdict in verdicts if verdict.check in rules.checks]
    known.sort(key=lambda pair: (SEVERITIES.index(pair[0].severity), pair[0].id))
    failing = [pair for pair in known if pair[1].status == "fail"]
    unknown = [pair for pair in known if pair[1].status == "unknown"]
    console.print()
    headline = "failing" if failing else "none_failing"
    console.print(Line(_words(headline, language, host=hostname, n=len(failing)), style="bold"))
    if failing:
        rows = [_failing_row(check, verdict, language) for check, verdict in failing]
        columns = (("check", 6), ("evidence", 7), ("first_step", 9))
        console.print(_table(language, columns, rows, console.width))
        console.print()
    if unknown:
        console.print(Line(_words("unknown", language, n=len(unknown)), style="bold"))
        rows = [_unknown_row(check, verdict, language) for check, verdict in unknown]
        console.print(_table(language, (("check", 7), ("reason", 13)), rows, console.width))
        console.print()
    console.print(Line(_counts(known, language)))


def _words(name: str, language: Language, **values: object) -> str:
    return _WORDS[name].of(language).format(**values)


def _counts(known: Sequence[tuple[Check, Verdict]], language: Language) -> str:
    counts = Counter(verdict.status for _, verdict in known)
    return _words(
        "counts",
        language,
        total=len(known),
        fail=counts["fail"],
        unknown=counts["unknown"],
        passed=counts["pass"],
        not_applicable=counts["not_applicable"],
    )


def _table(language: Language, columns: Sequence[tuple[str, int]], rows: Sequence[_Row], width: int) -> Table:
    """A table as wide as the terminal; the columns after the severity share it as their numbers say."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, _GAP, 0, 0), leading=1, header_style="dim")
    first = 8 if language == "en" else 6
    made.add_column(_words("severity", language), no_wrap=True, width=first)
    shares = sum(share for _, share in columns)
    room = max(width, MIN_WIDTH) - first - (_GAP + 1) * (len(columns) + 1)
    widths = [room * share // shares for _, share in columns]
    for (name, _), column_width in zip(columns, widths, strict=True):
        made.add_column(_words(name, language), width=column_width)
    for check, cells in rows:
        wrapped = [Line(wrap(cell, cell_width)) for cell, cell_width in zip(cells, widths, strict=True)]
        made.add_row(Line(SEVERITY_WORDS[check.severity].of(language), style=_STYLES[check.severity]), *wrapped)
    return made


def _failing_row(check: Check, verdict: Verdict, language: Language) -> _Row:
    first_step = check.fix[language][0].replace("`", "")
    return check, (check.title.of(language), evidence_text(verdict, language), first_step)


def _unknown_row(check: Check, verdict: Verdict, language: Language) -> _Row:
    return check, (check.title.of(language), one_line(sentence(verdict.reason, language), MAX_TEXT))


def evidence_text(verdict: Verdict, language: Language) -> str:
    """What was read; of a list the first failing elements and how many more there are. Nothing a terminal obeys."""
    failing = [item for item in verdict.items if item.status == "fail"]
    if not failing:
        return "\n".join(one_line(line, MAX_TEXT) for line in evidence_words(verdict.evidence, language).split("\n"))
    lines = [
        f"{one_line(it.key, MAX_TEXT)}  {one_line(evidence_line(it.evidence, language), MAX_TEXT)}".rstrip()
        for it in failing[:MAX_ITEMS_SHOWN]
    ]
    if len(failing) > MAX_ITEMS_SHOWN:
        lines.append(_words("more", language, n=len(failing) - MAX_ITEMS_SHOWN))
    return "\n".join(lines)


_OFFICE = ("attributes.", "no zone has networks")
"""How reasons begin that rest on what only the office can say."""


class _Judged(Struct, frozen=True, kw_only=True):
    check: str
    area: str
    severity: Severity
    title: Text
    fix: Mapping[Language, tuple[str, ...]]
    verdict: Verdict


class _Inspection(Struct, frozen=True, kw_only=True):
    format: str
    hostname: str
    observed_at: datetime | None
    rules: str
    counts: Mapping[str, int]
    results: tuple[_Judged, ...]


def as_json(verdicts: Iterable[Verdict], rules: RuleSet, *, hostname: str, observed_at: datetime | None) -> bytes:
    """Every verdict with the check's texts in both languages; indented, one newline at the end."""
    known = [verdict for verdict in verdicts if verdict.check in rules.checks]
    inspection = _Inspection(
        format="secmon.inspection.v1",
        hostname=hostname,
        observed_at=observed_at,
        rules=rules.version,
        counts=Counter(verdict.status for verdict in known),
        results=tuple(_judged(rules.checks[verdict.check], verdict) for verdict in known),
    )
    return msgspec.json.format(msgspec.json.encode(inspection), indent=2) + b"\n"


def _judged(check: Check, verdict: Verdict) -> _Judged:
    return _Judged(
        check=check.id, area=check.area, severity=check.severity, title=check.title, fix=check.fix, verdict=verdict
    )


def run_inspect(
    facts_file: Path | None,
    *,
    json: bool,
    language: Language,
    rules_dir: Path,
    out: TextIO,
    site: Path | None = None,
) -> int:
    """Judge this machine, or the one that `facts_file` describes; 1 when a check of high severity fails, else 0."""
    rules = _rules(Folders(rules_dir, site))
    observed_at, sections = _sections(facts_file)
    now = datetime.now(UTC)
    machine = Machine(
        sections=read_sections({name: (it.status, it.reason, _data(it)) for name, it in sections.items()}),
        observed_at=observed_at or now,
    )
    # What the office says of a machine (its zone, …) is not known here, so it is not judged.
    verdicts = [it for it in evaluate(rules, machine, now, _of_facts(rules)) if not it.reason.startswith(_OFFICE)]
    hostname = _hostname(machine)
    if json:
        out.write(as_json(verdicts, rules, hostname=hostname, observed_at=machine.observed_at).decode())
    else:
        table(verdicts, rules, language=language, hostname=hostname, console=Console(file=out))
    return int(any(it.status == "fail" and rules.checks[it.check].severity == "high" for it in verdicts))


def _of_facts(rules: RuleSet) -> list[str]:
    return [check.id for check in rules.checks.values() if check.reads]


def _rules(folders: Folders) -> RuleSet:
    try:
        return load_rules(*folders)
    except RulesError as error:
        more = f" (and {len(error.mistakes) - 1} more)" if len(error.mistakes) > 1 else ""
        raise UsageError(f"{error.mistakes[0]}{more}; `secmon rules check` names them all") from None


def _sections(facts_file: Path | None) -> tuple[datetime | None, Mapping[str, wire.Section]]:
    if facts_file is None:
        return None, collect.collect(collect.live_host(None))
    try:
        with facts_file.open("rb") as stream:
            return read_facts_document(stream.read(MAX_DOCUMENT_BYTES + 1))
    except OSError as error:
        raise UsageError(f"{facts_file}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{facts_file}: {error}; `secmon-agent facts` writes such a file") from None


def _data(section: wire.Section) -> bytes | None:
    return None if section.data is UNSET else section.data


def _hostname(machine: Machine) -> str:
    state = machine.sections.get("host")
    name = state.facts.get("hostname") if state is not None and state.facts is not None else None
    return name if isinstance(name, str) and name.isprintable() else "?"
