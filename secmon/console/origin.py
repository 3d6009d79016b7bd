"""Where a request comes from, and whether it is meant for this console."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import TYPE_CHECKING

from secmon.config import Config, parse_address

if TYPE_CHECKING:
    from litestar.datastructures import Headers
    from litestar.types import Scope

_FORWARDING = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?")


def from_loopback(scope: Scope, headers: Headers) -> bool:
    """The request was made on this very machine. What a proxy here passes on was not."""
    client = scope.get("client")
    if client is None or any(name in headers for name in _FORWARDING):
        return False
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def names_of(config: Config) -> frozenset[str]:
    """Names by which this console may be called, lower case."""
    host, _ = parse_address(config.console.address, "console.address")
    return frozenset(name.lower() for name in ("localhost", host, config.ingest.name, socket.gethostname()) if name)


def is_ours(host_header: str, names: frozenset[str]) -> bool:
    """Refuses DNS rebinding: a foreign page can make its own name point here, but cannot make itself an address."""
    form = _HOST.fullmatch(host_header.strip().lower())
    if form is None:
        return False
    name = form["name"].strip("[]")
    if name.rstrip(".") in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
