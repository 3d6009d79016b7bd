"""The CA that is to succeed the site's: made and vouched for by it, offered to every agent, then put in its place.

Until `switch` the present CA issues the server's certificate. An agent that took the successor trusts both.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from secmon.certificates import (
    CA_DAYS,
    alone,
    make_ca,
    make_server,
    names_of,
    server_names,
    tls_folder,
    write_private,
)
from secmon.config import Config
from secmon.errors import Failure
from secmon_agent.successor import Successor, proof_name

CA_FILE, KEY_FILE, OFFER_FILE = "next-ca.pem", "next-ca.key", "next-ca.offer"
"""The last one is written last and removed first: without it there is no successor."""


def offered(config: Config) -> Successor | None:
    """The successor as agents get it; None where there is none. Raises Failure for a damaged file."""
    path = tls_folder(config) / OFFER_FILE
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Successor)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise Failure(f"{path} cannot be understood: {error}; remove it and run `secmon ca renew` again") from None


def renew(config: Config, now: datetime) -> Successor:
    """Make a successor and offer it from now on. Raises Failure."""
    folder = _folder(config)
    with alone(folder):
        if offered(config) is not None:
            raise Failure("there is a successor already; see `secmon ca show`")
        ca, ca_key = _present(folder)
        make_ca(folder / CA_FILE, folder / KEY_FILE, config.office.name, now)
        der = _der(folder / CA_FILE)
        proof, proof_key = folder / "next-ca.proof", folder / "next-ca.proof-key"
        make_server(proof, proof_key, ca, ca_key, [proof_name(der)], now, CA_DAYS)
        key = serialization.load_pem_private_key(proof_key.read_bytes(), password=None).private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        made = Successor(ca=der, proof=_der(proof), proof_key=key)
        for path in (proof, proof_key):
            path.unlink()
        write_private(folder / OFFER_FILE, msgspec.msgpack.encode(made))
    return made


def switch(config: Config, now: datetime) -> bytes:
    """Put the successor into the place of the CA, and let it issue the server's certificate; its SHA-256."""
    folder = _folder(config)
    with alone(folder):
        made = offered(config)
        if made is None:
            raise Failure("there is no successor; make one with `secmon ca renew`")
        before, _ = _present(folder)
        names = sorted(names_of(folder / "server.pem", before) | set(server_names(config)))
        for source, target in ((KEY_FILE, "ca.key"), (CA_FILE, "ca.pem")):
            write_private(folder / target, (folder / source).read_bytes())
        ca, ca_key = _present(folder)
        make_server(folder / "server.pem", folder / "server.key", ca, ca_key, names, now)
        for name in (OFFER_FILE, CA_FILE, KEY_FILE):
            (folder / name).unlink()
    return hashlib.sha256(made.ca).digest()


def _folder(config: Config) -> Path:
    if config.ingest.certificate:
        raise Failure("the certificates are the office's own (ingest.certificate); secmon has no CA to succeed")
    folder = tls_folder(config)
    if not (folder / "ca.key").exists():
        raise Failure(f"there is no CA in {folder} yet; start the collector first")
    return folder


def _present(folder: Path) -> tuple[x509.Certificate, Path]:
    return x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes()), folder / "ca.key"


def _der(path: Path) -> bytes:
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(serialization.Encoding.DER)
