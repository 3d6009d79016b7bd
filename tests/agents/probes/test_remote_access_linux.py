"""sshd's settings as they take effect."""

from __future__ import annotations

import os
import shutil
import subprocess  # noqa: TID251 - sshd is the witness
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import UNSET

from secmon_agent.facts import SshServer
from secmon_agent.host import Host
from secmon_agent.probes.remote_access_linux import CONFIG, remote_access, split_line

CONFIGS = [
    "",
    "PermitRootLogin yes\nPermitRootLogin no\n",
    "permitrootlogin without-password\nPORT 2222\nPort 22\n",
    'PasswordAuthentication = no\nMaxAuthTries\t3 # three\nX11Forwarding "yes"\n',
    "Match User a\n  PasswordAuthentication no\nMatch all\n  PermitEmptyPasswords yes\n",
    "Port 2222\nListenAddress 127.0.0.1:2200\nListenAddress [::1]:2201\n",
    "Port 2222\nListenAddress 127.0.0.1\n",
    "PermitEmptyPasswords no\nMatch all\nPermitEmptyPasswords yes\nPermitEmptyPasswords no\n",
    "  # PermitRootLogin yes\nPermitRootLogin forced-commands-only\nListenAddress 127.0.0.1:2200\n",
]


def _ssh(host: Host) -> SshServer:
    found = remote_access(host).ssh
    assert isinstance(found, SshServer)
    return found


def _host(make_host: Callable[..., Host], config: str, **more: str) -> Host:
    return make_host({"/usr/sbin/sshd": "", CONFIG: config, **more})


def test_without_sshd_there_are_no_settings(make_host: Callable[..., Host]) -> None:
    found = remote_access(make_host())
    assert (found.ssh_installed, found.ssh) == (False, UNSET)


def test_the_first_value_wins_across_included_files(make_host: Callable[..., Host]) -> None:
    config = "Include sshd_config.d/*.conf\nPermitRootLogin yes\nPasswordAuthentication yes\n"
    host = make_host(
        {
            "/usr/sbin/sshd": "",
            CONFIG: config,
            "/etc/ssh/sshd_config.d/20.conf": "PermitRootLogin no\n",
            "/etc/ssh/sshd_config.d/10.conf": "Match User x\nPasswordAuthentication no\n",
            "/etc/ssh/sshd_config.d/30.conf.bak": "PasswordAuthentication no\n",
        }
    )
    assert (_ssh(host).permit_root_login, _ssh(host).password_authentication) == ("no", True)


def test_a_file_that_includes_itself_is_refused(make_host: Callable[..., Host]) -> None:
    with pytest.raises(Exception, match="too many files"):
        remote_access(_host(make_host, "Include /etc/ssh/sshd_config\n"))


def test_a_value_that_sshd_would_refuse_is_undetermined(make_host: Callable[..., Host]) -> None:
    found = _ssh(_host(make_host, "PermitRootLogin maybe\nX11Forwarding perhaps\nMaxAuthTries many\n"))
    assert (found.permit_root_login, found.x11_forwarding, found.max_auth_tries) == (UNSET, UNSET, UNSET)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Port 22", ("port", ["22"])),
        ("  Port=22", ("port", ["22"])),
        ('Banner "a b" c # d', ("banner", ["a b", "c"])),
        ("# Port 22", ("", [])),
        ("", ("", [])),
    ],
)
def test_it_splits_lines_as_sshd_does(line: str, expected: tuple[str, list[str]]) -> None:
    assert split_line(line) == expected


@pytest.fixture(scope="module")
def separation() -> Iterator[None]:
    """sshd wants a folder that only its service makes."""
    folder = Path("/run/sshd")
    made = os.geteuid() == 0 and not folder.exists()
    if made:
        folder.mkdir(mode=0o755)
    yield
    if made:
        folder.rmdir()


@pytest.fixture(scope="module")
def host_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@pytest.mark.skipif(shutil.which("sshd") is None, reason="needs sshd as witness")
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.usefixtures("separation")
def test_it_agrees_with_sshd(config: str, make_host: Callable[..., Host], host_key: Path, tmp_path: Path) -> None:
    path = tmp_path / "sshd_config"
    path.write_text(config)
    out = subprocess.run(
        [str(shutil.which("sshd")), "-T", "-f", str(path), "-h", str(host_key)],
        capture_output=True,
        text=True,
        check=False,
    )
    if out.returncode != 0 and "privilege separation" in out.stderr.lower():
        pytest.skip("sshd cannot run on this machine")
    assert out.returncode == 0, out.stderr
    said = [line.split(maxsplit=1) for line in out.stdout.splitlines() if " " in line]
    first = dict(reversed(said))
    found = _ssh(_host(make_host, config))
    assert found.permit_root_login == first["permitrootlogin"].replace("without-password", "prohibit-password")
    assert found.password_authentication == (first["passwordauthentication"] == "yes")
    assert found.permit_empty_passwords == (first["permitemptypasswords"] == "yes")
    assert found.x11_forwarding == (first["x11forwarding"] == "yes")
    assert found.max_auth_tries == int(first["maxauthtries"])
    listening = {int(value.rpartition(":")[2]) for keyword, value in said if keyword == "listenaddress"}
    assert set(found.ports or ()) == listening
