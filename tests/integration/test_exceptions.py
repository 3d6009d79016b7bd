"""An exception from its first day to the mail after its last one: the real collector, started anew each time as after a
night without power, the command line, reports over TLS and a real mail server."""

from __future__ import annotations

import email
import email.policy
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from secmon import cli
from secmon.app import Collector
from secmon.commands import baseline, disputes, exceptions, findings
from tests.secmon.alerts.desk import HIGH_CHECK, listening
from tests.secmon.notify.mailserver import MailServer
from tests.support.office import ZONES
from tests.support.running import BareAgent, running

PATIENCE_S = 60
DAYS = 45
"""The exception's; the day on which it is entered is the first."""


class Story:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        now = datetime.now(UTC)
        self.begin = datetime(now.year, now.month, now.day, 3, tzinfo=UTC) - timedelta(days=60)  # noon in Japan
        self.now = self.begin
        self.folder = folder
        self.mails = MailServer(folder).start()
        self._told = 0
        self._capsys = capsys
        self._file = folder / "secmon.toml"
        zones = "".join(f'[[zones]]\nid = "{zone.id}"\nname = "{zone.name}"\n' for zone in ZONES)
        self._file.write_text(f'data_dir = "data"\n{zones}', encoding="utf-8")
        for module in (exceptions, disputes, findings, baseline):
            monkeypatch.setattr(module, "now_utc", lambda: self.now)

    @contextmanager
    def collector(self) -> Iterator[Collector]:
        with running(self.folder / "data", clock=lambda: self.now, mail=self.mails.settings()) as up:
            yield up

    def __call__(self, *words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            cli.main([*words, "--config", str(self._file)])
        said = self._capsys.readouterr()
        assert ended.value.code == 0, said.err
        return said.out

    def next_mail(self) -> tuple[str, str]:
        """Subject and text of the next mail that comes."""
        until = time.monotonic() + PATIENCE_S
        while len(mails := self.received()) <= self._told:
            assert time.monotonic() < until, "no mail came"
            time.sleep(0.05)
        mail = mails[self._told]
        self._told += 1
        return str(mail["Subject"]), str(mail.get_content()).replace("\r\n", "\n")

    def received(self) -> list[Any]:
        """All but the monthly reports, which have attachments."""
        mails: list[Any] = [email.message_from_bytes(each, policy=email.policy.default) for each in self.mails.received]
        return [mail for mail in mails if not mail.is_multipart()]

    def no_mail(self, collector: Collector) -> None:
        collector.deliver()
        assert len(self.received()) == self._told


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Story]:
    told = Story(tmp_path, monkeypatch, capsys)
    yield told
    told.mails.stop()


def report(agent: BareAgent, story: Story, collector: Collector) -> None:
    agent.collector = collector
    answer = agent.send(listening(22, 23), collected_at=story.now)
    assert answer.status == 200, answer.body


def test_an_exception_is_reminded_of_and_reopens_when_its_time_is_over(story: Story) -> None:
    last = (story.begin + timedelta(days=DAYS)).date()
    with story.collector() as collector:
        agent = BareAgent(collector, "LG-PC07")
        assert agent.enroll(agent.token(zone="lgwan")).status == 200
        report(agent, story, collector)
        assert story.next_mail()[0].startswith("[新規端末]")
        added = story(
            "exception", "add", "--check", HIGH_CHECK, "--item", "tcp/23", "--host", "LG-PC07", "--until", str(last),
            "--reason", "後継機の納品待ち", "--measure", "庁内に限定", "--approver", "総務課長",
        )  # fmt: skip
        assert "今当たる指摘は 1 件です" in added
        assert "例外 " in story("finding", "list", "--check", HIGH_CHECK)

    for days_before in (30, 7):
        story.now = story.begin + timedelta(days=DAYS - days_before)
        with story.collector() as collector:
            report(agent, story, collector)
            subject, text = story.next_mail()
            assert subject.startswith("[期限のお知らせ] 例外措置 ")
            assert f"（あと{days_before}日）" in text
            assert "LG-PC07（いま当たる指摘 1件）" in text
            assert "承認者：総務課長" in text
            story.no_mail(collector)
    story.now = story.begin + timedelta(days=DAYS, hours=11)  # 23:00 of its last day
    with story.collector() as collector:
        report(agent, story, collector)
        story.no_mail(collector)

    story.now += timedelta(hours=1, minutes=2)
    with story.collector() as collector:
        report(agent, story, collector)
        subject, text = story.next_mail()
        assert subject.startswith("[要対応・例外の期限切れ][LGWAN接続系] LG-PC07")
        assert "tcp/23" in text
        assert "未対応" in story("finding", "list", "--check", HIGH_CHECK)
        story.no_mail(collector)


def test_a_disputed_answer_leaves_the_office_without_a_name_and_counts_again_after_its_review(story: Story) -> None:
    with story.collector() as collector:
        agent = BareAgent(collector, "LG-PC07")
        assert agent.enroll(agent.token(zone="lgwan")).status == 200
        report(agent, story, collector)
        story.next_mail()
        review = (story.begin + timedelta(days=20)).date()
        story(
            "dispute", "add", "--check", HIGH_CHECK, "--host", "LG-PC07", "--review", str(review),
            "--reason", "LG-PC07 の 23 番は検査用の応答だけ",
        )  # fmt: skip
        assert "誤検知 " in story("finding", "list", "--check", HIGH_CHECK)
        number = story("dispute", "list").split()[0]
        file = story.folder / "dispute.json"
        story("dispute", "export", number, "--out", str(file))

        told = file.read_text(encoding="utf-8")
        assert "LG-PC07" not in told
        assert "北の町" not in told
        (machine,) = json.loads(told)["machines"]
        assert [each["key"] for each in machine["items"]] == ["tcp/23"]
        assert {each["port"] for each in machine["sections"]["ports"]["facts"]["listening"]} == {22, 23}

    story.now = story.begin + timedelta(days=13)
    with story.collector() as collector:
        report(agent, story, collector)
        assert story.next_mail()[0].startswith("[期限のお知らせ] 誤検知 ")
    story.now = story.begin + timedelta(days=20, hours=12, minutes=2)
    with story.collector() as collector:
        report(agent, story, collector)
        assert story.next_mail()[0].startswith("[要対応・例外の期限切れ][LGWAN接続系] LG-PC07")
