"""Where this agent is enrolled: the collector's address, the CA it trusts, and how far the enrollment got."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from secmon_agent import durable
from secmon_agent.config import Config
from secmon_agent.errors import AgentError, ConfigError, StorageError

IDENTITY_FILE = "identity.json"


class Identity(Struct, frozen=True, kw_only=True, omit_defaults=True):
    host: str
    port: int
    ca_sha256: bytes
    """SHA-256 of `ca`, as the enrollment string named it."""
    ca: bytes
    """Certificate of the site CA in DER."""
    next_ca: bytes = b""
    """The one that is to succeed it, or did, once `ca` has vouched for it."""
    status: Literal["pending", "enrolled"]
    token: str = ""
    """Kept only while the enrollment is pending, so that it can be asked for again."""
    asset_number: str = ""
    """As it was given at enrollment; kept as long as the token."""
    reason: str = ""
    """Why it is pending."""
    collector_id: bytes = b""
    key_id: bytes = b""
    """Of the key that was enrolled, or that followed it; empty where an earlier version enrolled."""
    enrolled_at: datetime | None = None
    key_since: datetime | None = None
    """When the collector took this key, by its clock; None where an earlier version enrolled."""

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def load(state_dir: Path) -> Identity | None:
    path = state_dir / IDENTITY_FILE
    data = durable.read(path)
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=Identity)
    except (msgspec.DecodeError, ValueError) as error:
        raise AgentError(f"{path} cannot be understood ({error}); enroll again") from None


def undamaged(state_dir: Path) -> Identity | None:
    """As `load` for those who write a new one: a file that cannot be understood is moved aside."""
    path = state_dir / IDENTITY_FILE
    try:
        return load(state_dir)
    except StorageError:
        raise
    except AgentError:
        durable.move(path, path.with_name(IDENTITY_FILE + durable.DAMAGED))
        return None


def save(state_dir: Path, identity: Identity) -> None:
    durable.write(state_dir / IDENTITY_FILE, msgspec.json.format(msgspec.json.encode(identity), indent=2) + b"\n")


def trusted(config: Config, identity: Identity) -> list[bytes]:
    """Certificates in DER that the collector's certificate must descend from."""
    if config.ca_file is not None:
        return certificates(Path(config.ca_file))
    return [ca for ca in (identity.ca, identity.next_ca) if ca]


def certificates(path: Path) -> list[bytes]:
    """Of a file in DER, or of one in PEM, which may hold several."""
    data = durable.read(path)
    if data is None:
        raise ConfigError(f"ca_file {path} does not exist")
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    if begin not in data:
        return [data]
    import ssl

    blocks = [begin + part.split(end)[0] + end for part in data.split(begin)[1:]]
    try:
        return [ssl.PEM_cert_to_DER_cert(block.decode("ascii") + "\n") for block in blocks]
    except ValueError as error:
        raise ConfigError(f"ca_file {path} holds a certificate that cannot be read: {error}") from None
