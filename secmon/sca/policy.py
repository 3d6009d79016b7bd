"""A policy as it stands in its file: what secmon has use for, and nothing resolved yet."""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec
from msgspec import Struct

from secmon.errors import UsageError
from secmon.evaluate.document import DocumentError, plain, read_document

MAX_POLICY_BYTES: Final = 4 * 1024 * 1024
MAX_CHECKS: Final = 2000
MAX_RULES: Final = 50
"""Of one check."""
MAX_TARGET_CHARS: Final = 2000
"""With variables filled in: they may name each other, and grow without bound."""
_KINDS: Final = "fdprc"
Engine = Literal["osregex", "pcre2"]


class SourceRule(Struct, frozen=True, kw_only=True):
    """`not f:FILE -> PATTERN`, `r:KEY -> NAME -> PATTERN`, …"""

    text: str
    negated: bool
    kind: Literal["f", "d", "p", "r", "c"]
    target: str
    """File, folder, process, registry key or command line, with variables filled in."""
    parts: tuple[str, ...]
    """What stands behind the arrows."""


class RuleError(Exception):
    """Why this rule cannot be understood or answered."""


class SourceCheck(Struct, frozen=True, kw_only=True):
    id: int | str
    title: str
    condition: Literal["all", "any", "none"] = "all"
    rules: tuple[str, ...]
    rationale: str = ""
    description: str = ""
    remediation: str = ""


class _Head(Struct, frozen=True, kw_only=True):
    id: str
    name: str = ""
    regex_type: Literal["osregex", "pcre2", ""] = ""
    """Not said: Wazuh's own expressions in 4.x, PCRE2 in 5.x."""


class Policy(Struct, frozen=True, kw_only=True):
    """Fields that other versions have more of are passed over."""

    policy: _Head
    variables: dict[str, str] = {}
    requirements: dict[str, object] | None = None
    checks: tuple[SourceCheck, ...]

    @property
    def engines(self) -> tuple[Engine, ...]:
        """Those that its regular expressions may be meant for."""
        said = self.policy.regex_type
        return (said,) if said else ("osregex", "pcre2")


def read_policy(data: bytes) -> Policy:
    """Raises UsageError with line or place and reason."""
    try:
        policy = msgspec.convert(plain(read_document(data, MAX_POLICY_BYTES)), Policy)
    except DocumentError as error:
        raise UsageError(str(error)) from None
    except msgspec.ValidationError as error:
        raise UsageError(f"not an SCA policy: {error}") from None
    if len(policy.checks) > MAX_CHECKS:
        raise UsageError(f"more than {MAX_CHECKS} checks")
    return policy


def read_rule(text: str, variables: dict[str, str]) -> SourceRule:
    """Raises RuleError."""
    whole = " ".join(text.split())
    match = re.fullmatch(r"(?P<negated>(?:not|NOT)\s+)?(?P<kind>[a-z]):(?P<rest>.+)", whole)
    if match is None or match["kind"] not in _KINDS:
        raise RuleError("not a rule of the form f:, d:, p:, r: or c:")
    target, *parts = [part.strip() for part in match["rest"].split(" -> ")]
    return SourceRule(
        text=whole,
        negated=bool(match["negated"]),
        kind=match["kind"],  # type: ignore[arg-type]  # it is one of them
        target=_filled(target, variables),
        parts=tuple(parts),
    )


def _filled(target: str, variables: dict[str, str]) -> str:
    for name in sorted(filter(None, variables), key=len, reverse=True):
        if len(target) + target.count(name) * (len(variables[name]) - len(name)) > MAX_TARGET_CHARS:
            raise RuleError(f"what it looks at is longer than {MAX_TARGET_CHARS} characters")
        target = target.replace(name, variables[name])
    return target
