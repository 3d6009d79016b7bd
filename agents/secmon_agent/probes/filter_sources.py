"""Sets of addresses from which somebody may knock, as ranges of numbers."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final, Literal

Family = Literal[4, 6]
Sources = tuple[tuple[int, int], ...]
"""Ranges, both ends inside; in order, apart from each other. Empty: nobody."""

NOBODY: Final[Sources] = ()
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def sources(ranges: Iterable[tuple[int, int]]) -> Sources:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(it for it in ranges if it[0] <= it[1]):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def union(a: Sources, b: Sources) -> Sources:
    return sources((*a, *b)) if a and b else a or b


def both(a: Sources, b: Sources) -> Sources:
    found, i, k = [], 0, 0
    while i < len(a) and k < len(b):
        first, last = max(a[i][0], b[k][0]), min(a[i][1], b[k][1])
        if first <= last:
            found.append((first, last))
        if a[i][1] < b[k][1]:
            i += 1
        else:
            k += 1
    return tuple(found)


def without(a: Sources, b: Sources) -> Sources:
    return both(a, _others(b)) if a and b else a


def _others(a: Sources) -> Sources:
    edges = [-1, *(edge for pair in a for edge in pair), 1 << 128]
    return tuple((edges[i] + 1, edges[i + 1] - 1) for i in range(0, len(edges), 2) if edges[i] + 1 < edges[i + 1])


def count(a: Sources) -> int:
    return sum(last - first + 1 for first, last in a)


def network(text: str) -> tuple[Family, tuple[int, int]]:
    """An address or network; ValueError for anything else."""
    found: Network = ipaddress.ip_network(text, strict=False)
    return family_of(found), (int(found.network_address), int(found.broadcast_address))


def address_range(first: str, last: str) -> tuple[Family, tuple[int, int]]:
    a, b = ipaddress.ip_address(first), ipaddress.ip_address(last)
    if a.version != b.version:
        raise ValueError("a range over two families of addresses")
    return family_of(a), (int(a), int(b))


def family_of(it: Network | ipaddress.IPv4Address | ipaddress.IPv6Address) -> Family:
    return 4 if it.version == 4 else 6


def _networks(*texts: str) -> Sources:
    return sources(network(text)[1] for text in texts)


MULTICAST: Final[dict[Family, Sources]] = {4: _networks("224.0.0.0/4"), 6: _networks("ff00::/8")}
ANYBODY: Final[dict[Family, Sources]] = {
    4: without(_networks("0.0.0.0/0"), _networks("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3")),
    6: _networks("2000::/3", "fc00::/7", "fe80::/10"),
}
"""Addresses that another machine can have."""
EVERY_BIT: Final[dict[Family, Sources]] = {4: _networks("0.0.0.0/0"), 6: _networks("::/0")}
