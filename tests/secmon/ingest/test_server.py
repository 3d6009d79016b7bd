"""What the server program in front of the listener must do, whatever program it is."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from secmon import app, certificates
from secmon.app import Collector
from secmon.config import Config, Ingest
from secmon.ingest import server
from secmon_agent import wire
from tests.support.office import linux
from tests.support.running import BareAgent, running

NOW = datetime.now(UTC)


def shown(collector: Collector) -> bytes:
    """The certificate that a new connection gets."""
    context = ssl.create_default_context(cadata=collector.certificates.ca_der)
    with (
        socket.create_connection(collector.started.ingest, timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        return tls.getpeercert(binary_form=True) or b""


def test_it_takes_a_renewed_certificate_while_agents_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "WATCH_S", 0.1)
    with running(tmp_path) as collector:
        agent = BareAgent(collector)
        assert agent.enroll().status == 200
        before = shown(collector)
        stop, statuses = threading.Event(), []

        def report() -> None:
            while not stop.is_set():
                statuses.append(agent.send(linux()).status)

        reporting = threading.Thread(target=report)
        reporting.start()
        certificates.ensure(Config(data_dir=str(tmp_path), ingest=Ingest(name="new.example.lg.jp")), NOW)
        end = time.monotonic() + 120
        while shown(collector) == before:
            assert time.monotonic() < end
        taken = len(statuses)
        while len(statuses) < taken + 5 and time.monotonic() < end:
            time.sleep(0.05)
        stop.set()
        reporting.join()

        assert len(statuses) >= taken + 5
        assert set(statuses) == {200}


def test_it_keeps_the_certificate_that_it_has_while_the_new_one_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "WATCH_S", 0.1)
    own = certificates.ensure(_config(tmp_path / "office"), NOW)
    other = certificates.ensure(_config(tmp_path / "other"), NOW)
    ingest = Ingest(address="127.0.0.1:0", certificate=str(own.certificate), key=str(own.key), ca=str(own.ca))
    with running(tmp_path / "data", ingest=ingest) as collector:
        before = shown(collector)
        own.certificate.write_bytes(other.certificate.read_bytes())
        time.sleep(1)

        assert shown(collector) == before


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
def test_it_reads_the_offices_own_key_in_the_usual_forms(tmp_path: Path, form: serialization.PrivateFormat) -> None:
    own = certificates.ensure(_config(tmp_path / "office"), NOW)
    key = serialization.load_pem_private_key(own.key.read_bytes(), password=None)
    own.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    ingest = Ingest(address="127.0.0.1:0", certificate=str(own.certificate), key=str(own.key), ca=str(own.ca))

    with running(tmp_path / "data", ingest=ingest) as collector:
        assert BareAgent(collector).enroll().status == 200


@pytest.mark.parametrize("said", [b"", b"POST /v1/reports HTTP/1.1\r\nhost: x\r\n"])
def test_it_ends_connections_on_which_nothing_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(server, "IDLE_S", 1)
    with running(tmp_path) as collector:
        context = ssl.create_default_context(cadata=collector.certificates.ca_der)
        with (
            socket.create_connection(collector.started.ingest, timeout=60) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
        ):
            tls.sendall(said)

            assert tls.recv(1) == b""


def test_it_answers_even_those_that_are_still_sending(tmp_path: Path) -> None:
    with running(tmp_path) as collector:
        context = ssl.create_default_context(cadata=collector.certificates.ca_der)
        head = (
            b"POST /v1/reports HTTP/1.1\r\nhost: x\r\nsecmon-key-id: " + b"ab" * 16 + b"\r\ncontent-length: %d\r\n\r\n"
        )
        answers = set()
        for _ in range(20):
            with (
                socket.create_connection(collector.started.ingest, timeout=30) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
            ):
                tls.sendall(head % (3 << 20) + bytes(3 << 20))
                answers.add(tls.recv(12))

        assert answers == {b"HTTP/1.1 401"}


def test_it_frees_its_port_when_it_ends(tmp_path: Path) -> None:
    with running(tmp_path) as collector:
        address = collector.started.ingest
        kept = socket.create_connection(address, timeout=30)

    with contextlib.closing(kept), socket.create_server(address):
        pass


def _config(folder: Path) -> Config:
    return Config(data_dir=str(folder), ingest=Ingest(address="127.0.0.1:8443"))


def test_it_starts_again_when_it_ended_by_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(tmp_path) as collector:
        agent = BareAgent(collector)
        assert agent.enroll().status == 200
        listener = collector._ingest
        assert listener._server is not None
        listener._loop.call_soon_threadsafe(listener._server.stop)
        end = time.monotonic() + 120
        while "started again" not in caplog.text:
            assert time.monotonic() < end
            time.sleep(0.05)

        assert agent.send(linux()).status == 200


def test_it_starts_again_when_it_failed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(tmp_path) as collector:
        agent = BareAgent(collector)
        assert agent.enroll().status == 200
        listener = collector._ingest
        serve = listener._serve

        async def fail_once() -> None:
            listener._serve = serve  # type: ignore[method-assign]
            raise OSError("certificate and key do not fit")

        listener._serve = fail_once  # type: ignore[method-assign]
        assert listener._server is not None
        listener._loop.call_soon_threadsafe(listener._server.stop)
        end = time.monotonic() + 120
        while caplog.text.count("started again") < 2:
            assert time.monotonic() < end
            time.sleep(0.05)

        assert "has failed" in caplog.text
        assert agent.send(linux()).status == 200


def test_a_refused_sender_that_lingers_holds_nobodys_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_WIRE_BYTES", 200_000)
    monkeypatch.setattr(wire, "MAX_IN_FLIGHT_BYTES", 200_100)
    with running(tmp_path) as collector:
        agent = BareAgent(collector)
        assert agent.enroll().status == 200
        head = f"POST /v1/reports HTTP/1.1\r\nhost: x\r\nsecmon-key-id: {agent.key_id}\r\n"
        head += "transfer-encoding: chunked\r\n\r\n"
        context = ssl.create_default_context(cadata=collector.certificates.ca_der)
        with (
            socket.create_connection(collector.started.ingest, timeout=30) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
        ):
            tls.sendall(head.encode() + b"%x\r\n" % 250_000 + bytes(250_000))
            assert tls.recv(12) == b"HTTP/1.1 413"

            assert agent.send(linux()).status == 200
