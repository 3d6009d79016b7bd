"""Where this machine stands: which of the office's zones its own addresses lie in."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence

import psutil

from secmon.config import Config, Zone
from secmon.errors import UsageError


def own_addresses() -> list[str]:
    """Addresses of every interface of this machine."""
    found = (address.address for addresses in psutil.net_if_addrs().values() for address in addresses)
    return [address for address in found if _is_address(address)]


def zones_of(addresses: Iterable[str], zones: Sequence[Zone]) -> Mapping[str, str]:
    """One of the addresses for each zone that has any. Where networks lie within each other the smallest counts."""
    networks = [(ipaddress.ip_network(network), zone.id) for zone in zones for network in zone.networks]
    networks.sort(key=lambda each: each[0].prefixlen, reverse=True)
    found: dict[str, str] = {}
    for address in addresses:
        parsed = ipaddress.ip_address(address)
        zone = next((zone for network, zone in networks if parsed in network), None)
        if zone is not None:
            found.setdefault(zone, address)
    return found


def stand_in_one_zone(config: Config, addresses: Iterable[str]) -> None:
    """Raises UsageError for a collector that would join two zones, which are separate on purpose."""
    found = zones_of(addresses, config.zones)
    if len(found) > 1:
        seen = ", ".join(f"{address} in {zone}" for zone, address in sorted(found.items()))
        raise UsageError(
            f"this machine has addresses in {len(found)} zones ({seen}); a collector stands in one: "
            "take it out of the others, or correct zones.networks"
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
