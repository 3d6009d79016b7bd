"""The package for Debian and Ubuntu: built without a network, installed, started, removed, purged."""

from __future__ import annotations

import os
import shutil
import subprocess  # noqa: TID251 - packages are built and installed by dpkg
import sys
from pathlib import Path

import pytest

from secmon_agent import __version__
from tests.packaging.room import ROOT

PYTHON = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"

pytestmark = [
    pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg is not installed here"),
    pytest.mark.skipif(not Path(PYTHON).exists(), reason=f"the system has no {PYTHON}, for which it would be built"),
]

INSTALLED = """
set -e
mount -t tmpfs tmpfs /mnt
cd /mnt
mkdir -p up/etc up/var up/usr work
for part in etc var usr; do
  mkdir -p work/$part
  mount -t overlay overlay -o lowerdir=/$part,upperdir=up/$part,workdir=work/$part /$part
done
mkdir -p -m 700 /var/lib/secmon-agent/spool
echo old >/var/lib/secmon-agent/spool/000000000001.full
ln -s /etc/shadow /var/lib/secmon-agent/link
dpkg -i {deb} >&2
find /var/lib/secmon-agent -printf '%U:%G\n' | sort -u | grep -c .
stat -c %U /var/lib/secmon-agent/spool/000000000001.full /etc/shadow
rm -r /var/lib/secmon-agent/*
getent passwd secmon-agent | cut -d: -f6,7
dpkg -i {deb} >&2
secmon-agent --version
secmon-agent facts --section os --state-dir /var/lib/secmon-agent | grep -c linux
stat -c %a /var/lib/secmon-agent
echo '#' >>/etc/secmon-agent/agent.toml
dpkg -r secmon-agent >&2
test ! -e /usr/bin/secmon-agent && test ! -e /usr/lib/secmon-agent && test -d /var/lib/secmon-agent
tail -c2 /etc/secmon-agent/agent.toml
dpkg -P secmon-agent >&2
getent passwd secmon-agent >&2 && exit 1
test ! -e /var/lib/secmon-agent && test ! -e /etc/secmon-agent && echo gone
"""
"""In a mount namespace whose changes are forgotten; it sees this system's interpreter and libraries."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deb")
    script = ROOT / "agents" / "packaging" / "debian" / "build-deb"
    done = subprocess.run(
        [script, folder], env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, check=True
    )
    return Path(done.stdout.strip())


def test_it_puts_files_where_the_system_expects_them(package: Path) -> None:
    listed = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    names = {row[5] for row in rows}
    assert {
        "./usr/bin/secmon-agent",
        "./etc/secmon-agent/agent.toml",
        "./usr/lib/secmon-agent/secmon_agent/cli.py",
    } <= (names)
    assert "./usr/lib/systemd/system/secmon-agent.service" in names
    assert {row[1] for row in rows} == {"root/root"}
    assert not [row for row in rows if row[0][8] == "w" or row[0][3] == "s"]
    assert not [name for name in names if not name.startswith(("./usr/", "./etc/")) and name not in ("./",)]


@pytest.mark.skipif(os.geteuid() != 0 if sys.platform != "win32" else True, reason="dpkg installs as root only")
def test_it_installs_runs_and_goes(package: Path) -> None:
    if Path("/var/lib/dpkg/info/secmon-agent.list").exists():
        pytest.skip("secmon-agent is installed on this machine")
    copy = Path("/dev/shm") / package.name  # noqa: S108 - outside what the script mounts over
    shutil.copyfile(package, copy)
    try:
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", INSTALLED.format(deb=copy)], capture_output=True, text=True, check=False
        )
    finally:
        copy.unlink()
    if "mount:" in done.stderr:
        pytest.skip("no overlay file system can be mounted here")
    assert done.returncode == 0, done.stderr
    whose, *said = done.stdout.splitlines()
    assert whose == "1"
    assert said[:3] == ["secmon-agent", "root", "/var/lib/secmon-agent:/usr/sbin/nologin"]
    assert said[3:] == [f"secmon-agent {__version__}", "1", "700", "#", "gone"]
