"""What `nft -j list ruleset` says, as far as anybody here looks at it."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct


class NftChain(Struct, kw_only=True):
    family: str
    table: str
    name: str
    type: str = ""
    hook: str = ""
    prio: int = 0
    policy: str = ""


class NftRule(Struct, kw_only=True):
    family: str
    table: str
    chain: str
    expr: list[dict[str, Any]] = msgspec.field(default_factory=list)


class NftSet(Struct, kw_only=True):
    family: str
    table: str
    name: str
    flags: Any = ()
    """A word or several."""
    elem: Any = ()
    """Elements; those of a map as pairs."""


class Item(Struct, kw_only=True):
    chain: NftChain | None = None
    rule: NftRule | None = None
    set: NftSet | None = None
    map: NftSet | None = None


class Listing(Struct, kw_only=True):
    nftables: list[Item]


def listing(data: bytes) -> list[Item]:
    """Raises msgspec.DecodeError for another shape."""
    return msgspec.json.decode(data, type=Listing).nftables
