"""A rule of the Windows firewall, as the registry keeps it: `v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|…`.

Made from documentation of the Firewall and Advanced Security Protocol (MS-FASP).
"""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import Struct

from secmon_agent.probes.filter_sources import Family, Sources, address_range, network, sources

Profile = Literal["domain", "private", "public"]
Action = Literal["allow", "block", "bypass"]

_EVERYWHERE: Final = frozenset[Profile](("domain", "private", "public"))
_SILENT: Final = frozenset({"name", "desc", "embedctxt", "edge", "defer", "active", "dir"})
"""Parts that do not narrow what comes in from outside."""
_PACKAGE: Final = frozenset({"apppkgid", "pfn"})
_PROFILES: Final[dict[str, Profile]] = {"domain": "domain", "private": "private", "public": "public"}
_ACTIONS: Final[dict[str, Action]] = {"allow": "allow", "block": "block", "bypass": "bypass"}
_FEW: Final = frozenset({"localsubnet", "dns", "dhcp", "wins", "defaultgateway"})
"""Words for some neighbours, never for most of the world."""
_ANY_PROTOCOL: Final = 256


class Remote(Struct, frozen=True, kw_only=True):
    """From where; as far as `known`."""

    ranges: Sources = ()
    few: bool = False
    """Some more, by a word for them."""
    known: bool = True


class WindowsRule(Struct, frozen=True, kw_only=True):
    """One that is active, for what comes in."""

    action: Action
    profiles: frozenset[Profile] = _EVERYWHERE
    protocol: int | None = None
    """None: every one."""
    ports: tuple[str, ...] = ()
    """Numbers, ranges or words; empty: every one."""
    remote: dict[Family, Remote] | None = None
    """None: from everywhere; a family that is missing does not come in."""
    program: str = ""
    """Path, or `System`; empty: every one."""
    service: str = ""
    """Its name, or `*` for any; empty: no service needed."""
    package: bool = False
    """Only for programs of one package, in a container."""
    certain: bool = True
    """All that narrows it stands above."""


UNREADABLE: Final = WindowsRule(action="bypass", certain=False)
"""May do anything to anybody."""


def parse(text: str) -> WindowsRule | None:
    """None for a rule that does not count: switched off, or for what goes out."""
    words = [part.partition("=") for part in text.split("|")[1:] if part.strip()]
    said: dict[str, list[str]] = {}
    for name, _, value in words:
        said.setdefault(name.strip().lower(), []).append(value.strip())
    if said.get("active", [""])[0].lower() == "false" or said.get("dir", [""])[0].lower() == "out":
        return None
    ports = [port for name in tuple(said) if re.fullmatch(r"lport(2_\d+)?", name) for port in said.pop(name)]
    remote = {name: said.pop(name) for name in tuple(said) if re.fullmatch(r"ra[46](2_?\d*)?", name)}
    action = _ACTIONS.get(said.pop("action", [""])[0].lower())
    protocol = _number(said.pop("protocol", [str(_ANY_PROTOCOL)])[0])
    profiles = [_PROFILES.get(name.lower()) for name in said.pop("profile", [])]
    programs, services = said.pop("app", [""]), said.pop("svc", [""])
    complete = {"active", "dir"} <= said.keys() and action is not None and protocol is not None
    package = bool(_PACKAGE & said.keys())
    odd = [name for name in said if name not in _SILENT | _PACKAGE and not _always(name, said)]
    return WindowsRule(
        action=action or "bypass",
        profiles=_EVERYWHERE if None in profiles else frozenset(it for it in profiles if it) or _EVERYWHERE,
        protocol=None if protocol == _ANY_PROTOCOL else protocol,
        ports=tuple(part.strip() for port in ports for part in port.split(",")),
        remote=_remote(remote) if remote else None,
        program=programs[0],
        service=services[0],
        package=package,
        certain=complete and not odd and None not in profiles and len(programs) == len(services) == 1,
    )


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,3}", text) else None


def _always(name: str, said: dict[str, list[str]]) -> bool:
    """A demand on Windows' version that every one with this agent meets: at least some version up to 10.0."""
    if name == "platform2":
        return said[name] == ["GTEQ"] and "platform" in said
    return (
        name == "platform"
        and said.get("platform2") == ["GTEQ"]
        and all(re.fullmatch(r"2:(6|10):\d", it) for it in said[name])
    )


def _remote(said: dict[str, list[str]]) -> dict[Family, Remote]:
    found: dict[Family, Remote] = {}
    for name, values in said.items():
        of: Family = 4 if name[2] == "4" else 6
        old = found.get(of, Remote())
        parts = [_one(part.strip(), of) for value in values for part in value.split(",")]
        found[of] = Remote(
            ranges=sources([*old.ranges, *(range_ for it in parts for range_ in it.ranges)]),
            few=old.few or any(it.few for it in parts),
            known=old.known and all(it.known for it in parts),
        )
    return found


def _one(text: str, of: Family) -> Remote:
    if text.lower() in _FEW:
        return Remote(few=True)
    try:
        family, ends = address_range(*text.split("-")) if "-" in text else network(text)
    except (ValueError, TypeError):
        return Remote(known=False)
    return Remote(ranges=sources([ends])) if family == of else Remote(known=False)
