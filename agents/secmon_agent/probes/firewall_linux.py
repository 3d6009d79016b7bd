"""The packet filter in the kernel, and what brings it back after a restart."""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import UNSET, Struct, UnsetType

from secmon_agent.facts import Firewall
from secmon_agent.host import DeniedError, Host, UnsupportedError
from secmon_agent.probes import packet_filter
from secmon_agent.probes.filter_linux import nft_ruleset, program, saved_rules, speaks_ipv6
from secmon_agent.probes.packet_filter import Table
from secmon_agent.probes.systemd import wanted_units

Manager = Literal["ufw", "firewalld", "nftables", "iptables", "windows"]

_UNITS: Final[tuple[tuple[str, Manager], ...]] = (
    ("firewalld.service", "firewalld"),
    ("nftables.service", "nftables"),
    ("netfilter-persistent.service", "iptables"),
    ("iptables.service", "iptables"),
)


class _Rules(Struct, frozen=True, kw_only=True):
    nft: dict[tuple[str, str], Table]
    iptables: dict[str, list[Table]]
    """By family, those that nft does not show."""


def firewall(host: Host) -> Firewall:
    """Sources: `nft -j list ruleset`, `iptables-save` where legacy tables are in use; /etc/ufw, systemd units.

    Rights: root, or CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE and CAP_NET_ADMIN; denied to others.
    """
    if not host.privileged:
        raise DeniedError("the rules of the packet filter are shown to root only")
    rules = _rules(host)
    manager = _manager(host)
    if not (any(rules.nft.values()) or any(rules.iptables.values())):
        return Firewall(backend="none", manager=manager, filtering=False)
    return Firewall(
        backend="nftables" if any(rules.nft.values()) else "iptables",
        manager=manager,
        filtering=_filtering(host, rules),
        persistent=True if manager is not UNSET else UNSET,
    )


def _rules(host: Host) -> _Rules:
    items = nft_ruleset(host)
    saved = {family: saved_rules(host, family) for family in ("ip", "ip6")}
    if items is None and program(host, "iptables-save", "iptables-nft-save", "iptables-legacy-save") is None:
        raise UnsupportedError("neither nft nor iptables is installed, so nobody can be asked for the rules")
    return _Rules(
        nft=packet_filter.parse_nft(items) if items is not None else {},
        iptables={family: [table for text in texts if (table := _said(text))] for family, texts in saved.items()},
    )


def _said(text: str) -> Table:
    """Without rules and with open policies a table says nothing."""
    table = packet_filter.parse_iptables(text)
    said = any(chain.rules or chain.policy == "drop" for chain in table.values())
    return table if said else {}


def _filtering(host: Host, rules: _Rules) -> bool | UnsetType:
    """Both for IPv4 and, where the machine speaks it, for IPv6."""
    answers = [_family(rules, "ip")]
    if speaks_ipv6(host):
        answers.append(_family(rules, "ip6"))
    if False in answers:
        return False
    return UNSET if None in answers else True


def _family(rules: _Rules, family: str) -> bool | None:
    tables = [table for (kind, _), table in rules.nft.items() if kind in ("inet", family)]
    return packet_filter.filters([*tables, *rules.iptables[family]])


def _manager(host: Host) -> Manager | UnsetType:
    wanted = wanted_units(host)
    if "ufw.service" in wanted and re.search(
        r"^ENABLED=[\"']?yes", host.text_if_any("/etc/ufw/ufw.conf") or "", re.MULTILINE | re.IGNORECASE
    ):
        return "ufw"
    return next((manager for unit, manager in _UNITS if unit in wanted), UNSET)
