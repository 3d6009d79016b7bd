"""The site CA and the server certificate: made on first start, renewed long before they end, or the office's own.

Agents trust the site CA alone, so it lives long (20 years) and server certificates (one year) renew freely.
"""

from __future__ import annotations

import fcntl
import functools
import ipaddress
import os
import socket
import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from secmon.config import Config
from secmon.errors import UsageError
from secmon.standing import own_addresses

CA_DAYS = 20 * 365
SERVER_DAYS = 365
WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 — compared, not bound
RENEW_DAYS = 120
"""A server certificate that ends within this many days is replaced."""


class Certificates(Struct, frozen=True, kw_only=True):
    """Where the certificates lie, and the CA that agents trust (DER)."""

    certificate: Path
    key: Path
    ca: Path
    ca_der: bytes
    own: bool
    """The office brought its own; it is never replaced by us."""

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.num_tickets = 0  # agents come every quarter of an hour and do not resume
        self.load(context)
        return context

    def load(self, context: ssl.SSLContext) -> None:
        """Into a context that is in use, too: new connections get the new certificate."""
        context.load_cert_chain(self.certificate, self.key)

    def files(self) -> dict[str, Path]:
        """PEM files by what they are used for."""
        return {"server": self.certificate, "ca": self.ca}

    def expires_at(self) -> datetime:
        return x509.load_pem_x509_certificate(self.certificate.read_bytes()).not_valid_after_utc

    def ca_expires_at(self) -> datetime:
        return x509.load_der_x509_certificate(self.ca_der).not_valid_after_utc


def ensure(config: Config, now: datetime) -> Certificates:
    """The certificates of this configuration; made or renewed where they are ours. Raises UsageError."""
    if config.ingest.certificate:
        return _own(config)
    folder = tls_folder(config)
    try:
        return _made(config, folder, now)
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} cannot be used: {error}; restore it from a backup") from None


def tls_folder(config: Config) -> Path:
    return config.folder / "tls"


def _made(config: Config, folder: Path, now: datetime) -> Certificates:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca_file, ca_key = folder / "ca.pem", folder / "ca.key"
    certificate, key = folder / "server.pem", folder / "server.key"
    with alone(folder):
        if not ca_file.exists():
            make_ca(ca_file, ca_key, config.office.name, now)
        ca = x509.load_pem_x509_certificate(ca_file.read_bytes())
        present = names_of(certificate, ca)
        names = sorted(present | set(server_names(config)))  # what agents were told once stays good
        if not _is_good(certificate, key, ca, names, now):
            make_server(certificate, key, ca, ca_key, names, now)
    return Certificates(
        certificate=certificate, key=key, ca=ca_file, ca_der=ca.public_bytes(serialization.Encoding.DER), own=False
    )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """A collector that starts and a command beside it must not each make half of a pair."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def names_of(certificate: Path, ca: x509.Certificate) -> set[str]:
    """Names of the server certificate so far, as far as this CA made it."""
    if not certificate.exists():
        return set()
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    if not _is_issued_by(found, ca):
        return set()
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}


def _is_issued_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def advertised_name(config: Config) -> str:
    """The name or address that goes into enrollment strings."""
    if config.ingest.name:
        return config.ingest.name
    host = config.ingest.address.rpartition(":")[0].strip("[]")
    return _own_name() if host in WILDCARDS else host


def server_names(config: Config) -> list[str]:
    """Names and addresses that the server certificate is good for."""
    names = {"localhost", "127.0.0.1", "::1", socket.gethostname(), _own_name(), advertised_name(config)}
    for listener in (config.ingest.address, config.console.address):
        names.add(listener.rpartition(":")[0].strip("[]"))
    if names & WILDCARDS:
        names |= {address.partition("%")[0] for address in own_addresses()}
    return sorted(names - WILDCARDS - {""})


@functools.cache
def _own_name() -> str:
    """With its domain. Asked once: in a closed network a name server that does not answer costs seconds."""
    return socket.getfqdn()


def _own(config: Config) -> Certificates:
    certificate, key, ca = (Path(getattr(config.ingest, name)) for name in ("certificate", "key", "ca"))
    try:
        ca_der = x509.load_pem_x509_certificate(ca.read_bytes()).public_bytes(serialization.Encoding.DER)
        found = Certificates(certificate=certificate, key=key, ca=ca, ca_der=ca_der, own=True)
        found.context()
    except (OSError, ValueError) as error:
        raise UsageError(f"ingest.certificate, key or ca cannot be used: {error}") from None
    return found


def make_ca(file: Path, key_file: Path, office: str, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"secmon site CA ({office})"[:64])])
    certificate = (
        _builder(name, name, key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_key(key_file, key)
    write_private(file, certificate.public_bytes(serialization.Encoding.PEM))


def make_server(
    file: Path,
    key_file: Path,
    ca: x509.Certificate,
    ca_key_file: Path,
    names: Sequence[str],
    now: datetime,
    days: int = SERVER_DAYS,
) -> None:
    ca_key = serialization.load_pem_private_key(ca_key_file.read_bytes(), password=None)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise UsageError(f"{ca_key_file}: not a key of the site CA")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    certificate = (
        _builder(subject, ca.subject, key.public_key(), now, days)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    write_key(key_file, key)
    write_private(file, certificate.public_bytes(serialization.Encoding.PEM))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks of PCs are late
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _general_names(names: Iterable[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _is_good(certificate: Path, key: Path, ca: x509.Certificate, names: Sequence[str], now: datetime) -> bool:
    if not certificate.exists() or not key.exists():
        return False
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    if not _is_issued_by(found, ca) or found.not_valid_after_utc - now < timedelta(days=RENEW_DAYS):
        return False
    private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    if found.public_key() != private.public_key():
        return False
    present = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(_general_names(names)) <= set(present)


def write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    write_private(
        file,
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def write_private(file: Path, content: bytes) -> None:
    """Write atomically and durably with mode 0600."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
