"""Web proxies of Windows: of its services, of everybody by policy, of the people who are logged on."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from secmon_agent.facts import Proxy
from secmon_agent.host import Host
from secmon_agent.probes.host_windows import subkeys_if_any, values_if_any
from secmon_agent.probes.proxy_address import proxy_list
from secmon_agent.registry import HKLM, HKU, Value, lookup, number, text

_OWN: Final = r"Microsoft\Windows\CurrentVersion\Internet Settings"
_MACHINE: Final = rf"{HKLM}\SOFTWARE\{_OWN}"
_MACHINE_POLICY: Final = rf"{HKLM}\SOFTWARE\Policies\{_OWN}"
_USES_PROXY, _USES_SCRIPT, _DETECTS = 2, 4, 8
"""Flags in the binary settings."""


class Connection(NamedTuple):
    """What one of the binary settings says; flags are 0 where there is none that can be read."""

    flags: int
    servers: str


def proxies_windows(host: Host) -> tuple[Proxy, ...]:
    people = [sid for sid in subkeys_if_any(host, HKU) if re.fullmatch(r"S-1-(5-21|12-1)-[0-9-]+", sid)]
    found = [_services(host), *(_person(host, sid) for sid in people)]
    if number(values_if_any(host, _MACHINE_POLICY), "ProxySettingsPerUser") == 0:
        found.append(_settings(host, "machine", _MACHINE, _MACHINE_POLICY))
    return tuple(dict.fromkeys(proxy for proxy in found if proxy and _says_anything(proxy)))


def parse_connection(raw: Value | None) -> Connection:
    """Source: WinHttpSettings and DefaultConnectionSettings: version, count, flags, length and text of the proxies."""
    if not isinstance(raw, bytes) or len(raw) < 16:
        return Connection(0, "")
    _, _, flags, length = struct.unpack_from("<4I", raw)
    if length > len(raw) - 16:
        return Connection(0, "")
    return Connection(flags, raw[16 : 16 + length].decode("ascii", "replace"))


def _services(host: Host) -> Proxy:
    found = parse_connection(lookup(values_if_any(host, rf"{_MACHINE}\Connections"), "WinHttpSettings"))
    return Proxy(source="winhttp", addresses=proxy_list(found.servers) if found.flags & _USES_PROXY else ())


def _person(host: Host, sid: str) -> Proxy | None:
    """None for somebody who has logged off meanwhile, or whose settings are hidden."""
    try:
        return _settings(host, "user", rf"{HKU}\{sid}\Software\{_OWN}", rf"{HKU}\{sid}\Software\Policies\{_OWN}")
    except PermissionError:
        return None


def _settings(host: Host, source: Literal["machine", "user"], own: str, policy: str) -> Proxy:
    """A policy's value goes before the person's own."""
    values: Mapping[str, Value] = {**values_if_any(host, own), **values_if_any(host, policy)}
    connection = parse_connection(lookup(values_if_any(host, rf"{own}\Connections"), "DefaultConnectionSettings"))
    return Proxy(
        source=source,
        addresses=proxy_list(text(values, "ProxyServer") or "") if number(values, "ProxyEnable") else (),
        auto_config=text(values, "AutoConfigURL") is not None or bool(connection.flags & _USES_SCRIPT),
        auto_detect=bool(connection.flags & _DETECTS),
    )


def _says_anything(proxy: Proxy) -> bool:
    return bool(proxy.addresses) or proxy.auto_config is True or proxy.auto_detect is True
