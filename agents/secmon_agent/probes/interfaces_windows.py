"""How the machine is connected."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from msgspec import UNSET, Struct, UnsetType

from secmon_agent.facts import Interface, Interfaces
from secmon_agent.host import Host
from secmon_agent.probes.host_windows import subkeys_if_any, values_if_any
from secmon_agent.probes.proxies_windows import proxies_windows
from secmon_agent.probes.services_state import runs
from secmon_agent.registry import HKLM, number, text
from secmon_agent.system import Adapter

Kind = Literal["ethernet", "wifi", "wwan", "bluetooth", "loopback", "tunnel", "bridge", "virtual", "other"]

_SYSTEM: Final = HKLM + r"\SYSTEM\CurrentControlSet"
_NET: Final = "{4D36E972-E325-11CE-BFC1-08002BE10318}"
"""Setup class of network adapters."""
_TCPIP: Final = rf"{_SYSTEM}\Services\Tcpip\Parameters"
_ETHERNET: Final = 6
_IF_TYPES: Final[Mapping[int, Kind]] = {
    6: "ethernet", 23: "tunnel", 24: "loopback", 53: "virtual", 71: "wifi", 131: "tunnel", 243: "wwan", 244: "wwan",
}  # fmt: skip
"""IANA interface types."""
_UNASKED: Final = re.compile(r"fec0:0:0:ffff::[123]")
"""DNS servers that Windows lists for an adapter that has been told none for IPv6."""


class _Device(Struct, frozen=True, kw_only=True):
    """What the registry knows of an adapter's driver, in lower case; empty where it knows nothing."""

    component: str
    instance: str


def interfaces_windows(host: Host) -> Interfaces:
    """Sources: GetAdaptersAddresses, GetIpInterfaceEntry; registry, `Control\\Class`, `Control\\Network`,
    `Tcpip\\Parameters`, `Internet Settings`; service manager.

    Rights: LocalSystem for the proxies of every person who is logged on; others see their own.
    """
    components = _components(host)
    adapters = host.system.adapters()
    found = [_interface(adapter, _device(host, adapter, components)) for adapter in adapters]
    return Interfaces(
        interfaces=tuple(found),
        dns_servers=_dns(adapters),
        default_route=True if any(it.up and it.gateways for it in found) else UNSET,
        forwarding=_forwarding(host, adapters),
        sharing=runs(host, "SharedAccess"),
        proxies=proxies_windows(host),
    )


def _interface(adapter: Adapter, device: _Device) -> Interface:
    mac = adapter.mac if adapter.mac and adapter.mac != "00:00:00:00:00:00" else UNSET
    kind = _kind(adapter, device)
    return Interface(
        name=adapter.name,
        kind=kind,
        mac=UNSET if kind == "loopback" else mac,
        up=adapter.up,
        addresses=tuple(text for text in adapter.addresses if not re.match(r"fe80:|169\.254\.", text.lower())),
        gateways=adapter.gateways,
    )


def _components(host: Host) -> dict[str, str]:
    """Hardware id of each adapter's driver, by upper-case GUID."""
    root = rf"{_SYSTEM}\Control\Class\{_NET}"
    numbered = (name for name in subkeys_if_any(host, root) if re.fullmatch(r"\d{4}", name))
    rows = [values_if_any(host, f"{root}\\{name}") for name in numbered]
    pairs = ((text(row, "NetCfgInstanceId"), text(row, "ComponentId")) for row in rows)
    return {guid.upper(): component for guid, component in pairs if guid and component}


def _device(host: Host, adapter: Adapter, components: Mapping[str, str]) -> _Device:
    guid = (adapter.guid or "").upper()
    connection = values_if_any(host, rf"{_SYSTEM}\Control\Network\{_NET}\{guid}\Connection") if guid else {}
    return _Device(
        component=components.get(guid, "").lower(), instance=(text(connection, "PnpInstanceID") or "").lower()
    )


def _kind(adapter: Adapter, device: _Device) -> Kind | UnsetType:
    """A Bluetooth network calls itself Ethernet: one is told from the other only where the driver is known."""
    if device.component.startswith("bth\\") or device.instance.startswith("bth\\"):
        return "bluetooth"
    if device.component.startswith(("vms_", "root\\vmware", "sun_vbox")):
        return "virtual"
    if adapter.if_type is UNSET or (adapter.if_type == _ETHERNET and not (device.component or device.instance)):
        return UNSET
    return _IF_TYPES.get(adapter.if_type, "other")


def _dns(adapters: Sequence[Adapter]) -> tuple[str, ...] | UnsetType:
    found = [address for it in adapters if it.up for address in it.dns_servers if not _UNASKED.match(address)]
    return tuple(dict.fromkeys(found)) or UNSET


def _forwarding(host: Host, adapters: Sequence[Adapter]) -> bool | UnsetType:
    """One adapter may pass packets on although the machine's setting says no: sharing a connection does that."""
    if number(values_if_any(host, _TCPIP), "IPEnableRouter") or any(it.forwarding is True for it in adapters):
        return True
    return False if adapters and all(it.forwarding is False for it in adapters) else UNSET
