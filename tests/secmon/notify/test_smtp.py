"""The channel against a real mail server with STARTTLS and login."""

from __future__ import annotations

import base64
import email
import email.policy
import io
import logging
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from secmon.alerts.dispatch import dispatch
from secmon.alerts.rules import load_alert_rules
from secmon.config import Config, Mail
from secmon.errors import Failure, UsageError
from secmon.notify.channel import DeliveryError, Parcel
from secmon.notify.channels import channels
from secmon.notify.message import Heading, write_message
from secmon.notify.outbox import Sent, retry_delay, send_due
from secmon.notify.smtp import SmtpChannel
from secmon.notify.trial import send_test
from secmon.resources import rules_dir
from tests.secmon.notify.mailserver import PASSWORD, USER, MailServer
from tests.support.office import START, Office, linux

NOW = datetime(2026, 11, 2, tzinfo=UTC)
TEXT = "町民課の端末です。\n.\n..二つの点\n"
HEADING = Heading(
    sender="secmon@town.example", recipient="it@town.example", subject="題", message_id="<1@town.example>", date=NOW
)
PARCEL = Parcel(
    delivery_id=uuid.UUID(int=1), recipient="it@town.example", message=write_message(HEADING, TEXT), created_at=NOW
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MailServer]:
    started = MailServer(tmp_path).start()
    yield started
    started.stop()


def _refused(mail: Mail) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        SmtpChannel(mail)(PARCEL)
    return caught.value


def test_it_delivers_after_starttls_and_login(server: MailServer) -> None:
    SmtpChannel(server.settings())(PARCEL)
    (content,) = server.received
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert message["Message-ID"] == "<1@town.example>"
    assert message.get_content().replace("\r\n", "\n") == TEXT


def test_it_delivers_by_tls_from_the_first_byte(tmp_path: Path) -> None:
    server = MailServer(tmp_path, starttls=False, tls=True).start()
    SmtpChannel(server.settings(security="tls"))(PARCEL)
    server.stop()
    assert len(server.received) == 1


def test_it_delivers_without_tls_where_nothing_secret_is_said(tmp_path: Path) -> None:
    server = MailServer(tmp_path, starttls=False).start()
    SmtpChannel(server.settings(security="none", username="", password=""))(PARCEL)
    server.stop()
    assert len(server.received) == 1


def test_it_trusts_no_server_whose_certificate_it_cannot_verify(server: MailServer) -> None:
    error = _refused(server.settings(ca=""))
    assert "CERTIFICATE_VERIFY_FAILED" in str(error)
    assert not error.permanent
    assert server.received == []


def test_it_trusts_no_certificate_of_another_name(server: MailServer) -> None:
    assert "CERTIFICATE_VERIFY_FAILED" in str(_refused(server.settings(host="127.0.0.1")))


def test_it_sends_nothing_to_a_server_without_starttls(tmp_path: Path) -> None:
    server = MailServer(tmp_path, starttls=False).start()
    error = _refused(server.settings())
    server.stop()
    assert "STARTTLS" in str(error)
    assert not error.permanent
    assert server.received == []


@pytest.mark.parametrize(("username", "password"), [(USER, PASSWORD), ("", PASSWORD), (USER, "")])
def test_it_refuses_settings_that_would_show_a_password(username: str, password: str) -> None:
    with pytest.raises(UsageError, match="never sent without TLS"):
        SmtpChannel(Mail(host="localhost", security="none", username=username, password=password))


def test_it_refuses_a_name_without_a_password() -> None:
    with pytest.raises(UsageError, match="go together"):
        SmtpChannel(Mail(host="localhost", username=USER))


def test_it_refuses_a_ca_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        SmtpChannel(Mail(host="localhost", ca=str(tmp_path / "none.pem")))


def test_it_hopes_on_after_a_refused_login(server: MailServer) -> None:
    """The password can be put right; the mail must not be lost for it."""
    error = _refused(server.settings(password="wrong"))
    assert "refused the login (535)" in str(error)
    assert not error.permanent


def test_it_hopes_on_when_nobody_answers(server: MailServer) -> None:
    server.stop()
    error = _refused(server.settings())
    assert f"localhost:{server.port}" in str(error)
    assert not error.permanent


@pytest.mark.parametrize("at_recipient", [True, False])
@pytest.mark.parametrize(("answer", "permanent"), [("550 5.1.1 no such mailbox", True), ("451 4.7.1 later", False)])
def test_it_tells_final_refusals_from_passing_ones(
    server: MailServer, at_recipient: bool, answer: str, permanent: bool
) -> None:
    server.at_recipient = at_recipient
    server.answers = [answer]
    error = _refused(server.settings())
    assert error.permanent is permanent
    assert answer in str(error)


def test_it_never_says_the_password(server: MailServer, caplog: pytest.LogCaptureFixture) -> None:
    """Neither when the server is malicious and repeats it, nor when the login fails, nor in a log."""
    caplog.set_level(logging.DEBUG)
    login = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
    server.answers = [f"550 I saw {PASSWORD} and {base64.b64encode(PASSWORD.encode()).decode()} and {login}"]
    said = [_refused(server.settings()), _refused(server.settings(password=f"{PASSWORD}!"))]
    server.stop()
    said.append(_refused(server.settings()))
    logged = [record.getMessage() for record in caplog.records if record.name != "mail.log"]  # the server's own
    for text in (*map(str, said), *map(repr, said), *logged, repr(SmtpChannel(server.settings()))):
        assert PASSWORD not in text
        assert base64.b64encode(PASSWORD.encode()).decode().rstrip("=") not in text
        assert login not in text
    assert all(error.__cause__ is None and error.__suppress_context__ for error in said)


# ── the whole way, from a report to the mailbox ───────────────────────────────────────────────────────────────────────


def test_it_brings_each_mail_once_although_the_server_was_down(office: Office, tmp_path: Path) -> None:
    server = MailServer(tmp_path)
    office.config = msgspec.structs.replace(office.config, mail=server.settings())
    office.report(office.add_host("PC-012", zone="lgwan"), linux())
    assert dispatch(office.database, office.config, office.rules, (), load_alert_rules(rules_dir()), START) == 1
    routes = channels(office.config)

    assert send_due(office.database, routes, START) == Sent(retried=1)
    server.start()
    server.answers = ["451 greylisted"]
    assert send_due(office.database, routes, START + retry_delay(1)) == Sent(retried=1)
    now = START + retry_delay(1) + retry_delay(2)
    assert send_due(office.database, routes, now) == Sent(sent=1)
    assert send_due(office.database, routes, now + retry_delay(9)) == Sent()
    server.stop()
    (content,) = server.received
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert message["Subject"] == "[新規端末][LGWAN接続系] PC-012の最初の確認結果"


# ── secmon mail test ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_sends_a_test_mail_to_everybody_who_would_be_told(server: MailServer) -> None:
    out = io.StringIO()
    send_test(Config(mail=server.settings(recipients=("it@town.example", "cio@town.example"))), NOW, out)
    assert out.getvalue() == "it@town.example: taken by the mail server\ncio@town.example: taken by the mail server\n"
    message = email.message_from_bytes(server.received[0], policy=email.policy.default)
    assert message["Subject"] == "[テスト] secmon からのテストメール"
    assert "令和8年11月2日（月） 9時00分" in message.get_content()


def test_it_says_who_was_not_reached_by_the_test_mail(server: MailServer) -> None:
    server.answers = ["550 no"]
    out = io.StringIO()
    with pytest.raises(Failure, match=r"did not reach it@town\.example"):
        send_test(Config(mail=server.settings()), NOW, out)
    assert "550 no" in out.getvalue()


def test_it_writes_the_test_mail_to_the_folder_where_there_is_no_server(tmp_path: Path) -> None:
    out = io.StringIO()
    send_test(Config(data_dir=str(tmp_path)), NOW, out)
    assert out.getvalue() == f"it@localhost: written to {tmp_path / 'mail'}\n"
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 1
