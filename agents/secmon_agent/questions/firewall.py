"""The running Windows firewall, and other makers' firewalls that the Security Center knows.

Made from documentation of MSFT_NetFirewallProfile and of what is known of FirewallProduct.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType

from secmon_agent.host import ProbeError
from secmon_agent.questions import com, wmi

SECURITY_CENTER: Final = r"root\SecurityCenter2"
_NAMESPACE: Final = r"root\StandardCimv2"
_CLASS: Final = "MSFT_NetFirewallProfile"
_PROFILES: Final = "SELECT Name, Enabled, DefaultInboundAction FROM MSFT_NetFirewallProfile"
_FORWARD_ONLY: Final = 0x30


class Profile(Struct, frozen=True, kw_only=True):
    name: str
    """`Domain`, `Private`, `Public`."""
    enabled: int
    """0 no, 1 yes, 2 not configured."""
    inbound: int
    """0 not configured, 2 allow, 4 block."""


class Registered(Struct, frozen=True, kw_only=True):
    """A product of the Security Center."""

    name: str
    guid: str
    state: int
    """productState; its bits are undocumented."""


class FirewallAnswer(Struct, frozen=True, kw_only=True):
    profiles: tuple[Profile, ...] | UnsetType = UNSET
    products: tuple[Registered, ...] | UnsetType = UNSET


def answer() -> FirewallAnswer:
    """Each part for itself: servers have no Security Center."""
    return FirewallAnswer(profiles=_profiles(), products=registered("FirewallProduct"))


def registered(wql_class: str) -> tuple[Registered, ...] | UnsetType:
    """Products of the Security Center; UNSET where it does not answer."""
    try:
        rows = wmi.query(SECURITY_CENTER, wql_class, ["displayName", "instanceGuid", "productState"])
    except ProbeError:
        return UNSET
    return tuple(
        Registered(name=row["displayName"], guid=row.get("instanceGuid", ""), state=com.unsigned(row["productState"]))
        for row in rows
        if "displayName" in row and "productState" in row
    )


def _profiles() -> tuple[Profile, ...] | UnsetType:
    try:
        with com.asking(rf"WMI {_NAMESPACE}:{_CLASS}"):
            return tuple(_profile(row) for row in _active())
    except ProbeError:
        return UNSET


def _active() -> list[Any]:
    """Of the ActiveStore, in which all policies are merged. Without this context the class tells the machine's own
    settings alone."""
    from win32com.client import Dispatch

    context = Dispatch("WbemScripting.SWbemNamedValueSet")
    context.Add("PolicyStore", "ActiveStore")
    return list(wmi.connected(_NAMESPACE).ExecQuery(_PROFILES, "WQL", _FORWARD_ONLY, context))


def _profile(row: Any) -> Profile:
    name, enabled, inbound = (
        row.Properties_.Item(field).Value for field in ("Name", "Enabled", "DefaultInboundAction")
    )
    return Profile(name=str(name), enabled=int(enabled), inbound=int(inbound))
