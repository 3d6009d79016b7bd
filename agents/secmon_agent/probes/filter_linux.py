"""The rules of the kernel's packet filter, from the programs that can show them."""

from __future__ import annotations

from typing import Final

from secmon_agent.host import Host, UnsupportedError
from secmon_agent.probes import filter_iptables, filter_nft
from secmon_agent.probes.filter_model import Ruleset, Table
from secmon_agent.probes.filter_nft import NftRules
from secmon_agent.probes.filter_sources import Family
from secmon_agent.probes.nft_listing import Item, listing

_FOLDERS: Final = ("/usr/sbin", "/sbin")
_FAMILIES: Final[dict[str, Family]] = {"ip": 4, "ip6": 6}


def program(host: Host, *names: str) -> str | None:
    paths = (f"{folder}/{name}" for name in names for folder in _FOLDERS)
    return next((path for path in paths if host.exists(path)), None)


def nft_ruleset(host: Host) -> list[Item] | None:
    """Asked once a cycle; None where nft is not installed. Raises msgspec.DecodeError for another shape."""
    nft = program(host, "nft")
    if nft is None:
        return None
    return host.once("nft ruleset", lambda: listing(_output(host, nft, "-j", "list", "ruleset")))


def saved_rules(host: Host, family: str) -> list[str]:
    """What iptables (`ip`) or ip6tables (`ip6`) has to tell beside nft: the rules it keeps without nftables, and, where
    nft is not installed, those that it keeps there. A program that would load what the kernel does without is not
    asked. Raises UnsupportedError where rules are in use that nothing shows."""
    in_nft, without = _savers(host, family)
    asked = [in_nft] if in_nft and program(host, "nft") is None and _nft_in_kernel(host) else []
    if _in_use(host, family) or not (in_nft or program(host, "nft")):
        if without is None and _in_use(host, family):
            raise UnsupportedError("no program here shows the rules that iptables keeps without nftables")
        asked += [without] if without else []
    return [_saved(host, save) for save in asked]


def _savers(host: Host, family: str) -> tuple[str | None, str | None]:
    """Programs that show what iptables keeps in nftables, and what it keeps without. The plain name may be either."""
    name = "iptables" if family == "ip" else "ip6tables"
    in_nft, without, plain = (program(host, f"{name}{kind}-save") for kind in ("-nft", "-legacy", ""))
    if in_nft is None and without is None and program(host, "xtables-nft-multi"):
        in_nft = plain
    return in_nft, without or (plain if in_nft is None else None)


def _in_use(host: Host, family: str) -> bool:
    return bool((host.text_if_any(f"/proc/net/{family}_tables_names") or "").strip())


def speaks_ipv6(host: Host) -> bool:
    rows = [line.split() for line in (host.text_if_any("/proc/net/if_inet6") or "").splitlines()]
    return any(len(row) >= 6 and row[5] != "lo" for row in rows)


def filter_rules(host: Host) -> Ruleset | None:
    """All that packets from outside pass through; None where some of it may not have been shown."""
    items = nft_ruleset(host)
    if items is None and (_nft_in_kernel(host) or program(host, "iptables-save") is None):
        return None
    legacy = [
        table
        for family, number in _FAMILIES.items()
        for text in saved_rules(host, family)
        for table in filter_iptables.parse(text, number).values()
    ]
    rules = filter_nft.parse(items or ())
    return Ruleset(tables=(*_spelled_out(host, rules), *legacy), opaque=rules.opaque)


def _nft_in_kernel(host: Host) -> bool:
    """Rules may stand there that nobody here can show; where modules are not listed, who knows."""
    modules = host.text_if_any("/proc/modules")
    return modules is None or any(line.startswith("nf_tables ") for line in modules.splitlines())


def _spelled_out(host: Host, rules: NftRules) -> list[Table]:
    """Tables that iptables wrote into nftables, as iptables-save spells them out; nft names what is in a rule of theirs
    and no more."""
    tables = dict(rules.tables)
    for family in sorted({family for family, _ in rules.foreign}):
        save, _ = _savers(host, family)
        text = "" if save is None else _saved(host, save)
        if "incompatible" in text:
            continue
        for name, table in filter_iptables.parse(text, _FAMILIES[family]).items():
            hooked = rules.foreign.get((family, name))
            if hooked is not None and all(f"\n:{chain} " in text for chain in hooked):
                tables[family, name] = table
    return list(tables.values())


def _saved(host: Host, program_: str) -> str:
    return host.once(program_, lambda: _output(host, program_).decode("utf-8", "replace"))


def _output(host: Host, program_: str, *arguments: str) -> bytes:
    result = host.run([program_, *arguments])
    if result.exit_code != 0:
        raise OSError(f"{program_} ended with exit code {result.exit_code}")
    return result.stdout
