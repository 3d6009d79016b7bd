"""Does a rule set drop what nobody asked for? Pure: from `nft -j list ruleset` or `iptables-save` to yes, no or
cannot tell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

from secmon_agent.probes.nft_listing import Item

Verdict = Literal["accept", "drop", "return", "jump", "goto", "none", "unknown"]

_SILENT: Final = {"counter", "log", "comment"}
"""Statements of a rule that decide nothing."""
_REMARK: Final = {"type": "match", "name": "comment"}
"""As iptables writes a comment into nftables."""
_MAX_DEPTH: Final = 8


class Rule(Struct, frozen=True, kw_only=True):
    conditional: bool
    verdict: Verdict
    target: str = ""


class Chain(Struct, frozen=True, kw_only=True):
    rules: tuple[Rule, ...]
    policy: Literal["accept", "drop"] | None = None
    """Of a base chain."""
    input_hook: bool = False


Table = Mapping[str, Chain]
"""Chains of one table by name."""


def filters(tables: Sequence[Table]) -> bool | None:
    """True where some input chain drops what no rule allows, False where none does, None where that cannot be
    decided."""
    answers = [_ends_in_drop(table, chain, 0) for table in tables for chain in table.values() if chain.input_hook]
    if True in answers:
        return True
    return None if None in answers else False


def _ends_in_drop(table: Table, chain: Chain, depth: int) -> bool | None:
    """What happens to a packet that no condition catches."""
    doubtful = False
    for rule in chain.rules:
        answer = _after(table, rule, depth)
        if rule.conditional:
            doubtful = doubtful or answer is not False
        elif answer is not None or rule.verdict in ("accept", "goto"):
            return _unless(doubtful, answer)
        elif rule.verdict == "return":
            break
        elif rule.verdict in ("jump", "unknown"):
            doubtful = doubtful or rule.verdict == "unknown" or not _falls_through(table, rule.target, depth)
    return _unless(doubtful, chain.policy == "drop") if chain.policy else None


def _unless(doubtful: bool, answer: bool | None) -> bool | None:
    """A rule that may drop everything makes a No uncertain, never a Yes."""
    return None if doubtful and not answer else answer


def _after(table: Table, rule: Rule, depth: int) -> bool | None:
    if rule.verdict == "drop":
        return True
    if rule.verdict == "accept":
        return False
    if rule.verdict in ("jump", "goto") and depth < _MAX_DEPTH and rule.target in table:
        return _ends_in_drop(table, table[rule.target], depth + 1)
    return False if rule.verdict == "none" and rule.conditional else None


def _falls_through(table: Table, name: str, depth: int) -> bool:
    """The chain decides nothing for sure and drops nothing at all."""
    if depth >= _MAX_DEPTH or name not in table:
        return False
    return all(
        rule.verdict in ("accept", "none", "return")
        or (rule.verdict in ("jump", "goto") and _falls_through(table, rule.target, depth + 1))
        for rule in table[name].rules
    )


def parse_nft(items: Sequence[Item]) -> dict[tuple[str, str], Table]:
    """Tables by (family, name)."""
    rules: dict[tuple[str, str, str], list[Rule]] = {}
    for item in items:
        if item.rule:
            key = (item.rule.family, item.rule.table, item.rule.chain)
            rules.setdefault(key, []).append(_nft_rule(item.rule.expr))
    tables: dict[tuple[str, str], dict[str, Chain]] = {}
    for item in items:
        if found := item.chain:
            tables.setdefault((found.family, found.table), {})[found.name] = Chain(
                rules=tuple(rules.get((found.family, found.table, found.name), ())),
                policy=("drop" if found.policy == "drop" else "accept") if found.hook else None,
                input_hook=found.hook == "input" and found.type == "filter",
            )
    return dict(tables)


def _nft_rule(statements: Sequence[Mapping[str, object]]) -> Rule:
    conditional, verdict, target = False, "none", ""
    for statement in statements:
        for name, value in statement.items():
            if name in ("accept", "drop", "return"):
                verdict = name
            elif name == "reject":
                verdict = "drop"
            elif name in ("jump", "goto") and isinstance(value, dict):
                verdict, target = name, str(value.get("target", ""))
            elif name == "xt" and isinstance(value, dict) and value.get("type") == "target":
                verdict = {"REJECT": "drop", "LOG": "none"}.get(str(value.get("name")), "unknown")
            elif name == "xt" and value == _REMARK:
                continue
            elif name in ("vmap", "queue"):
                verdict = "unknown"
            elif name not in _SILENT:
                conditional = True
    return Rule(conditional=conditional, verdict=verdict, target=target)  # type: ignore[arg-type]


def parse_iptables(text: str) -> Table:
    """Chains of the filter table."""
    section = re.search(r"^\*filter$(.*?)^COMMIT$", text, re.MULTILINE | re.DOTALL)
    if section is None:
        return {}
    policies = dict(re.findall(r"^:(\S+) (\S+)", section[1], re.MULTILINE))
    rules: dict[str, list[Rule]] = {}
    for chain, rest in re.findall(r"^-A (\S+) ?(.*)$", section[1], re.MULTILINE):
        rules.setdefault(chain, []).append(_iptables_rule(rest))
    return {
        name: Chain(
            rules=tuple(rules.get(name, ())),
            policy={"DROP": "drop", "ACCEPT": "accept"}.get(policy),  # type: ignore[arg-type]
            input_hook=name == "INPUT",
        )
        for name, policy in policies.items()
    }


def _iptables_rule(text: str) -> Rule:
    found = re.search(r"(?:^| )-([jg]) (\S+)", text)
    conditions = text[: found.start()] if found else text
    conditional = bool(re.sub(r'-m comment|--comment ("[^"]*"|\S+)|-c \d+ \d+', "", conditions).strip())
    if found is None:
        return Rule(conditional=conditional, verdict="none")
    fixed: Mapping[str, Verdict] = {
        "ACCEPT": "accept",
        "DROP": "drop",
        "REJECT": "drop",
        "RETURN": "return",
        "LOG": "none",
        "NFLOG": "none",
        "QUEUE": "unknown",
        "NFQUEUE": "unknown",
    }
    if found[2] in fixed:
        return Rule(conditional=conditional, verdict=fixed[found[2]])
    return Rule(conditional=conditional, verdict="jump" if found[1] == "j" else "goto", target=found[2])
