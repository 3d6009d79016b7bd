"""What the self-test says of a key that the collector takes, refuses or does not know."""

from __future__ import annotations

import pytest

from secmon_agent import durable, keys, wire
from secmon_agent.doctor import main
from secmon_agent.doctor.finding import Finding
from secmon_agent.doctor.sections import sections
from tests.agents.desk import Desk
from tests.agents.doctor.test_doctor import examined, moved
from tests.agents.server import Collector


@pytest.fixture(autouse=True)
def without_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "CHECKS", [check for check in main.CHECKS if check is not sections])


def registration(desk: Desk) -> Finding:
    return examined(desk.folder)["registration"]


def step(finding: Finding) -> str:
    assert finding.step is not None
    return finding.step.ja


def test_it_is_content_with_a_key_that_is_known(desk: Desk) -> None:
    assert (registration(desk).mark, registration(desk).step) == ("ok", None)


@pytest.mark.parametrize(("said", "word"), [("revoked", "失効"), ("ended", "新しい鍵と交替"), ("retired", "廃棄")])
def test_it_says_how_a_machine_whose_key_is_over_comes_back(
    desk: Desk, collector: Collector, said: str, word: str
) -> None:
    collector.said_of_keys = said
    found = registration(desk)
    assert (found.mark, word in found.said.ja) == ("action", True)
    assert f"{desk.folder / keys.KEY_FILE} を消して" in step(found)
    assert "secmon-agent enroll 登録文字列" in step(found)
    assert ("紛失や盗難" in step(found)) == (said == "revoked")


def test_it_lets_a_machine_that_is_unknown_keep_its_key(desk: Desk, collector: Collector) -> None:
    collector.keys.clear()
    found = registration(desk)
    assert (found.mark, "鍵を知りません" in found.said.ja) == ("action", True)
    assert "消して" not in step(found)
    assert "送信待ちの報告は、その後で送られます" in step(found)


def test_it_lets_the_agent_mend_what_it_can(desk: Desk, collector: Collector) -> None:
    """The collector was restored to before the key was changed."""
    before = keys.load_or_create(desk.folder, "before")
    (desk.folder / "before").unlink()
    durable.write(desk.folder / keys.ROTATION_FILE, wire.rotation(before, desk.key, bytes(16), 1))
    public_key = bytes(before.verify_key)
    collector.keys = {wire.key_id(public_key): public_key}
    assert (registration(desk).mark, "自動で直ります" in step(registration(desk))) == ("note", True)
    collector.keys.clear()
    assert registration(desk).mark == "action"


@pytest.mark.parametrize("said", ["asleep", "known"])
def test_it_says_nothing_that_it_does_not_know(desk: Desk, collector: Collector, said: str) -> None:
    """A later collector may have other words; at one that waits for approval nothing is known yet."""
    collector.said_of_keys = said
    moved(desk, status="pending" if said == "known" else "enrolled")
    assert "registration" not in examined(desk.folder)


def test_it_says_nothing_where_the_collector_is_of_an_older_version(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers 404, or here the CA certificate, as to any question."""
    monkeypatch.setattr("secmon_agent.doctor.registration.PATH", "/v1/ca")
    assert "registration" not in examined(desk.folder)
