"""The Windows firewall: its profiles, as policy and own settings make them, and whether its service runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeVar

from msgspec import UNSET, Struct, UnsetType

from secmon_agent.facts import Firewall, FirewallProduct, FirewallProfile
from secmon_agent.host import Host, UnsupportedError
from secmon_agent.probes import security_center
from secmon_agent.probes.host_windows import values_if_any
from secmon_agent.probes.services_windows import KEY as SERVICES
from secmon_agent.probes.software_windows import normalised
from secmon_agent.questions.firewall import FirewallAnswer, Profile, Registered
from secmon_agent.registry import HKLM, Value, number

Name = Literal["domain", "private", "public"]
Inbound = Literal["block", "allow"]

POLICY: Final = HKLM + r"\SOFTWARE\Policies\Microsoft\WindowsFirewall"
LOCAL: Final = SERVICES + r"\SharedAccess\Parameters\FirewallPolicy"
_SERVICE: Final = "mpssvc"
_KEYS: Final[tuple[tuple[Name, str, str], ...]] = (
    ("domain", "DomainProfile", "DomainProfile"),
    ("private", "PrivateProfile", "StandardProfile"),
    ("public", "PublicProfile", "PublicProfile"),
)
"""Name, key of the policy, key of the machine's own settings."""
_AUTOMATIC: Final = 2
_WRITTEN: Final[dict[int, Inbound]] = {0: "allow", 1: "block"}
_USUAL: Final[Inbound] = "block"
_UNDERSTOOD: Final[dict[str, Inbound]] = {"allow": "allow", "block": "block"}
_RUNNING: Final[dict[int, Inbound]] = {2: "allow", 4: "block"}

T = TypeVar("T")


class _Setting(Struct, frozen=True, kw_only=True):
    """Values of one place; None where it says nothing."""

    enabled: bool | None = None
    inbound: Inbound | Literal["unknown"] | None = None
    """`unknown`: it says something that is not understood."""


def firewall_windows(host: Host) -> Firewall:
    """Sources: MSFT_NetFirewallProfile of the ActiveStore; registry, WindowsFirewall policies and FirewallPolicy; the
    service MpsSvc; FirewallProduct of the Security Center.

    Rights: none; where the running firewall does not answer, what the registry says is told.
    """
    answer = host.once("firewall answer", lambda: _answer(host))
    profiles = _profiles(host, answer)
    start = number(values_if_any(host, f"{SERVICES}\\{_SERVICE}"), "Start")
    running = _running(host)
    if start is None and running is UNSET and all(it.enabled is UNSET for it in profiles):
        raise UnsupportedError("neither the service MpsSvc nor a setting of the Windows firewall is here")
    products = products_of(answer.products)
    here = start is not None or running is not UNSET
    return Firewall(
        backend="windows" if here else UNSET,
        manager="windows" if here else UNSET,
        filtering=filtering(running, profiles, products),
        persistent=UNSET if start is None else start == _AUTOMATIC,
        profiles=tuple(profiles),
        products=products,
    )


def profile_keys(name: Name) -> tuple[str, str]:
    """Of the policy, and of the machine's own settings."""
    return next((f"{POLICY}\\{policy}", f"{LOCAL}\\{local}") for it, policy, local in _KEYS if it == name)


def _answer(host: Host) -> FirewallAnswer:
    try:
        return host.ask("firewall", FirewallAnswer)
    except Exception:  # noqa: BLE001 - whatever becomes of the child process, the registry remains
        return FirewallAnswer()


def _running(host: Host) -> bool | UnsetType:
    try:
        states = {name.lower(): state for name, state in host.system.running_services().items()}
    except PermissionError:
        return UNSET
    return states.get(_SERVICE, UNSET)


def _profiles(host: Host, answer: FirewallAnswer) -> list[FirewallProfile]:
    said = () if isinstance(answer.profiles, UnsetType) else answer.profiles
    running = {it.name.lower(): _of_running(it) for it in said}
    return [
        profile(
            name,
            running.get(name, _Setting()),
            _of_registry(values_if_any(host, f"{POLICY}\\{policy}")),
            _of_registry(values_if_any(host, f"{LOCAL}\\{local}")),
        )
        for name, policy, local in _KEYS
    ]


def _of_running(profile: Profile) -> _Setting:
    """Where the running firewall says "not configured", it says nothing."""
    enabled = {0: False, 1: True}.get(profile.enabled)
    return _Setting(enabled=enabled, inbound=_RUNNING.get(profile.inbound))


def _of_registry(values: Mapping[str, Value]) -> _Setting:
    enabled, inbound = number(values, "EnableFirewall"), number(values, "DefaultInboundAction")
    return _Setting(
        enabled=None if enabled is None else enabled != 0,
        inbound=None if inbound is None else _WRITTEN.get(inbound, "unknown"),
    )


def profile(name: Name, running: _Setting, policy: _Setting, local: _Setting) -> FirewallProfile:
    """The running firewall knows best; a policy that contradicts it leaves the matter open. Nobody writes an action
    for inbound traffic that is the usual one, blocking."""
    source: Literal["effective", "policy", "local"] = (
        "effective" if running.enabled is not None else "policy" if policy.enabled is not None else "local"
    )
    enabled = _agreed(running.enabled, policy.enabled, local.enabled)
    said = _agreed(running.inbound, policy.inbound, local.inbound or _USUAL)
    inbound = UNSET if said is UNSET else _UNDERSTOOD.get(said, UNSET)
    return FirewallProfile(
        name=name,
        enabled=enabled,
        inbound=UNSET if enabled is UNSET else inbound,
        source=UNSET if enabled is UNSET else source,
    )


def _agreed(running: T | None, policy: T | None, local: T | None) -> T | UnsetType:
    if running is not None and policy is not None and running != policy:
        return UNSET
    return next((it for it in (running, policy, local) if it is not None), UNSET)


def products_of(rows: tuple[Registered, ...] | UnsetType) -> tuple[FirewallProduct, ...] | UnsetType:
    if isinstance(rows, UnsetType):
        return UNSET
    return tuple(
        FirewallProduct(name=normalised(row.name), enabled=_is_on(security_center.state(row.state)))
        for row in rows
        if not security_center.from_microsoft(row.state)
    )


def _is_on(state: str | UnsetType) -> bool | UnsetType:
    return UNSET if state is UNSET else state == "on"


def filtering(
    running: bool | UnsetType,
    profiles: list[FirewallProfile],
    products: tuple[FirewallProduct, ...] | UnsetType,
) -> bool | UnsetType:
    """Whether Windows' own firewall filters in every profile, which only the running one or a policy can prove: over
    the machine's own settings others may stand, which the registry does not show here. Where it does not filter and
    another one is registered, only that one could tell."""
    parts = [running, *(it.enabled for it in profiles), *(_blocks(it) for it in profiles)]
    if False not in parts:
        proven = UNSET not in parts and all(it.source != "local" for it in profiles)
        return True if proven else UNSET
    others = () if isinstance(products, UnsetType) else products
    return UNSET if any(it.enabled is not False for it in others) else False


def _blocks(profile: FirewallProfile) -> bool | UnsetType:
    return UNSET if profile.inbound is UNSET else profile.inbound == "block"
