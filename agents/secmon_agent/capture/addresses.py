"""Network addresses, mapped to those that stand in documentation (RFC 5737, 3849, 7042): the same one always to the
same, neighbours to neighbours. What names no network (loopback, link-local, multicast, masks) stays."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

_NETS4: Final = tuple(int(IPv4Address(text)) >> 8 for text in ("192.0.2.0", "198.51.100.0", "203.0.113.0")) + tuple(
    range(int(IPv4Address("198.18.0.0")) >> 8, (int(IPv4Address("198.19.255.0")) >> 8) + 1)
)
"""Networks of 256 addresses: three for documentation, then those for benchmarks (RFC 2544)."""
_DOC4: Final = frozenset(_NETS4)
_DOC6: Final = 0x20010DB8
_DOC_MAC: Final = "00005e0053"
_DEFAULT_DNS6: Final = 0xFEC000000000FFFF
"""Network of the name servers that Windows itself writes down where nobody named one."""
_SMALL: Final = 1 << 16
"""An interface id below it was given by hand and says nothing of the card."""

_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IPV4: Final = re.compile(rf"(?<![\w.])(?<![A-Za-z][-+~:]){_OCTET}(?:\.{_OCTET}){{3}}(?!\w|\.\d|[+~]|-\d+(?![\d.]))")
"""Not a version number such as 2.36.9.0-9 or foo-1.2.3.4, as far as that can be told."""
_PRIVATE: Final = re.compile(
    rf"(?<![\d.])(?:10\.{_OCTET}|192\.168|172\.(?:1[6-9]|2\d|3[01])|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))"
    rf"(?:\.{_OCTET}){{2}}(?!\d|\.\d)"
)
"""An office's own, wherever they stand."""
_IPV6: Final = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.\d{1,3}){0,3}(?![\w:])")
_MAC: Final = re.compile(r"(?<![0-9A-Fa-f:-])[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4,30}(?![\w:])")


class Addresses:
    def __init__(self) -> None:
        self._nets4: dict[int, int] = {}
        self._nets6: dict[int, int] = {}
        self._cards: dict[int, int] = {}
        self._macs: dict[str, str] = {}

    def __len__(self) -> int:
        """How many networks and cards were replaced so far."""
        return len(self._nets4) + len(self._nets6) + len(self._macs)

    def text(self, text: str) -> str:
        text = _MAC.sub(lambda found: self.mac(found[0]), text)
        text = _IPV6.sub(lambda found: self._written6(found[0]), text)
        text = _IPV4.sub(lambda found: str(self.ipv4(IPv4Address(found[0]))), text)
        return _PRIVATE.sub(lambda found: str(self.ipv4(IPv4Address(found[0]))), text)

    def ipv4(self, address: IPv4Address) -> IPv4Address:
        number = int(address)
        net, last = number >> 8, number & 0xFF
        plain = address.is_loopback or address.is_link_local or address.is_multicast
        if plain or net in _DOC4 or number >> 24 == 0 or number >> 28 == 15:
            return address
        index = self._nets4.setdefault(net, len(self._nets4))
        return IPv4Address(_NETS4[index % len(_NETS4)] << 8 | last)

    def ipv6(self, address: IPv6Address) -> IPv6Address:
        if address.ipv4_mapped is not None:
            return IPv6Address((0xFFFF << 32) | int(self.ipv4(address.ipv4_mapped)))
        number = int(address)
        net, card = number >> 64, number & ((1 << 64) - 1)
        if number >> 96 == _DOC6 or net == _DEFAULT_DNS6 or address.is_multicast or number < _SMALL:
            return address
        if card >= _SMALL:
            card = _SMALL + self._cards.setdefault(card, len(self._cards))
        if address.is_link_local:
            return address if number & ((1 << 64) - 1) < 2 * _SMALL else IPv6Address(net << 64 | card)
        index = self._nets6.setdefault(net, len(self._nets6))
        return IPv6Address(_DOC6 << 96 | (index & 0xFFFFFFFF) << 64 | card)

    def mac(self, text: str) -> str:
        """In the shape that it was written in. Longer rows of bytes (InfiniBand, fingerprints) become zeros."""
        plain = re.sub("[:-]", "", text).lower()
        if set(plain) in ({"0"}, {"f"}) or plain.startswith(_DOC_MAC):
            return text
        if len(plain) != 12:
            return re.sub("[0-9A-Fa-f]", "0", text)
        new = self._macs.setdefault(plain, f"{_DOC_MAC}{len(self._macs) % 256:02x}")
        separator = "-" if "-" in text else ":"
        written = separator.join(new[start : start + 2] for start in range(0, 12, 2))
        return written.upper() if text != text.lower() else written

    def _written6(self, text: str) -> str:
        try:
            address = IPv6Address(text)
        except ValueError:
            return text
        new = self.ipv6(address)
        return text if new == address else str(new)
