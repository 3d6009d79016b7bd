"""A recording tells of every section what the machine told, and nothing of whose machine it is."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from secmon_agent import cli
from secmon_agent.capture.learn import Own, learn
from secmon_agent.capture.main import capture
from secmon_agent.capture.recording import Made, make, walked
from secmon_agent.capture.redact import Redactor
from secmon_agent.capture.tape import taped
from secmon_agent.collect import collect, live_host
from secmon_agent.errors import ConfigError
from secmon_agent.facts_document import plain_facts
from secmon_agent.host import Host
from secmon_agent.probes.file_rights_linux import world_writable
from secmon_agent.probes.removable_windows import serial_hash
from secmon_agent.recorded import recorded_host

TESTS = Path(__file__).parents[2]
RECORDED = sorted(path.name for path in (TESTS / "hosts").iterdir() if (path / "host.json").exists())
HOSTS = [name for name in RECORDED if sys.platform != "win32" or name.startswith("windows")]
SECRETS = {
    "a login name": "ktanaka",
    "a short one": "yk",
    "a full name": "田中 恵子",
    "a password hash": "Fq9CcpRmFqHvJ0DPTXIgS0",
    "the machine's name": "soumu-sv03",
    "the domain": "kitamachi.lg.jp",
    "a server of the site": "wsus.kitamachi",
    "a serial number": "PF3XK9Q2",
    "a card": "3c:97:0e:5a:11:02",
    "an address": "172.23.8.41",
    "an IPv6 address": "2400:4050:1:2::41",
    "a mail address": "keiko@kitamachi.lg.jp",
    "a password in a URL": "hunter2pw",
}
MOUNTS = "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
FILES = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\nktanaka:x:1000:1000:田中 恵子,,,:/home/ktanaka:/bin/bash\n"
    "yk:x:1001:1001:,,,:/home/yk:/bin/sh\n",
    "/etc/shadow": "root:*:19000:0:99999:7:::\nktanaka:$y$j9T$Fq9CcpRmFqHvJ0DPTXIgS0$abcdefgh:19700:0:99999:7:::\n"
    "yk:!$6$salt$Fq9CcpRmFqHvJ0DPTXIgS0:19700:0:99999:7:::\n",
    "/etc/group": "root:x:0:\nsudo:x:27:ktanaka\nktanaka:x:1000:\n",
    "/etc/sudoers": "# ask keiko@kitamachi.lg.jp\nyk ALL=(ALL) NOPASSWD: ALL\nktanaka ALL=(ALL) ALL\n",
    "/etc/hosts": "127.0.0.1 localhost\n172.23.8.41 soumu-sv03.kitamachi.lg.jp soumu-sv03\n",
    "/proc/sys/kernel/hostname": "soumu-sv03\n",
    "/sys/class/dmi/id/product_serial": "PF3XK9Q2\n",
    "/sys/class/dmi/id/sys_vendor": "FUJITSU\n",
    "/sys/class/net/eth0/address": "3c:97:0e:5a:11:02\n",
    "/sys/class/net/eth0/flags": "0x1003\n",
    "/sys/class/net/eth0/operstate": "up\n",
    "/sys/class/net/eth0/type": "1\n",
    "/proc/net/route": "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
    "eth0\t00000000\t010817AC\t0003\t0\t0\t0\t00000000\n",
    "/proc/net/if_inet6": "24004050000100020000000000000041 02 40 00 80     eth0\n",
    "/proc/net/tcp": "header\n   0: 290817AC:0016 00000000:0000 0A 0:0 0:0 0 0 0 77 1\n"
    "   1: 290817AC:0016 2A0817AC:D431 01 0:0 0:0 0 0 0 78 1\n",
    "/proc/1/mountinfo": MOUNTS,
    "/proc/1/environ": "container=lxc\0PASSWORD=hunter2pw\0",
    "/etc/resolv.conf": "search kitamachi.lg.jp\nnameserver 172.23.8.2\n",
    "/etc/apt/apt.conf": 'Acquire::http::Proxy "http://ktanaka:hunter2pw@wsus.kitamachi.lg.jp:3128";\n',
    "/etc/ssh/sshd_config": "# by ktanaka\nPermitRootLogin no\nAllowUsers ktanaka\nMatch User yk\n"
    "  X11Forwarding yes\n",
    "/etc/systemd/timesyncd.conf": "[Time]\nNTP=ntp1.kitamachi.lg.jp 172.23.8.3\n",
}


def made(host: Host, own: Own) -> tuple[Made, Redactor, Mapping[str, object]]:
    """The recording, what redacted it, and the facts it must tell."""
    wrapped, tape = taped(host)
    live = collect(wrapped)
    redactor = Redactor(learn(tape, own))
    recording = make(tape, redactor, wrapped, "made")
    hashes = {serial_hash(it.text): serial_hash(it.replacement) for it in redactor.secrets if it.kind == "serial"}
    plain = {name: _rehashed(plain_facts(name, it), hashes) for name, it in live.items()}
    expected = {name: [it.status, _facts(walked(plain[name], redactor))] for name, it in live.items()}
    return recording, redactor, expected


def _rehashed(value: object, hashes: Mapping[str, str]) -> object:
    """A hash tells of a serial number what the recording does not hold any more: it becomes that of the new one."""
    if isinstance(value, Mapping):
        return {key: hashes.get(it, it) if key == "serial_hash" else _rehashed(it, hashes) for key, it in value.items()}
    return [_rehashed(it, hashes) for it in value] if isinstance(value, (list, tuple)) else value


def _facts(value: object) -> object:
    """Lists are sets."""
    if isinstance(value, Mapping):
        return {str(key): _facts(it) for key, it in value.items()}
    if isinstance(value, (list, tuple)):
        return sorted((_facts(it) for it in value), key=lambda it: json.dumps(it, sort_keys=True))
    return value


def told(folder: Path) -> Mapping[str, object]:
    return {name: [it.status, _facts(plain_facts(name, it))] for name, it in collect(recorded_host(folder)).items()}


def write(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


@pytest.fixture
def planted(tmp_path: Path) -> Host:
    """A Linux machine full of what must not be handed on."""
    folder = write(tmp_path / "planted", {f"root{name}": content for name, content in FILES.items()})
    manifest = {
        "about": "Made from documentation.",
        "family": "linux",
        "now": "2026-11-23T00:00:00Z",
        "mtime": "2026-11-01T00:00:00Z",
        "system": {
            "architecture": "x86_64",
            "ipv4_addresses": [{"interface": "eth0", "address": "172.23.8.41", "prefix": 24}],
            "clock_synchronized": True,
        },
    }
    write(folder, {"host.json": json.dumps(manifest)})
    return recorded_host(folder)


@pytest.mark.parametrize("name", HOSTS)
def test_a_recording_of_a_recording_tells_the_same(name: str, tmp_path: Path) -> None:
    recording, _, expected = made(recorded_host(TESTS / "hosts" / name), Own())
    assert recording.kept_back == {}
    assert told(write(tmp_path / "again", recording.files)) == expected


def test_a_recording_of_this_machine_tells_the_same(tmp_path: Path) -> None:
    recording, _, expected = made(live_host(None), Own())
    assert told(write(tmp_path / "again", recording.files)) == expected


def test_a_recording_with_all_that_is_secret_tells_the_same(planted: Host, tmp_path: Path) -> None:
    recording, _, expected = made(planted, Own())
    assert told(write(tmp_path / "again", recording.files)) == expected
    assert {name for name, it in expected.items() if isinstance(it, list) and it[0] == "failed"} == set()


@pytest.mark.parametrize("what", SECRETS)
def test_nothing_secret_is_left(what: str, planted: Host) -> None:
    recording, _, _ = made(planted, Own())
    secret = SECRETS[what].casefold()
    content = {name: data.decode("utf-8").casefold() for name, data in recording.files.items()}
    if len(secret) <= 2:
        content = {name: text for name, text in content.items() if name.startswith(("root/etc", "root/home"))}
    assert [name for name, text in content.items() if secret in name.casefold() or secret in text] == []


def test_the_names_stay_apart_and_fit_together(planted: Host) -> None:
    recording, redactor, _ = made(planted, Own())
    passwd = recording.files["root/etc/passwd"].decode()
    keiko, short = redactor.login("ktanaka"), redactor.login("yk")
    assert keiko != short
    assert f"{keiko}:x:1000:1000::/home/{keiko}:/bin/bash\n{short}:x:1001:1001::/home/{short}:/bin/sh\n" in passwd
    assert f"sudo:x:27:{keiko}" in recording.files["root/etc/group"].decode()
    assert f"\n{short} ALL=(ALL) NOPASSWD: ALL" in recording.files["root/etc/sudoers"].decode()
    shadow = recording.files["root/etc/shadow"].decode().splitlines()
    assert [line.split(":")[1] for line in shadow] == ["*", "$y$redacted", "!$6$redacted"]


def test_it_keeps_no_connection_and_no_environment(planted: Host) -> None:
    recording, _, _ = made(planted, Own())
    assert recording.files["root/proc/1/environ"] == b"container=lxc\0"
    assert len(recording.files["root/proc/net/tcp"].splitlines()) == 2


SID = "S-1-5-21-1004336348-1177238915-682003330-1107"
WINDOWS_KEYS = {
    r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion": {
        "ProductName": "Windows 10 Pro",
        "CurrentBuildNumber": "19045",
        "InstallationType": "Client",
        "RegisteredOwner": "田中 恵子",
        "ProductId": "00330-80000-00000-AA123",
        "DigitalProductId": {"hex": "a4000000"},
    },
    r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters": {
        "Hostname": "SOUMU-PC07",
        "Domain": "kitamachi.local",
        "DhcpServer": "172.23.8.1",
    },
    rf"HKEY_USERS\{SID}\Software\Microsoft\Windows\CurrentVersion\Uninstall\x": {
        "DisplayName": "ktanaka の道具",
        "DisplayVersion": "10.1.2.3",
        "InstallLocation": r"C:\Users\ktanaka\tool",
    },
}


def test_of_the_registry_only_what_was_asked_for_is_kept(tmp_path: Path) -> None:
    folder = write(tmp_path / "windows", {"registry.json": json.dumps(WINDOWS_KEYS)})
    manifest = {
        **{"about": "made", "family": "windows", "now": "2026-11-23T00:00:00Z", "mtime": "2026-11-23T00:00:00Z"},
        "registry": ["registry.json"],
        "system": {
            "architecture": "x86_64",
            "hostname": "SOUMU-PC07",
            "memory_bytes": 1 << 33,
            "adapters": [{"name": "ktanaka の LAN", "up": True, "mac": "3c:97:0e:5a:11:02"}],
        },
    }
    write(folder, {"host.json": json.dumps(manifest)})
    recording, _, expected = made(recorded_host(folder), Own(persons=("ktanaka",)))
    keys = msgspec.json.decode(recording.files["registry.json"])
    kept = {name for values in keys.values() for name in values}
    assert kept.isdisjoint({"RegisteredOwner", "ProductId", "DigitalProductId", "InstallLocation"})
    everything = b"".join(recording.files.values()).decode().casefold()
    for secret in ("ktanaka", "soumu", "kitamachi", "1177238915", "3c:97", "田中"):
        assert secret not in everything
    assert "10.1.2.3" in everything
    assert told(write(tmp_path / "again", recording.files)) == expected


def test_a_unit_that_is_switched_off_is_open_to_nobody(tmp_path: Path) -> None:
    """Its link leads to a device that everybody may write to, and that is no file."""
    unit = "/usr/lib/systemd/system/rc.service"
    manifest = {
        **{"about": "made", "family": "linux", "now": "2026-11-23T00:00:00Z", "mtime": "2026-11-01T00:00:00Z"},
        "links": {unit: "/dev/null"},
        "owners": {"/dev/null": {"mode": "020666"}, "/etc/open.conf": {"mode": "0666"}},
    }
    files = {"root/etc/open.conf": "", "root/dev/null": "", "root/proc/1/mountinfo": MOUNTS}
    folder = write(tmp_path / "masked", files | {"host.json": json.dumps(manifest)})
    recording, _, expected = made(recorded_host(folder), Own())
    assert world_writable(recorded_host(folder)) == ("/etc/open.conf",)
    assert world_writable(recorded_host(write(tmp_path / "again", recording.files))) == ("/etc/open.conf",)
    assert told(tmp_path / "again")["hardening"] == expected["hardening"]


def test_that_a_key_holds_something_is_kept_and_what_it_holds_is_not(tmp_path: Path) -> None:
    key = r"HKEY_LOCAL_MACHINE\SOFTWARE\x"
    manifest = {
        **{"about": "made", "family": "windows", "now": "2026-11-23T00:00:00Z", "mtime": "2026-11-23T00:00:00Z"},
        "registry": ["registry.json"],
    }
    files = {"host.json": json.dumps(manifest), "registry.json": json.dumps({key: {"Token": "xyzzy", "Second": 7}})}
    wrapped, tape = taped(recorded_host(write(tmp_path / "windows", files)))
    assert wrapped.registry.values(key)
    assert tape.keys == {key: {"Token": ""}}
    assert wrapped.registry.values(key)["Second"] == 7
    assert tape.keys == {key: {"Token": "", "Second": 7}}


def test_a_file_that_is_too_large_is_kept_back_and_named(planted: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secmon_agent.capture.recording.MAX_FILE_BYTES", 90)
    recording, _, _ = made(planted, Own())
    assert "/etc/shadow" in recording.kept_back
    assert "root/etc/shadow" not in recording.files
    assert "/etc/shadow" in msgspec.json.decode(recording.files["host.json"])["unread"]


def test_a_recording_is_bounded(planted: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secmon_agent.capture.recording.MAX_TOTAL_BYTES", 600)
    recording, _, _ = made(planted, Own())
    assert sum(len(data) for name, data in recording.files.items() if name.startswith("root/")) <= 600
    assert recording.kept_back


@pytest.mark.parametrize("language", ["ja", "en"])
def test_it_shows_what_it_holds_and_asks_to_look_through_it(planted: Host, tmp_path: Path, language: str) -> None:
    lines: list[str] = []
    target = tmp_path / "out.zip"
    assert capture(target, planted, Own(), "ja" if language == "ja" else "en", lines.append)
    text = "\n".join(lines)
    assert "root/etc" in text
    assert ("必ず中身をご自分の目で" if language == "ja" else "Look through it yourself") in lines[-1]
    with zipfile.ZipFile(target) as archive:
        archive.extractall(tmp_path)
    assert told(tmp_path / "out")["accounts"]
    assert "Recorded on a real machine" in (tmp_path / "out" / "README.md").read_text("utf-8")


def test_it_overwrites_nothing(planted: Host, tmp_path: Path) -> None:
    used = write(tmp_path / "used", {"somebodys.txt": "mine"})
    (tmp_path / "there.zip").write_bytes(b"")
    for target in (used, tmp_path / "there.zip"):
        with pytest.raises(ConfigError, match="exists already"):
            capture(target, planted, Own(), "en", print)
    assert [path.name for path in used.iterdir()] == ["somebodys.txt"]


def test_the_command_records_this_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["capture", str(tmp_path / "here"), "--lang", "en"])
    assert ended.value.code == 0
    assert "the same status for all" in capsys.readouterr().out
    assert (tmp_path / "here" / "host.json").exists()
