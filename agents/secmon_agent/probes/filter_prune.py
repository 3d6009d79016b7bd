"""A rule set without what decides nothing: managers of packet filters lay out dozens of empty chains."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from secmon_agent.probes.filter_model import Chain, Rule, Table


def pruned(table: Table) -> Table:
    idle: dict[str, bool] = {}
    for name in table.chains:
        _is_idle(name, table.chains, idle)
    return msgspec.structs.replace(
        table,
        chains={
            name: msgspec.structs.replace(chain, rules=tuple(it for it in chain.rules if not _is_vain(it, idle)))
            for name, chain in table.chains.items()
            if chain.drops or chain.order is None or not idle[name]
        },
    )


def _is_idle(name: str, chains: Mapping[str, Chain], idle: dict[str, bool]) -> bool:
    """Whoever enters the chain comes back undecided."""
    if name not in idle:
        idle[name] = False  # a chain that comes back to itself is none of those
        idle[name] = name in chains and all(
            rule.action in ("none", "return")
            or (rule.action in ("jump", "goto") and _is_idle(rule.chain, chains, idle))
            for rule in chains[name].rules
        )
    return idle[name]


def _is_vain(rule: Rule, idle: Mapping[str, bool]) -> bool:
    return rule.action == "none" or (rule.action == "jump" and idle.get(rule.chain, False))
