"""How the machine is connected. Links into containers (veth) come and go with them and are left out."""

from __future__ import annotations

import re
import socket
from typing import Final, Literal

from msgspec import UNSET, UnsetType

from secmon_agent.facts import Interface, Interfaces
from secmon_agent.host import Host
from secmon_agent.probes.proxies_linux import proxies_linux

Kind = Literal["ethernet", "wifi", "wwan", "bluetooth", "loopback", "tunnel", "bridge", "virtual", "other"]

_CLASS: Final = "/sys/class/net"
_DEVTYPES: Final[dict[str, Kind]] = {
    "wlan": "wifi",
    "wwan": "wwan",
    "bluetooth": "bluetooth",
    "bridge": "bridge",
    "wireguard": "tunnel",
    "vxlan": "tunnel",
    "bond": "virtual",
    "vlan": "virtual",
}
_ARPHRD: Final[dict[int, Kind]] = {
    772: "loopback",
    512: "wwan",
    519: "wwan",
    **dict.fromkeys((768, 769, 776, 778, 823, 65534), "tunnel"),
}
"""Hardware types of the kernel's if_arp.h."""
_ETHERNET: Final = 1
_PERMANENT: Final = "0"
"""Of addr_assign_type: the address is the card's own."""
_IFF_UP: Final = 1
_LINK_SCOPE: Final = 0x20
_TEMPORARY: Final = 0x01
_RESOLVED: Final = "/run/systemd/resolve/resolv.conf"


def interfaces_linux(host: Host) -> Interfaces:
    """Sources: /sys/class/net, /proc/net/{if_inet6,route,ipv6_route}, netlink, /etc/resolv.conf, proxy settings.

    Rights: none.
    """
    addresses = _addresses(host)
    gateways, devices = _default_routes(host)
    names = [name for name in host.listdir(_CLASS) if not name.startswith("veth") and _flags(host, name) is not None]
    return Interfaces(
        interfaces=tuple(_interface(host, name, addresses.get(name, []), gateways.get(name, [])) for name in names),
        dns_servers=dns_servers(host),
        default_route=bool(devices),
        forwarding=_forwarding(host),
        proxies=proxies_linux(host),
    )


def _interface(host: Host, name: str, addresses: list[str], gateways: list[str]) -> Interface:
    kind = _kind(host, name)
    return Interface(
        name=name,
        kind=kind,
        mac=_mac(host, name, kind),
        up=_up(host, name),
        addresses=tuple(addresses),
        gateways=tuple(sorted(set(gateways))),
    )


def _mac(host: Host, name: str, kind: Kind) -> str | UnsetType:
    """A wireless card that is looking for networks wears a new address each time; such a one is left out."""
    mac = (host.text_if_any(f"{_CLASS}/{name}/address") or "").strip().lower()
    assigned = (host.text_if_any(f"{_CLASS}/{name}/addr_assign_type") or "0").strip()
    real = re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", mac) and mac != "00:00:00:00:00:00"
    return mac if real and (kind != "wifi" or assigned == _PERMANENT) else UNSET


def _flags(host: Host, name: str) -> int | None:
    text = (host.text_if_any(f"{_CLASS}/{name}/flags") or "").strip()
    return int(text, 16) if re.fullmatch(r"0x[0-9a-fA-F]+", text) else None


def _up(host: Host, name: str) -> bool:
    state = (host.text_if_any(f"{_CLASS}/{name}/operstate") or "").strip()
    return bool((_flags(host, name) or 0) & _IFF_UP) and state in ("up", "unknown")


def _kind(host: Host, name: str) -> Kind:
    base = f"{_CLASS}/{name}"
    devtype = re.search(r"^DEVTYPE=(\S+)", host.text_if_any(f"{base}/uevent") or "", re.MULTILINE)
    if devtype and devtype[1] in _DEVTYPES:
        return _DEVTYPES[devtype[1]]
    if host.exists(f"{base}/phy80211") or host.exists(f"{base}/wireless"):
        return "wifi"
    if host.exists(f"{base}/bridge"):
        return "bridge"
    if host.exists(f"{base}/tun_flags"):
        return "tunnel"
    text = (host.text_if_any(f"{base}/type") or "").strip()
    number = int(text) if text.isdecimal() else -1
    if number == _ETHERNET:
        return "ethernet" if host.exists(f"{base}/device") else "virtual"
    return _ARPHRD.get(number, "other")


def _addresses(host: Host) -> dict[str, list[str]]:
    """CIDR by interface, without link-local and temporary ones."""
    found: dict[str, list[str]] = {}
    for address in host.system.ipv4_addresses():
        if not address.address.startswith("169.254."):
            found.setdefault(address.interface, []).append(f"{address.address}/{address.prefix}")
    for name, cidr in parse_if_inet6(host.text_if_any("/proc/net/if_inet6") or ""):
        found.setdefault(name, []).append(cidr)
    return found


def parse_if_inet6(text: str) -> list[tuple[str, str]]:
    """(interface, CIDR) of lasting addresses beyond the link."""
    rows = [line.split() for line in text.splitlines()]
    return [
        (row[5], f"{socket.inet_ntop(socket.AF_INET6, bytes.fromhex(row[0]))}/{int(row[2], 16)}")
        for row in rows
        if len(row) >= 6 and int(row[3], 16) != _LINK_SCOPE and not int(row[4], 16) & _TEMPORARY
    ]


def _default_routes(host: Host) -> tuple[dict[str, list[str]], set[str]]:
    """Next hops by interface, and the interfaces that have a default route with or without one."""
    gateways: dict[str, list[str]] = {}
    devices: set[str] = set()
    rows4 = parse_route(host.text_if_any("/proc/net/route", 8 << 20) or "")
    rows6 = parse_ipv6_route(host.text_if_any("/proc/net/ipv6_route", 8 << 20) or "")
    for name, gateway in rows4 + rows6:
        devices.add(name)
        if gateway:
            gateways.setdefault(name, []).append(gateway)
    return gateways, devices


def parse_route(text: str) -> list[tuple[str, str]]:
    """(interface, next hop or "") of IPv4 default routes."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return [
        (row[0], socket.inet_ntoa(bytes.fromhex(row[2])[::-1]) if int(row[3], 16) & 2 else "")
        for row in rows
        if len(row) >= 8 and row[1] == "00000000" and row[7] == "00000000" and int(row[3], 16) & 1
    ]


def parse_ipv6_route(text: str) -> list[tuple[str, str]]:
    """(interface, next hop or "") of IPv6 default routes. The kernel's own "unreachable" entry on lo is none."""
    rows = [line.split() for line in text.splitlines()]
    return [
        (row[9], socket.inet_ntop(socket.AF_INET6, bytes.fromhex(row[4])) if int(row[8], 16) & 2 else "")
        for row in rows
        if len(row) >= 10 and set(row[0]) == {"0"} and row[1] == "00" and row[9] != "lo" and int(row[8], 16) & 1
    ]


def dns_servers(host: Host) -> tuple[str, ...]:
    """Where names are asked; behind systemd-resolved the servers that it asks."""
    found = _nameservers(host.text_if_any("/etc/resolv.conf") or "")
    if "127.0.0.53" in found:
        found = _nameservers(host.text_if_any(_RESOLVED) or "") or found
    return tuple(dict.fromkeys(found))


def _nameservers(text: str) -> list[str]:
    return re.findall(r"^[ \t]*nameserver[ \t]+([0-9A-Fa-f:.]+)", text, re.MULTILINE)


def _forwarding(host: Host) -> bool | UnsetType:
    names = ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding")
    values = [text.strip() for name in names if (text := host.text_if_any(name)) is not None]
    return any(value not in ("", "0") for value in values) if values else UNSET
