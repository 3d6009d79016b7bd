"""A real mail server on this machine: STARTTLS or TLS by a CA of its own, login, and refusals on demand."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from secmon.config import Mail

USER = "secmon"
PASSWORD = "correct horse battery staple"


class MailServer:
    """`received` holds the contents of what was taken; `answers` are given instead of taking, one after the other."""

    def __init__(self, folder: Path, *, starttls: bool = True, tls: bool = False) -> None:
        self.received: list[bytes] = []
        self.answers: list[str] = []
        self.at_recipient = False
        """The answers are given to RCPT TO instead of to the content."""
        self.ca = folder / "mail-ca.pem"
        self._certificate = _make_certificates(folder)
        self.port = _free_port()
        self._starttls, self._tls = starttls, tls
        self._controller: Controller | None = None

    def start(self) -> MailServer:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._certificate)
        self._controller = Controller(
            self,
            hostname="localhost",
            port=self.port,
            tls_context=context if self._starttls else None,
            ssl_context=context if self._tls else None,
            require_starttls=self._starttls,
            authenticator=_authenticate,
            auth_required=self._starttls,
            auth_require_tls=self._starttls,
        )
        self._controller.start()
        return self

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def settings(self, **other: object) -> Mail:
        values: dict[str, object] = {
            "host": "localhost",
            "port": self.port,
            "username": USER,
            "password": PASSWORD,
            "ca": str(self.ca),
            "sender": "secmon@town.example",
            "recipients": ("it@town.example",),
        }
        return Mail(**(values | other))  # type: ignore[arg-type]

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.at_recipient and self.answers:
            return self.answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        self.received.append(envelope.content)
        return "250 taken"


def _authenticate(_server: object, _session: object, _envelope: object, _mechanism: str, given: object) -> AuthResult:
    known = isinstance(given, LoginPassword) and given == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=known, handled=known)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _make_certificates(folder: Path) -> Path:
    """A CA in `mail-ca.pem` and the server's chain with its key in the returned file."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test mail CA")])
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    ca = (
        _builder(ca_name, ca_name, ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    server = (
        _builder(name, ca_name, key)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "mail-ca.pem").write_bytes(ca.public_bytes(pem))
    chain = folder / "mail-server.pem"
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain.write_bytes(server.public_bytes(pem) + secret)
    return chain


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
    )
