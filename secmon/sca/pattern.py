"""Patterns of SCA rules: terms joined by `&&`, each a literal, `r:REGEX` or `n:REGEX compare OP NUMBER`.

A regular expression of a policy is a stranger's. It is only ever asked about short lines that are made here, and only
where it cannot take long: no repeated groups, no references back, few repetitions.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from secmon.sca.policy import Engine, RuleError

MAX_REGEX_CHARS: Final = 300
MAX_REPEATS: Final = 4
"""Besides those of white space, of which the lines here have a few single ones."""
_COMPARE: Final = re.compile(r"n:(?P<regex>.+) compare (?P<sign><=|>=|==|!=|<|>) (?P<number>-?[0-9]{1,9})")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_REPEAT: Final = re.compile(r"(?P<blank>[_ ]|\[_+\])?(?:[*+?]|\{[0-9,]+\})")
"""In a source whose escapes have become one letter: `_` for white space."""
_REFUSED: Final = re.compile(r"\)[*+?{]|\(\?(?![:i)])|\(\*")
_REFUSED_ESCAPES: Final = frozenset("123456789kgQGRX")
_OSREGEX: Final[Mapping[str, str]] = {
    r"\.": ".", r"\p": r"[()*+,\-.:;<=>?\[\]!\"'#$%&|{}]", r"\s": " ", r"\S": "[^ ]", r"\t": "\t",
}  # fmt: skip
_OSREGEX_TOKEN: Final = re.compile(r"\\.|.", re.DOTALL)


class Comparison(Struct, frozen=True, kw_only=True):
    """The number that the regex finds, compared."""

    regex: re.Pattern[str]
    sign: str
    number: int

    def number_in(self, line: str) -> int | None:
        """Of the first group, or of the whole where there is none."""
        match = self.regex.search(line)
        text = "" if match is None else match[1 if match.groups() else 0] or ""
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


class Term(Struct, frozen=True, kw_only=True):
    """What a line must, or must not, be like."""

    negated: bool = False
    literal: str | None = None
    regex: re.Pattern[str] | None = None
    comparison: Comparison | None = None

    def matches(self, line: str) -> bool:
        """Of literals and regexes only."""
        if self.literal is not None:
            found = line.strip().casefold() == self.literal.casefold()
        else:
            found = self.regex is not None and self.regex.search(line) is not None
        return found is not self.negated


def read_pattern(text: str, *, engine: Engine) -> tuple[Term, ...]:
    """Raises RuleError."""
    return tuple(_term(part.strip(), engine=engine) for part in text.split(" && "))


def _term(text: str, *, engine: Engine) -> Term:
    negated, text = text.startswith("!"), text.removeprefix("!")
    if text.startswith("r:"):
        return Term(negated=negated, regex=safe_regex(text[2:], engine=engine))
    if text.startswith("n:"):
        match = _COMPARE.fullmatch(text)
        if match is None:
            raise RuleError(f"a comparison that is not understood: {text}")
        comparison = Comparison(
            regex=safe_regex(match["regex"], engine=engine), sign=match["sign"], number=int(match["number"])
        )
        return Term(negated=negated, comparison=comparison)
    return Term(negated=negated, literal=text)


def safe_regex(text: str, *, engine: Engine) -> re.Pattern[str]:
    """Regardless of case, as Wazuh looks. Raises RuleError for one that is wrong, or that could take long."""
    source = text if engine == "pcre2" else "".join(_of_osregex(sign) for sign in _OSREGEX_TOKEN.findall(text))
    escapes = set(_ESCAPE.findall(source))
    bare = _ESCAPE.sub(lambda match: "_" if match[1] in "st" else "e", source)
    repeats = [match for match in _REPEAT.finditer(bare) if not match["blank"]]
    refused = _REFUSED.search(bare) or escapes & _REFUSED_ESCAPES
    if len(source) > MAX_REGEX_CHARS or len(repeats) > MAX_REPEATS or refused:
        raise RuleError("a regular expression that could take long, or that only PCRE knows")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Python warns of sets that other engines read otherwise
            return re.compile(source, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise RuleError(f"not a regular expression: {error}") from None


def _of_osregex(sign: str) -> str:
    """Wazuh's own expressions have a backslash before what stands for many, and none before a full stop."""
    if sign in _OSREGEX:
        return _OSREGEX[sign]
    return re.escape(sign) if sign in ".[]{}?" else sign
