"""The functions that conditions may call, beyond those of CEL itself. A fault says why there is no answer."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from msgspec import Struct

from secmon.evaluate.kinds import BOOL, DOUBLE, INT, STRING, TIMESTAMP, Kind
from secmon.evaluate.lifecycle import Lifecycle
from secmon.evaluate.versions import version_cmp

CLOCK_TOLERANCE: Final = timedelta(days=1)
"""An instant further in the future than this comes from a wrong clock and proves nothing."""
NO_ADDRESS: Final = "an address is none"


class UndeterminedError(Exception):
    """There is no answer; the text says why, in English, short and stable."""


ZoneNetworks = tuple[tuple[str, str], ...]
"""Network and the id of the zone that it belongs to, as the office's configuration has them."""


class Surroundings(Struct, frozen=True, kw_only=True):
    """What a function may look at besides its arguments."""

    now: datetime
    lifecycle: Lifecycle
    find_zone: Callable[[str], str | None] | None = None
    """The zone of an address, from `zone_finder`; None where no zone has networks."""


class Function(Struct, frozen=True, kw_only=True):
    takes: tuple[tuple[Kind, ...], ...]
    """The kinds allowed for each argument."""
    gives: Kind
    run: Callable[..., object]
    """Called with the surroundings first."""
    needs_now: bool = False
    optional: int = 0
    """How many of the last arguments may be left out."""


def days_since(around: Surroundings, instant: datetime) -> float:
    age = around.now - instant
    if age < -CLOCK_TOLERANCE:
        raise UndeterminedError(f"{day(around, instant)} lies in the future")
    return age / timedelta(days=1)


def days_until(around: Surroundings, instant: datetime) -> float:
    """Negative once it is over."""
    return (instant - around.now) / timedelta(days=1)


def end_of_support(around: Surroundings, product: str, cycle: str, edition: str = "") -> datetime:
    end = around.lifecycle.end_of_support(product, cycle, edition)
    if end is None:
        raise UndeterminedError(f"no end of support is known for {' '.join(filter(None, (product, cycle, edition)))}")
    return end


def is_private(_: Surroundings, address: str) -> bool:
    """The address, with or without the length of its network, is none of the internet's (RFC 1918, 6598, 4193, …)."""
    parsed = _address(address)
    if parsed is None:
        raise UndeterminedError(NO_ADDRESS)
    return not parsed.is_global


def zone_of(around: Surroundings, address: str) -> str:
    """The zone whose network holds the address; the smallest where networks lie within each other; empty for none."""
    if around.find_zone is None:
        raise UndeterminedError("no zone has networks")
    zone = around.find_zone(address)
    if zone is None:
        raise UndeterminedError(NO_ADDRESS)
    return zone


@lru_cache(maxsize=4096)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.partition("/")[0].partition("%")[0])
    except ValueError:
        return None


@lru_cache(maxsize=16)
def zone_finder(networks: ZoneNetworks) -> Callable[[str], str | None] | None:
    """None where there are no networks; the finder gives None for what is no address."""
    if not networks:
        return None
    parsed = sorted(
        ((ipaddress.ip_network(network), zone) for network, zone in networks), key=lambda each: -each[0].prefixlen
    )

    @lru_cache(maxsize=4096)
    def find(text: str) -> str | None:
        address = _address(text)
        return None if address is None else next((zone for network, zone in parsed if address in network), "")

    return find


def day(_: Surroundings, instant: datetime) -> str:
    return instant.date().isoformat()


def string(_: Surroundings, value: int | str) -> str:
    return str(value)


FUNCTIONS: Final[Mapping[str, Function]] = {
    "days_since": Function(takes=((TIMESTAMP,),), gives=DOUBLE, run=days_since, needs_now=True),
    "days_until": Function(takes=((TIMESTAMP,),), gives=DOUBLE, run=days_until, needs_now=True),
    "day": Function(takes=((TIMESTAMP,),), gives=STRING, run=day),
    "end_of_support": Function(
        takes=((STRING,), (STRING,), (STRING,)), gives=TIMESTAMP, run=end_of_support, optional=1
    ),
    "is_private": Function(takes=((STRING,),), gives=BOOL, run=is_private),
    "zone_of": Function(takes=((STRING,),), gives=STRING, run=zone_of),
    "string": Function(takes=((INT, STRING),), gives=STRING, run=string),
    "version_cmp": Function(takes=((STRING,), (STRING,)), gives=INT, run=lambda _, a, b: version_cmp(a, b)),
    "size": Function(takes=((STRING, Kind(name="list")),), gives=INT, run=lambda _, value: len(value)),
}
METHODS: Final[Mapping[str, Function]] = {
    "contains": Function(takes=((STRING,), (STRING,)), gives=BOOL, run=lambda _, text, part: part in text),
    "startsWith": Function(takes=((STRING,), (STRING,)), gives=BOOL, run=lambda _, text, part: text.startswith(part)),
    "endsWith": Function(takes=((STRING,), (STRING,)), gives=BOOL, run=lambda _, text, part: text.endswith(part)),
}
REGISTERED: Final = frozenset(
    {"days_since", "days_until", "day", "end_of_support", "is_private", "version_cmp", "zone_of"}
)
"""Those that CEL does not bring itself."""
