"""The one string that an administrator copies to enroll a machine.

`secmon1/collector.example.lg.jp:8443/<SHA-256 of the site CA, hex>/<token>/<CRC-32, hex>` needs no quoting in sh, cmd,
PowerShell or an MSI property; the checksum tells a string that was cut short from one that the collector refuses.
"""

from __future__ import annotations

import re
import zlib

from msgspec import Struct

_FORM = re.compile(
    r"secmon1/(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(?P<port>\d{1,5})"
    r"/(?P<ca>[0-9a-f]{64})/(?P<token>[A-Za-z0-9_-]{16,100})"
)


class Invitation(Struct, frozen=True, kw_only=True):
    host: str
    """DNS alias or address of the collector; IPv6 without brackets."""
    port: int
    ca_sha256: bytes
    """SHA-256 of the site CA's certificate in DER: the only thing that the agent trusts."""
    token: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        text = f"secmon1/{host}:{self.port}/{self.ca_sha256.hex()}/{self.token}"
        return f"{text}/{zlib.crc32(text.encode()):08x}"


def parse(text: str) -> Invitation:
    """Raises ValueError with a sentence for the person who pasted it."""
    text = text.strip()
    body, _, checksum = text.rpartition("/")
    form = _FORM.fullmatch(body)
    if form is None or f"{zlib.crc32(body.encode()):08x}" != checksum:
        raise ValueError("the enrollment string is incomplete or changed; copy it again as a whole")
    port = int(form["port"])
    if not 0 < port < 65536:
        raise ValueError(f"the enrollment string names port {port}")
    return Invitation(
        host=form["host"].strip("[]"), port=port, ca_sha256=bytes.fromhex(form["ca"]), token=form["token"]
    )
