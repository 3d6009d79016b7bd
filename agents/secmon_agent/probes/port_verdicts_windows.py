"""What the Windows firewall does with those who knock at the ports of this machine, in whatever network it is.

Made from documentation. Everything that may open a port to others must be known before a port is called blocked: the
rules of the machine, of Group Policy and of device management; settings of older kinds make an end of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import UNSET

from secmon_agent.facts import Firewall, FirewallProfile
from secmon_agent.host import Host
from secmon_agent.probes.filter_sources import Family
from secmon_agent.probes.filter_verdict import Verdict
from secmon_agent.probes.firewall_match import WindowsDoor
from secmon_agent.probes.firewall_rule import UNREADABLE, Profile, WindowsRule, parse
from secmon_agent.probes.firewall_verdict import ProfileRules, verdict
from secmon_agent.probes.firewall_windows import LOCAL, POLICY, firewall_windows, profile_keys
from secmon_agent.probes.host_windows import subkeys_if_any, values_if_any
from secmon_agent.probes.services_windows import KEY as SERVICES
from secmon_agent.registry import HKLM, number, text
from secmon_agent.system import Socket

_WINDOWS: Final = HKLM + r"\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
_FOLDERS: Final = HKLM + r"\SOFTWARE\Microsoft\Windows\CurrentVersion"
_HARMLESS: Final = frozenset({"logging", "icmpsettings"})
_OWN_SID: Final = (1, 3)
"""SERVICE_SID_TYPE_UNRESTRICTED and _RESTRICTED."""
_LENDING: Final = "sharedaccess"
"""Opens ports for those who share this machine's connection, without a rule that stands anywhere."""


class WindowsVerdicts:
    """Of one cycle. Everything is read once."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._profiles = _profiles(host)
        self._narrowed = _narrowed(host)
        self._hardened = frozenset(
            rule.service.lower()
            for kind in ("Static", "Configurable")
            for rule in _rules_if_any(host, rf"{LOCAL}\RestrictedServices\{kind}\System") or ()
            if rule.action != "allow"
        )
        self._variables = _variables(host)
        self._own_sid: dict[str, bool] = {}

    def of(self, socket: Socket, services: tuple[str, ...] | None, alone: bool) -> Verdict | None:
        """`alone`: bound to `::` without another socket for IPv4 beside it, so that it may take both."""
        if self._profiles is None or not _is_free(socket, services):
            return None
        door = WindowsDoor(
            socket=socket,
            services=services,
            own_sid=frozenset(name.lower() for name in services or () if self._has_own_sid(name)),
            variables=self._variables,
        )
        families: tuple[Family, ...] = (4, 6) if alone else (6,) if ":" in socket.address else (4,)
        found = {_in_all([verdict(it, door, family) for it in self._profiles]) for family in families}
        said = found.pop() if len(found) == 1 else None
        return said if said == "blocked" or not self._may_be_closed(door) else None

    def _may_be_closed(self, door: WindowsDoor) -> bool:
        """Something beside the rules may shut out those whom they let in."""
        return self._narrowed or bool(self._hardened & {"", "*", *(name.lower() for name in door.services or ())})

    def _has_own_sid(self, name: str) -> bool:
        if name not in self._own_sid:
            self._own_sid[name] = _sid_type(self._host, name) in _OWN_SID
        return self._own_sid[name]


def _sid_type(host: Host, name: str) -> int | None:
    """None where it is not written, or hidden."""
    try:
        return number(values_if_any(host, f"{SERVICES}\\{name}"), "ServiceSidType")
    except PermissionError:
        return None


def _is_free(socket: Socket, services: tuple[str, ...] | None) -> bool:
    """In no container, whose rules stand elsewhere, and none of the services that open ports by themselves. Windows'
    own core and services are never in a container."""
    if _LENDING in {name.lower() for name in services or ()}:
        return False
    return bool(services) or socket.process == "System" or socket.contained is False


def _in_all(found: list[Verdict | None]) -> Verdict | None:
    """The machine goes from one kind of network to another by itself."""
    if None in found:
        return None
    return found[0] if len(set(found)) == 1 else "restricted"


def _profiles(host: Host) -> tuple[ProfileRules, ...] | None:
    """None where something that may open a port cannot be read here."""
    firewall = firewall_windows(host)
    if not _in_charge(host, firewall) or _older_settings(host) or isinstance(firewall.profiles, type(UNSET)):
        return None
    local = _rules_if_any(host, rf"{LOCAL}\FirewallRules")
    if local is None or values_if_any(host, rf"{LOCAL}\Mdm\FirewallRules"):
        return None
    policy = _rules_if_any(host, rf"{POLICY}\FirewallRules") or ()
    return tuple(_profile(host, it, local, policy) for it in firewall.profiles)


def _in_charge(host: Host, firewall: Firewall) -> bool:
    """Windows' own firewall runs, and no other one does its work; only servers need not know of others."""
    running = {name.lower(): state for name, state in host.system.running_services().items()}
    if running.get("mpssvc") is not True:
        return False
    if isinstance(firewall.products, type(UNSET)):
        return (text(values_if_any(host, _WINDOWS), "InstallationType") or "").startswith("Server")
    return all(it.enabled is False for it in firewall.products)


def _older_settings(host: Host) -> bool:
    """Lists of open ports and programs, as Windows XP had them: policies may still set them."""
    policies = (f"{POLICY}\\{name}" for name in ("DomainProfile", "StandardProfile", "PrivateProfile", "PublicProfile"))
    if any(name.lower() not in _HARMLESS for key in policies for name in subkeys_if_any(host, key)):
        return True
    lists = ("AuthorizedApplications", "GloballyOpenPorts")
    return any(
        values_if_any(host, rf"{LOCAL}\{profile}\{name}\List")
        for profile in ("DomainProfile", "StandardProfile", "PublicProfile")
        for name in lists
    )


def _profile(
    host: Host, fact: FirewallProfile, local: tuple[WindowsRule, ...], policy: tuple[WindowsRule, ...]
) -> ProfileRules:
    policy_key, local_key = profile_keys(fact.name)
    said, own = values_if_any(host, policy_key), values_if_any(host, local_key)
    merged = number(said, "AllowLocalPolicyMerge") != 0
    sure = fact.source in ("effective", "policy")
    return ProfileRules(
        name=fact.name,
        enabled=None if isinstance(fact.enabled, type(UNSET)) or not sure else fact.enabled,
        inbound=None if isinstance(fact.inbound, type(UNSET)) else fact.inbound,
        shielded=_shielded(number(said, "DoNotAllowExceptions"), number(own, "DoNotAllowExceptions")),
        rules=_of(fact.name, (*policy, *(local if merged else ()))),
    )


def _shielded(policy: int | None, local: int | None) -> bool | None:
    """Where a policy and the machine do not agree nobody knows here which of them counts."""
    said = {value != 0 for value in (policy, local) if value is not None}
    return said.pop() if len(said) == 1 else None if said else False


def _of(name: Profile, rules: Iterable[WindowsRule]) -> tuple[WindowsRule, ...]:
    return tuple(rule for rule in rules if name in rule.profiles)


def _rules_if_any(host: Host, key: str) -> tuple[WindowsRule, ...] | None:
    try:
        values = host.registry.values(key)
    except FileNotFoundError:
        return None
    parsed = (parse(it) if isinstance(it, str) and "|" in it else UNREADABLE for it in values.values() if it)
    return tuple(rule for rule in parsed if rule is not None)


def _narrowed(host: Host) -> bool:
    """Rules about IPsec, which may turn those away who do not speak it."""
    return any(values_if_any(host, rf"{place}\ConSecRules") for place in (LOCAL, POLICY))


def _variables(host: Host) -> dict[str, str]:
    root = text(values_if_any(host, _WINDOWS), "SystemRoot") or ""
    folders = values_if_any(host, _FOLDERS)
    found = {
        "systemroot": root,
        "windir": root,
        "systemdrive": root[:2],
        "programfiles": text(folders, "ProgramFilesDir") or "",
        "programfiles(x86)": text(folders, "ProgramFilesDir (x86)") or "",
    }
    return {name: value for name, value in found.items() if value}
