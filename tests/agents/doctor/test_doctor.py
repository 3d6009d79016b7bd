"""What the self-test says of an agent in order, and of each way in which one can be broken."""

from __future__ import annotations

import json
import socket
import subprocess  # noqa: TID251 - a test starts the program as people do
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from secmon_agent import cli, durable, identity, keys, state
from secmon_agent.collect import live_host
from secmon_agent.config import Config
from secmon_agent.doctor import main, own
from secmon_agent.doctor.finding import Finding, Look
from secmon_agent.doctor.sections import sections
from secmon_agent.doctor.service import service
from secmon_agent.host import Host, Programs
from secmon_agent.recorded import recorded_host
from tests.agents.desk import Desk
from tests.agents.server import Collector

HOSTS = Path(__file__).parents[2] / "hosts"


@pytest.fixture
def without_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are tried by themselves."""
    monkeypatch.setattr(main, "CHECKS", [check for check in main.CHECKS if check is not sections])


def examined(folder: Path, config_file: Path | None = None) -> dict[str, Finding]:
    found = main.examine(config_file, str(folder), live_host(None))
    assert len({it.id for it in found}) == len(found)
    return {it.id: it for it in found}


def marks(folder: Path, config_file: Path | None = None) -> dict[str, str]:
    return {name: it.mark for name, it in examined(folder, config_file).items()}


def moved(desk: Desk, **changes: object) -> None:
    identity.save(desk.folder, msgspec.structs.replace(desk.identity, **changes))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


HEALTHY = (
    "enrollment",
    "key",
    "at_work",
    "name",
    "connection",
    "certificate",
    "answer",
    "registration",
    "clock",
    "acknowledged",
    "waiting",
)


@pytest.mark.usefixtures("without_sections")
def test_it_finds_nothing_to_do_about_an_agent_in_order(desk: Desk) -> None:
    desk.agent().cycle()
    found = marks(desk.folder)
    assert {name: found[name] for name in HEALTHY} == dict.fromkeys(HEALTHY, "ok")
    assert [name for name, mark in found.items() if mark == "action" and name != "service"] == []


@pytest.mark.usefixtures("without_sections")
def test_it_sends_no_report_and_changes_nothing(desk: Desk) -> None:
    before = {path: path.read_bytes() for path in desk.folder.rglob("*") if path.is_file()}
    main.examine(None, str(desk.folder), live_host(None))
    assert desk.collector.received == []
    assert set(desk.collector.paths) == {"/v1/ca", "/v1/key"}
    assert {path: path.read_bytes() for path in desk.folder.rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("without_sections")
def test_it_says_how_to_enroll(tmp_path: Path) -> None:
    found = examined(tmp_path / "nothing")
    assert found["enrollment"].mark == "action"
    assert "secmon-agent enroll" in step(found["enrollment"])
    assert not (tmp_path / "nothing").exists()


@pytest.mark.usefixtures("without_sections")
def test_it_says_who_approves_a_machine_that_waits(desk: Desk) -> None:
    moved(desk, status="pending", reason="the name is taken")
    found = examined(desk.folder)["enrollment"]
    assert (found.mark, "the name is taken" in found.said.en) == ("action", True)
    assert "secmon enrollment approve" in step(found)


@pytest.mark.usefixtures("without_sections")
def test_it_misses_the_key(desk: Desk) -> None:
    (desk.folder / keys.KEY_FILE).unlink()
    assert marks(desk.folder)["key"] == "action"


@pytest.mark.usefixtures("without_sections")
@pytest.mark.parametrize(
    ("name", "check"), [(keys.KEY_FILE, "key"), (identity.IDENTITY_FILE, "state")], ids=["key", "identity"]
)
def test_it_says_what_cannot_be_understood(name: str, check: str, desk: Desk) -> None:
    (desk.folder / name).write_bytes(b"damaged")
    found = examined(desk.folder)
    assert found[check].mark == "action"
    assert name in found[check].said.ja


@pytest.mark.usefixtures("without_sections")
def test_it_names_the_line_of_wrong_settings(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('intervall_s = 60\nstate_dir = "x"\n')
    found = examined(desk.folder, file)["settings"]
    assert (found.mark, "line 1" in found.said.ja) == ("action", True)


@pytest.mark.usefixtures("without_sections")
def test_it_tells_a_collector_that_does_not_run(desk: Desk) -> None:
    desk.agent().cycle()
    moved(desk, port=free_port())
    found = examined(desk.folder)
    assert found["connection"].mark == "action"
    assert "certificate" not in found
    assert found["clock"].said.ja.startswith("最後の報告のとき")


@pytest.mark.usefixtures("without_sections")
def test_it_tells_a_name_that_nobody_knows(desk: Desk) -> None:
    moved(desk, host="collector.invalid")
    found = marks(desk.folder)
    assert (found["name"], "connection" in found, found["clock"]) == ("action", False, "unknown")


@pytest.mark.usefixtures("without_sections")
@pytest.mark.parametrize(
    ("certificate", "words"), [("other-ca.pem", "別の認証局"), ("other-name.pem", "127.0.0.1 のものではありません")]
)
def test_it_tells_a_certificate_that_is_not_the_collectors(certificate: str, words: str, desk: Desk) -> None:
    with Collector(certificate) as impostor:
        moved(desk, port=impostor.port)
        found = examined(desk.folder)
        assert impostor.paths == []
    assert (found["certificate"].mark, words in found["certificate"].said.ja) == ("action", True)
    assert "answer" not in found


@pytest.mark.usefixtures("without_sections")
def test_it_tells_something_else_that_listens_there(desk: Desk) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        other.settimeout(20)
        moved(desk, port=other.getsockname()[1])
        import threading

        def babble() -> None:
            for _ in range(2):
                connection, _ = other.accept()
                connection.sendall(b"220 mail.example ready\r\n")
                connection.close()

        thread = threading.Thread(target=babble)
        thread.start()
        found = examined(desk.folder)
        thread.join()
    assert (found["connection"].mark, found["certificate"].mark) == ("ok", "action")


@pytest.mark.usefixtures("without_sections")
@pytest.mark.parametrize(
    ("ahead_s", "mark", "words"), [(0, "ok", "合っています"), (600, "action", "遅れて"), (-600, "action", "進んで")]
)
def test_it_compares_the_clock(ahead_s: float, mark: str, words: str, desk: Desk) -> None:
    desk.collector.clock_ahead_s = ahead_s
    found = examined(desk.folder)["clock"]
    assert (found.mark, words in found.said.ja) == (mark, True)


@pytest.mark.usefixtures("without_sections")
def test_it_says_when_nothing_has_arrived_for_long(desk: Desk) -> None:
    agent = desk.agent()
    assert marks(desk.folder)["acknowledged"] == "action"
    agent.cycle()
    assert marks(desk.folder)["acknowledged"] == "ok"
    state.save(
        desk.folder, msgspec.structs.replace(desk.state(), last_ack_at=datetime.now(UTC) - timedelta(days=3, minutes=1))
    )
    found = examined(desk.folder)["acknowledged"]
    assert (found.mark, "3 日前" in found.said.ja) == ("action", True)


@pytest.mark.usefixtures("without_sections")
def test_it_counts_what_waits_and_what_was_refused(desk: Desk) -> None:
    agent = desk.agent()
    for _ in range(3):
        agent.cycle(deliver=False)
    (desk.folder / "rejected" / "000000000001.full").write_bytes(b"x")
    found = examined(desk.folder)
    assert (found["waiting"].mark, found["waiting"].said.ja.startswith("3 件")) == ("note", True)
    assert (found["refused"].mark, "1 件" in found["refused"].said.ja) == ("note", True)


@pytest.mark.usefixtures("without_sections")
@pytest.mark.parametrize("name", own.LOCKS)
def test_it_sees_another_agent_at_work(name: str, desk: Desk) -> None:
    with durable.exclusive(desk.folder / name):
        assert "いま動いています" in examined(desk.folder)["at_work"].said.ja
    assert "いまは動いていません" in examined(desk.folder)["at_work"].said.ja


@pytest.mark.usefixtures("without_sections")
@pytest.mark.parametrize(("free", "mark"), [(1 << 20, "action"), (500 << 20, "note"), (5 << 30, "ok")])
def test_it_warns_before_the_disk_is_full(free: int, mark: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secmon_agent.machine.vitals", lambda _: {"disk_free_bytes": free})
    assert marks(desk.folder)["disk"] == mark


def test_a_check_that_breaks_hides_no_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Look) -> Iterator[Finding]:
        raise RuntimeError("boom")

    monkeypatch.setattr(main, "CHECKS", [broken, own.enrollment])
    assert marks(desk.folder) == {"broken": "unknown", "enrollment": "ok"}


@pytest.mark.usefixtures("without_sections")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps rights elsewhere")
def test_without_rights_it_says_that_it_cannot_tell(desk: Desk, tmp_path: Path) -> None:
    """As somebody who may not read the agent's folder, nor perhaps Python's own: what is imported late was imported
    before."""
    import os

    if os.geteuid() != 0:
        pytest.skip("needs root to become nobody")
    code = (
        "import contextlib, io, os, sys; sys.path[:0] = [sys.argv[1]]; from secmon_agent import cli\n"
        "doctor = ['doctor', '--json', '--state-dir', sys.argv[2]]\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): cli.main(doctor)\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "cli.main(doctor)"
    )
    tmp_path.chmod(0o755)
    command = [sys.executable, "-c", code, str(Path(cli.__file__).parents[1]), str(desk.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 1, done.stderr
    found = {row["id"]: row for row in json.loads(done.stdout)["checks"]}
    assert found["rights"]["mark"] == "note"
    assert "sudo" in found["rights"]["next"]
    assert (found["state"]["mark"], found["key"]["mark"]) == ("action", "action")
    assert found["section.firewall"]["mark"] == "note"
    assert "管理者の権限で" in found["section.firewall"]["next"]


def step(found: Finding) -> str:
    assert found.step is not None
    return found.step.ja


Change = Callable[..., Host]


def look(host: Host, folder: Path) -> Look:
    return Look(settings=Config(), state_dir=folder, host=host, now=host.now(), where=None, key=None, known=None)


def show(**units: str) -> bytes:
    """As `systemctl show` writes it: `a_service="loaded active enabled"`."""
    blocks = []
    for unit, words in units.items():
        load, active, file = words.split(" ")
        blocks.append(f"Id=secmon-agent{unit}\nLoadState={load}\nActiveState={active}\nUnitFileState={file}\n")
    return "\n".join(blocks).encode()


@pytest.mark.parametrize(
    ("resident", "timer", "mark", "words"),
    [
        ("loaded active enabled", "not-found inactive ", "ok", "secmon-agent.service が動いています"),
        ("not-found inactive ", "loaded active enabled", "ok", "secmon-agent-once.timer が動いています"),
        ("loaded inactive enabled", "not-found inactive ", "action", "止まっています"),
        ("loaded failed enabled", "loaded inactive disabled", "action", "止まっています"),
        ("loaded active disabled", "not-found inactive ", "note", "再起動すると止まります"),
        ("not-found inactive ", "not-found inactive ", "action", "入っていません"),
    ],
)
def test_it_asks_systemd_for_the_agents_units(resident: str, timer: str, mark: str, words: str, tmp_path: Path) -> None:
    output = show(**{".service": resident, "-once.timer": timer})
    found = _service(_systemd_host(tmp_path, output), tmp_path)
    assert (found.mark, words in found.said.ja) == (mark, True)


def test_a_silent_systemd_is_no_answer(tmp_path: Path) -> None:
    assert _service(_systemd_host(tmp_path, b""), tmp_path).mark == "unknown"


def _systemd_host(folder: Path, output: bytes) -> Host:
    from secmon_agent.command_result import CommandResult

    manifest = {
        **{"about": "made", "family": "linux", "now": "2026-11-23T00:00:00Z", "mtime": "2026-11-23T00:00:00Z"},
        "folders": ["/run/systemd/system"],
    }
    (folder / "host.json").write_text(json.dumps(manifest))
    host = recorded_host(folder)

    def run(argv: object, **_: object) -> CommandResult:
        assert "secmon-agent.service" in str(argv)
        return CommandResult(exit_code=0, stdout=output)

    host.programs = Programs(run, host.programs.ask)
    return host


@pytest.mark.parametrize(
    ("services", "mark"),
    [({"secmon-agent": True}, "ok"), ({"Secmon-Agent": False}, "action"), ({"Spooler": True}, "action")],
)
def test_it_asks_windows_for_the_agents_service(services: dict[str, bool], mark: str, tmp_path: Path) -> None:
    manifest = {
        **{"about": "made", "family": "windows", "now": "2026-11-23T00:00:00Z", "mtime": "2026-11-23T00:00:00Z"},
        "system": {"running_services": services},
    }
    (tmp_path / "host.json").write_text(json.dumps(manifest))
    assert _service(recorded_host(tmp_path), tmp_path).mark == mark


def _service(host: Host, folder: Path) -> Finding:
    (found,) = service(look(host, folder))
    return found


def test_it_says_of_every_section_what_can_be_read(tmp_path: Path) -> None:
    host = recorded_host(HOSTS / "windows-11-ja")
    host.system = recorded_host(_empty(tmp_path)).system
    found = {it.id: it for it in sections(look(host, tmp_path))}
    assert (found["section.os"].mark, found["section.ports"].mark) == ("note", "note")
    assert "権限が足りません" in found["section.ports"].said.ja
    assert "待ち受けポート" in found["section.ports"].title.ja


def _empty(folder: Path) -> Path:
    (folder / "host.json").write_text(
        '{"about": "made", "family": "windows", "now": "2026-11-23T00:00:00Z", "mtime": "2026-11-23T00:00:00Z"}'
    )
    return folder


@pytest.mark.usefixtures("without_sections")
@pytest.mark.parametrize("language", ["ja", "en"])
def test_it_speaks_to_people(language: str, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    (desk.folder / keys.KEY_FILE).unlink()
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", "--lang", language, "--state-dir", str(desk.folder)])
    out = capsys.readouterr().out
    assert ended.value.code == 1
    assert ("[要対応]" if language == "ja" else "[ACTION]") in out
    assert ("点検の結果：" if language == "ja" else "Result: ") in out.splitlines()[-1]
    if language == "en":
        assert out.isascii() or "→" in out
        assert not any("぀" <= letter <= "ヿ" for letter in out)


@pytest.mark.usefixtures("without_sections")
def test_it_speaks_to_programs(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.agent().cycle()
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", "--json", "--state-dir", str(desk.folder)])
    document = json.loads(capsys.readouterr().out)
    assert {"id": "enrollment", "mark": "ok"}.items() <= {row["id"]: row for row in document["checks"]}[
        "enrollment"
    ].items()
    assert document["well"] == (ended.value.code == 0)


def test_it_offers_a_step_wherever_something_is_to_be_done(desk: Desk, tmp_path: Path) -> None:
    found = main.examine(None, str(tmp_path / "nothing"), live_host(None))
    moved(desk, port=free_port())
    found += main.examine(None, str(desk.folder), live_host(None))
    assert [it.id for it in found if it.mark == "action" and it.step is None] == []
