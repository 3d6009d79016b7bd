"""The site CA lives on, the server certificate follows names and time, and pairs never come apart."""

from __future__ import annotations

import socket
import ssl
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from secmon import certificates
from secmon.config import Config, Console, Ingest
from secmon.errors import UsageError
from tests.support.office import linux
from tests.support.running import BareAgent, running

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def config(folder: Path, ingest: str = "127.0.0.1:8443", **fields: str) -> Config:
    return Config(data_dir=str(folder), ingest=Ingest(address=ingest, **fields))  # type: ignore[arg-type]


def names(made: certificates.Certificates) -> set[str]:
    found = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*alternative.get_values_for_type(x509.DNSName), *map(str, alternative.get_values_for_type(x509.IPAddress))}


def test_it_makes_them_once(tmp_path: Path) -> None:
    first = certificates.ensure(config(tmp_path), NOW)
    before = first.certificate.read_bytes()

    assert certificates.ensure(config(tmp_path), NOW + DAY) == first
    assert first.certificate.read_bytes() == before


def test_it_renews_the_server_certificate_in_time_under_the_same_ca(tmp_path: Path) -> None:
    first = certificates.ensure(config(tmp_path), NOW)
    ends = first.expires_at()

    later = certificates.ensure(config(tmp_path), ends - 60 * DAY)

    assert later.ca_der == first.ca_der
    assert later.expires_at() > ends + 200 * DAY


def test_it_never_takes_a_name_away_that_agents_were_told(tmp_path: Path) -> None:
    certificates.ensure(config(tmp_path, name="secmon.example.lg.jp"), NOW)

    made = certificates.ensure(config(tmp_path, "10.1.2.3:8443"), NOW)

    assert {"secmon.example.lg.jp", "10.1.2.3", "localhost"} <= names(made)


def test_it_is_good_for_every_address_of_a_machine_that_listens_on_all(tmp_path: Path) -> None:
    made = certificates.ensure(config(tmp_path, "0.0.0.0:8443"), NOW)

    assert {"127.0.0.1", socket.gethostname()} <= names(made)
    assert "0.0.0.0" not in names(made)


@pytest.mark.parametrize("lost", ["server.key", "server.pem"])
def test_it_makes_the_pair_anew_when_half_of_it_is_lost(tmp_path: Path, lost: str) -> None:
    first = certificates.ensure(config(tmp_path), NOW)
    (tmp_path / "tls" / lost).unlink()

    again = certificates.ensure(config(tmp_path), NOW)

    assert again.ca_der == first.ca_der
    again.context()


def test_it_does_not_trust_a_certificate_of_another_ca_of_the_same_name(tmp_path: Path) -> None:
    first = certificates.ensure(config(tmp_path / "a"), NOW)
    other = certificates.ensure(config(tmp_path / "b"), NOW)
    for own, foreign in ((first.certificate, other.certificate), (first.key, other.key)):
        own.write_bytes(foreign.read_bytes())

    certificates.ensure(config(tmp_path / "a"), NOW)

    made = x509.load_pem_x509_certificate(first.certificate.read_bytes())
    made.verify_directly_issued_by(x509.load_der_x509_certificate(first.ca_der))


def test_it_makes_one_ca_however_many_start_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: certificates.ensure(config(tmp_path), NOW), range(8)))

    assert len({each.ca_der for each in made}) == 1
    made[0].context()


def test_it_serves_with_the_offices_own_certificate(tmp_path: Path) -> None:
    own = certificates.ensure(config(tmp_path / "office"), NOW)
    ingest = Ingest(address="127.0.0.1:0", certificate=str(own.certificate), key=str(own.key), ca=str(own.ca))
    with running(tmp_path / "data", ingest=ingest) as collector:
        agent = BareAgent(collector)

        assert collector.certificates.own
        assert agent.enroll().status == 200
        assert agent.send(linux()).status == 200
    assert not (tmp_path / "data" / "tls").exists()


def test_it_says_which_own_certificate_cannot_be_used(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")

    with pytest.raises(UsageError, match="certificate, key or ca"):
        certificates.ensure(config(tmp_path, certificate=missing, key=missing, ca=missing), NOW)


def test_it_speaks_nothing_but_tls_beyond_loopback(tmp_path: Path) -> None:
    console = Console(address="0.0.0.0:0")
    with running(tmp_path, console=console) as collector:
        url = collector.started.console_url
        port = collector.started.console[1]
        context = ssl.create_default_context(cadata=collector.certificates.ca_der)
        context.check_hostname = True

        assert url == f"https://{socket.gethostname()}:{port}"
        with urllib.request.urlopen(f"https://localhost:{port}/healthz", context=context, timeout=30) as answer:
            assert answer.status == 200
        with pytest.raises(OSError):  # noqa: PT011 — closed, refused or reset
            urllib.request.urlopen(f"http://localhost:{port}/healthz", timeout=30)
