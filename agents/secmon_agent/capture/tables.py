"""Files whose shape says where the personal parts stand, and files that hold far more than a probe looks for."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

from secmon_agent.probes.deb822 import package_name, stanzas

if TYPE_CHECKING:
    from secmon_agent.capture.addresses import Addresses

Name = Callable[[str], str]
"""What a login name becomes."""

_FIRST_PERSON: Final = 1000
_BULK: Final = re.compile(
    rb"^(?:Description|Maintainer|Original-Maintainer|Homepage|Tag|Conffiles|Filename|MD5sum|SHA1|SHA256|SHA512"
    rb"|Description-md5|Depends|Pre-Depends|Recommends|Suggests|Breaks|Conflicts|Replaces|Enhances|Provides|Size"
    rb"|Installed-Size|Section|Priority|Bugs|Task):[^\n]*(?:\n[ \t][^\n]*)*\n?",
    re.MULTILINE | re.IGNORECASE,
)
"""Fields that no probe reads."""


def passwd(text: str, name: Name) -> str:
    """Without full names; what a person is called stands in the home, too."""
    return _rows(text, 7, partial(_passwd, name=name))


def _passwd(row: list[str], name: Name) -> list[str]:
    home = row[5].replace(row[0], name(row[0])) if len(row[0]) > 1 else row[5]
    person = row[2].isdecimal() and int(row[2]) >= _FIRST_PERSON
    return [name(row[0]), hash_hidden(row[1]), row[2], row[3], "", home if person else row[5], row[6]]


def shadow(text: str, name: Name) -> str:
    return _rows(text, 9, lambda row: [name(row[0]), hash_hidden(row[1]), *row[2:]])


def group(text: str, name: Name) -> str:
    """Of /etc/gshadow, too, which has the administrators where the other has the number."""
    return _rows(text, 4, lambda row: [name(row[0]), hash_hidden(row[1]), _names(row[2], name), _names(row[3], name)])


def _names(field: str, name: Name) -> str:
    return ",".join(name(it) if it else it for it in field.split(","))


def _rows(text: str, length: int, change: Callable[[list[str]], list[str]]) -> str:
    lines = [line.split(":") for line in text.split("\n")]
    return "\n".join(":".join(change(row) if len(row) == length else row) for row in lines)


def hash_hidden(field: str) -> str:
    """A password field that says as much of the password's state as before, and nothing of the password."""
    locks = field[: len(field) - len(field.lstrip("!"))]
    rest = field[len(locks) :]
    if len(rest) <= 2 or rest[0] in "*x":
        return field
    method = re.match(r"\$[0-9a-z]{1,8}\$", rest)
    return locks + (method[0] if method else "") + "redacted"


def environment(data: bytes) -> bytes:
    """Of pid 1: only what names a container runtime."""
    return b"".join(part + b"\0" for part in data.split(b"\0") if part.startswith(b"container="))


def sockets(text: str, addresses: Addresses) -> str:
    """/proc/net/tcp and its like: sockets that wait; connections say who talks with whom, and are left out."""
    head, *rows = text.splitlines()[: 1 << 20] or [""]
    kept = [head]
    for row in rows:
        words = row.split()
        if len(words) >= 10 and words[2].endswith(":0000"):
            address, _, port = words[1].partition(":")
            kept.append(row.replace(words[1], f"{_hex_words(address, addresses)}:{port}", 1))
    return "\n".join(kept) + "\n"


def routes(text: str, addresses: Addresses) -> str:
    """/proc/net/route: destination and next hop stand in columns 2 and 3."""
    lines = text.splitlines()
    rows = [line.split("\t") for line in lines[1:]]
    changed = [
        "\t".join([row[0], _hex_words(row[1], addresses), _hex_words(row[2], addresses), *row[3:]])
        if len(row) > 3
        else "\t".join(row)
        for row in rows
    ]
    return "\n".join([*lines[:1], *changed]) + "\n"


def hex_addresses(text: str, addresses: Addresses) -> str:
    """/proc/net/if_inet6 and ipv6_route: IPv6 addresses as 32 digits in the order of the network."""
    return re.sub(
        r"\b[0-9a-f]{32}\b", lambda found: f"{int(addresses.ipv6(IPv6Address(int(found[0], 16)))):032x}", text
    )


def _hex_words(text: str, addresses: Addresses) -> str:
    """The kernel writes each 32-bit word in the machine's byte order."""
    if not re.fullmatch(r"[0-9A-Fa-f]{8}|[0-9A-Fa-f]{32}", text):
        return text
    raw = _swapped(bytes.fromhex(text))
    new = addresses.ipv4(IPv4Address(raw)) if len(raw) == 4 else addresses.ipv6(IPv6Address(raw))
    return _swapped(new.packed).hex().upper()


def _swapped(raw: bytes) -> bytes:
    words = struct.unpack(f"<{len(raw) // 4}I", raw)
    return struct.pack(f">{len(words)}I", *words)


def connection(raw: bytes, change: Callable[[str], str]) -> bytes:
    """Windows' binary proxy settings: version, count and flags, then up to three texts (proxies, exceptions, address of
    a script), each after its length, then what no probe reads. From a length that does not fit on it stays as it is."""
    done, rest = raw[:12], raw[12:]
    for _ in range(3):
        length = int.from_bytes(rest[:4], "little")
        if len(rest) < 4 or length > len(rest) - 4:
            break
        text = change(rest[4 : 4 + length].decode("latin-1")).encode("latin-1", "replace")
        done, rest = done + struct.pack("<I", len(text)) + text, rest[4 + length :]
    return done + rest


def dpkg_status(data: bytes) -> bytes:
    return b"\n\n".join(_lean(stanza) for stanza in stanzas([data])) + b"\n"


def package_list(chunks: Iterator[bytes], installed: frozenset[bytes]) -> bytes:
    """Of the many thousand packages that an archive offers those that are installed here."""
    return b"".join(_lean(stanza) + b"\n\n" for stanza in stanzas(chunks) if package_name(stanza) in installed)


def installed_names(status: bytes) -> frozenset[bytes]:
    return frozenset(package_name(stanza) for stanza in stanzas([status]))


def _lean(stanza: bytes) -> bytes:
    return _BULK.sub(b"", stanza.strip(b"\n") + b"\n").rstrip(b"\n")


def release(data: bytes) -> bytes:
    """An archive's Release file without the list of its files."""
    return re.split(rb"^(?:MD5Sum|SHA1|SHA256|SHA512):", data, maxsplit=1, flags=re.MULTILINE)[0]


CONNECTIONS: Final = frozenset(("winhttpsettings", "defaultconnectionsettings"))
"""Registry values in the form of `connection`, in lower case."""
TEXTS: Final[Mapping[str, Callable[[str, Name], str]]] = {
    "/etc/passwd": passwd,
    "/etc/shadow": shadow,
    "/etc/group": group,
    "/etc/gshadow": group,
}
KERNEL: Final[Mapping[str, Callable[[str, Addresses], str]]] = {
    **dict.fromkeys(("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6"), sockets),
    "route": routes,
    "if_inet6": hex_addresses,
    "ipv6_route": hex_addresses,
}
"""By name in /proc/net."""
