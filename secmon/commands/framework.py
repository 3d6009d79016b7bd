"""What the checks cover of a guideline, and what they do not."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from secmon.commands.common import say
from secmon.config import Config
from secmon.errors import UsageError
from secmon.evaluate.frameworks import Framework
from secmon.evaluate.model import Language
from secmon.evaluate.ruleset import RuleSet
from secmon.rulebook import Rulebook, rules_folders


class ControlCoverage(Struct, frozen=True, kw_only=True):
    id: str
    title: str
    local_article: str
    verified: bool
    checks: dict[str, str]
    """Title by id of the checks that bear on it; empty: nobody but a person can answer for it."""


class Coverage(Struct, frozen=True, kw_only=True):
    id: str
    title: str
    edition: str
    controls: tuple[ControlCoverage, ...]


_WORDS: dict[str, tuple[str, str]] = {
    "total": (
        "挙げている項目 {all}件のうち、点検があるもの {some}件",
        "{some} of the {all} controls listed have checks",
    ),
    "none": ("点検がありません。人が確かめてください。", "no check: a person must see to it"),
    "unverified": ("番号は公表された本文と未照合", "number not compared with the published text"),
    "honest": (
        "点検に通っても、項目のすべてを満たす証明にはなりません。ここにない項目は点検していません。",
        "Passed checks do not prove a whole control, and controls that are not listed are not checked.",
    ),
}


def framework_show(options: Namespace, config: Config) -> int:
    rules = Rulebook(*rules_folders(config)).rules
    known = {each.id: each for each in rules.frameworks}
    if options.id is not None and options.id not in known:
        raise UsageError(f"there is no framework {options.id!r}; there are {', '.join(known)}")
    wanted = [known[options.id]] if options.id is not None else list(known.values())
    found = [coverage(each, rules.checks, config.office.language) for each in wanted]
    if options.json:
        say(msgspec.json.format(msgspec.json.encode(found), indent=1).decode())
        return 0
    for each in found:
        for line in _lines(each, config.office.language, in_full=options.id is not None):
            say(line)
    say(_word("honest", config.office.language))
    return 0


def coverage(framework: Framework, rules: RuleSet, language: Language) -> Coverage:
    return Coverage(
        id=framework.id,
        title=framework.title.of(language),
        edition=framework.edition,
        controls=tuple(
            ControlCoverage(
                id=control.id,
                title=control.title.of(language),
                local_article=control.local_article,
                verified=control.verified,
                checks={check: rules.checks[check].title.of(language) for check in control.checks},
            )
            for control in framework.controls
        ),
    )


def _lines(of: Coverage, language: Language, *, in_full: bool) -> Iterator[str]:
    total = _word("total", language).format(all=len(of.controls), some=sum(bool(it.checks) for it in of.controls))
    yield f"{of.id}  {of.title} ({of.edition}): {total}"
    for control in of.controls if in_full else ():
        notes = [control.local_article, "" if control.verified else _word("unverified", language)]
        yield f"  {control.id} {control.title}" + "".join(f" [{note}]" for note in notes if note)
        for check, title in control.checks.items():
            yield f"    {check}  {title}"
        if not control.checks:
            yield f"    {_word('none', language)}"


def _word(name: str, language: Language) -> str:
    return _WORDS[name][language == "en"]
