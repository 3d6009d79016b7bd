"""How the machine is connected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from msgspec import UNSET, UnsetType

from secmon_agent.facts import Interface, Interfaces
from secmon_agent.host import Host
from secmon_agent.probes.host_windows import subkeys_if_any, values_if_any
from secmon_agent.registry import HKLM, Value, lookup, number, text
from secmon_agent.system import Adapter

Kind = Literal["ethernet", "wifi", "wwan", "bluetooth", "loopback", "tunnel", "bridge", "virtual", "other"]

_SYSTEM: Final = HKLM + r"\SYSTEM\CurrentControlSet"
_NET: Final = "{4D36E972-E325-11CE-BFC1-08002BE10318}"
"""Setup class of network adapters."""
_TCPIP: Final = rf"{_SYSTEM}\Services\Tcpip\Parameters"
_IF_TYPES: Final[dict[int, Kind]] = {
    6: "ethernet", 23: "tunnel", 24: "loopback", 53: "virtual", 71: "wifi", 131: "tunnel", 243: "wwan", 244: "wwan",
}  # fmt: skip
"""IANA interface types."""


def interfaces_windows(host: Host) -> Interfaces:
    """Sources: GetAdaptersAddresses by psutil; registry, `Control\\Network` and `Tcpip\\Parameters`. Only IPv4
    gateways."""
    guids = _guids(host)
    kinds = _kinds(host)
    settings = {name: values_if_any(host, rf"{_TCPIP}\Interfaces\{guid}") for name, guid in guids.items()}
    found = [
        _interface(adapter, kinds.get(guids.get(adapter.name, ""), UNSET), settings.get(adapter.name, {}))
        for adapter in host.system.adapters()
    ]
    live = [settings.get(it.name, {}) for it in found if it.up]
    return Interfaces(
        interfaces=tuple(found),
        dns_servers=_dns(live),
        default_route=True if any(it.up and it.gateways for it in found) else UNSET,
        forwarding=_forwarding(host),
    )


def _interface(adapter: Adapter, kind: Kind | UnsetType, settings: Mapping[str, Value]) -> Interface:
    mac = adapter.mac if adapter.mac and adapter.mac != "00:00:00:00:00:00" else UNSET
    loopback = bool(adapter.addresses) and all(re.match(r"127\.|::1/", address) for address in adapter.addresses)
    gateways = _list(settings, "DefaultGateway") or _list(settings, "DhcpDefaultGateway")
    return Interface(
        name=adapter.name,
        kind="loopback" if loopback else kind,
        mac=UNSET if loopback else mac,
        up=adapter.up,
        addresses=tuple(text for text in adapter.addresses if not re.match(r"fe80:|169\.254\.", text.lower())),
        gateways=tuple(gateways) if settings else UNSET,
    )


def _guids(host: Host) -> dict[str, str]:
    """Upper-case GUID by the name that people see."""
    root = rf"{_SYSTEM}\Control\Network\{_NET}"
    names = {
        guid: text(values_if_any(host, rf"{root}\{guid}\Connection"), "Name") for guid in subkeys_if_any(host, root)
    }
    return {name: guid.upper() for guid, name in names.items() if name}


def _kinds(host: Host) -> dict[str, Kind | UnsetType]:
    """By GUID."""
    root = rf"{_SYSTEM}\Control\Class\{_NET}"
    found: dict[str, Kind | UnsetType] = {}
    for name in subkeys_if_any(host, root):
        if re.fullmatch(r"\d{4}", name):
            values = values_if_any(host, rf"{root}\{name}")
            guid = text(values, "NetCfgInstanceId")
            if guid:
                found[guid.upper()] = _kind(values)
    return found


def _kind(values: Mapping[str, Value]) -> Kind | UnsetType:
    component = (text(values, "ComponentId") or "").lower()
    if component.startswith("bth\\"):
        return "bluetooth"
    if component.startswith(("vms_", "root\\vmware", "sun_vbox")):
        return "virtual"
    number_ = number(values, "*IfType")
    return UNSET if number_ is None else _IF_TYPES.get(number_, "other")


def _list(settings: Mapping[str, Value], name: str) -> list[str]:
    value = lookup(settings, name)
    texts = value if isinstance(value, list) else re.split(r"[ ,]+", value) if isinstance(value, str) else []
    return [address for address in texts if re.fullmatch(r"[0-9A-Fa-f:.]+", address) and address != "0.0.0.0"]  # noqa: S104


def _dns(live: list[dict[str, Value]]) -> tuple[str, ...] | UnsetType:
    found = [address for it in live for address in (_list(it, "NameServer") or _list(it, "DhcpNameServer"))]
    return tuple(dict.fromkeys(found)) or UNSET


def _forwarding(host: Host) -> bool | UnsetType:
    values = values_if_any(host, _TCPIP)
    return bool(number(values, "IPEnableRouter") or 0) if values else UNSET
