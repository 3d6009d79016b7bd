"""Trusting the CA that is to succeed the one that this agent trusts.

What vouches for it is a certificate that the trusted CA issued to a name which holds the successor's SHA-256. Its key
is given away with it: it proves nothing else, and lets the TLS library check the certificate, in a handshake with
ourselves.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ssl
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from secmon_agent import durable, identity, transport
from secmon_agent.errors import AgentError, printable
from secmon_agent.http1 import Connection, HttpError
from secmon_agent.identity import Identity

PATH: Final = "/v1/ca/next"
PROOF_FILE: Final = "successor" + durable.TEMPORARY
"""There while a proof is checked; what is left of it goes with what is left of other writes."""


class Successor(Struct, frozen=True, kw_only=True):
    """Certificates and the key in DER (PKCS #8)."""

    ca: bytes
    proof: bytes
    proof_key: bytes


class RefusedError(AgentError):
    """Nobody who is trusted vouches for it."""


def proof_name(ca: bytes) -> str:
    """Whom the proof for this certificate is issued to: a name that no machine can have."""
    digest = hashlib.sha256(ca).hexdigest()
    return f"{digest[:32]}.{digest[32:]}.successor.secmon.invalid"


def take(state_dir: Path, connection: Connection, where: Identity, sha256: bytes) -> Identity:
    """The identity that trusts this successor, too, durably. Raises AgentError, RefusedError among it."""
    offered = _fetched(connection, where)
    if hashlib.sha256(offered.ca).digest() != sha256:
        raise RefusedError(f"collector {where.address} shows another successor of its CA than it announced")
    by = next((ca for ca in _own(where) if vouches(state_dir, ca, offered)), None)
    if by is None:
        raise RefusedError(f"collector {where.address} shows a successor of its CA for which the CA does not vouch")
    trusting = replace(where, ca=by, ca_sha256=hashlib.sha256(by).digest(), next_ca=offered.ca)
    identity.save(state_dir, trusting)
    return trusting


def _own(where: Identity) -> list[bytes]:
    return [ca for ca in (where.ca, where.next_ca) if ca]


def _fetched(connection: Connection, where: Identity) -> Successor:
    try:
        response = connection.request("GET", PATH, {}, b"", transport.MAX_ANSWER_BYTES)
        if response.status != 200:
            raise RefusedError(f"collector {where.address} announces a successor of its CA and does not show it")
        return msgspec.msgpack.decode(response.body, type=Successor)
    except (OSError, HttpError, msgspec.DecodeError) as error:
        said = printable(transport.explain(error)) if not isinstance(error, msgspec.DecodeError) else "no such message"
        raise transport.TransportError(f"collector {where.address}: the successor of its CA: {said}") from None


def vouches(state_dir: Path, ca: bytes, offered: Successor) -> bool:
    """Whether `ca` (DER) issued the proof for exactly this successor. Raises StorageError."""
    path = state_dir / PROOF_FILE
    durable.write(path, _pem(offered).encode("ascii"))
    try:
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ours.load_cert_chain(path)
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        theirs.load_verify_locations(cadata=ca)
        return _shake_hands(theirs, ours, proof_name(offered.ca))
    except (ssl.SSLError, OSError, ValueError):
        return False
    finally:
        durable.remove(path)


def _pem(offered: Successor) -> str:
    key = base64.encodebytes(offered.proof_key).decode("ascii")
    proof = ssl.DER_cert_to_PEM_cert(offered.proof)
    return f"{proof}-----BEGIN PRIVATE KEY-----\n{key}-----END PRIVATE KEY-----\n"


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> bool:
    """In memory; a few rounds are enough for any version of TLS. Raises SSLError where the client refuses."""
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(one, other, server_hostname=name)
    answering = server.wrap_bio(other, one, server_side=True)
    for _ in range(4):
        with contextlib.suppress(ssl.SSLWantReadError):
            asking.do_handshake()
            return True
        with contextlib.suppress(ssl.SSLWantReadError):
            answering.do_handshake()
    return False
