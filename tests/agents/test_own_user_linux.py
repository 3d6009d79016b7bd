"""The agent as the units run it: a user of its own with a few capabilities sees all that root sees."""

from __future__ import annotations

import json
import os
import shutil
import subprocess  # noqa: TID251 - whole agents run with other rights
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from secmon_agent.own_user_linux import CAPABILITIES
from tests.agents.server import Collector
from tests.agents.test_systemd import SERVICES, UNITS, directives

if sys.platform == "win32":
    pytest.skip("Windows has services of another kind", allow_module_level=True)

USER = 64_917
"""Nobody's."""
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv"),
]


def unit_rights(*without: str) -> list[str]:
    """As systemd starts it by the unit, as far as user and capabilities go."""
    named = set(directives(SERVICES[0])["AmbientCapabilities"].split()) - set(without)
    kept = ",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in sorted(named))])
    capabilities = [f"--bounding-set={kept}", f"--inh-caps={kept}", f"--ambient-caps={kept}"]
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs", *capabilities]


def agent(*arguments: object, rights: Sequence[str] = (), well: bool = True) -> str:
    """Output of the whole program with these rights; with root's without."""
    path = os.pathsep.join(dict.fromkeys([str(Path(__file__).parents[2] / "agents"), *filter(None, sys.path)]))
    program = [str(Path(sys.executable).resolve()), "-m", "secmon_agent", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([*rights, *program], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode == 0) is well, done.stderr
    return done.stdout


def facts(folder: Path, rights: Sequence[str] = ()) -> dict[str, object]:
    """Status, reason and facts by section; ports come and go, so of them only which ones have a process."""
    sections = json.loads(agent("facts", "--state-dir", folder / "none", rights=rights))["sections"]
    said = {name: {key: value for key, value in it.items() if key != "collected_at"} for name, it in sections.items()}
    listening = said.pop("ports")["facts"]["listening"]
    return said | {"ports with a process": any("process" in port for port in listening)}


@pytest.fixture(scope="module")
def listening() -> object:
    """Somebody else's open port, whatever else runs here."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


def test_it_sees_all_that_root_sees(tmp_path: Path, listening: object) -> None:
    """Only what stayed the same meanwhile can be compared: other tests run beside this one."""
    root, own, again = facts(tmp_path), facts(tmp_path, unit_rights()), facts(tmp_path)
    assert {name for name in root if root[name] != own[name] and root[name] == again[name]} == set()
    assert root["ports with a process"]


@pytest.mark.parametrize(
    ("capability", "lost"),
    [
        ("CAP_DAC_READ_SEARCH", {"accounts", "firewall", "ports with a process"}),
        ("CAP_SYS_PTRACE", {"firewall", "ports with a process"}),
        ("CAP_NET_ADMIN", {"firewall"}),
    ],
)
def test_it_needs_each_of_its_capabilities(tmp_path: Path, capability: str, lost: set[str], listening: object) -> None:
    root, own = facts(tmp_path), facts(tmp_path, unit_rights(capability))
    assert {name for name in root if root[name] != own[name]} >= lost


@pytest.mark.skipif(shutil.which("iptables-legacy") is None, reason="needs iptables-legacy as witness")
def test_it_reads_the_tables_of_the_legacy_iptables(tmp_path: Path) -> None:
    """In a network of the test's own. The kernel may have no such tables any more."""
    closed = "iptables-legacy -P INPUT DROP && ip6tables-legacy -P INPUT DROP"
    alone = ["unshare", "--net", "sh", "-c", f'{closed} && exec "$@"', "sh"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode != 0:
        assert not Path("/proc/net/ip_tables_names").exists()
        return

    def said(*without: str) -> dict[str, object]:
        rights = [*alone, *unit_rights(*without)]
        out = agent("facts", "--section", "firewall", "--state-dir", tmp_path / "none", rights=rights)
        return dict(json.loads(out)["sections"]["firewall"])

    found = said()
    assert (found["status"], found["facts"]) == ("ok", found["facts"] | {"backend": "iptables", "filtering": True})  # type: ignore[operator]
    assert said("CAP_NET_RAW")["status"] == "failed"


def test_it_asks_for_the_same_rights_everywhere() -> None:
    for service in SERVICES:
        found = directives(service)
        assert set(found["AmbientCapabilities"].split()) == set(found["CapabilityBoundingSet"].split())
        assert set(found["AmbientCapabilities"].split()) == CAPABILITIES.keys()
        assert (found["User"], found["Group"]) == ("secmon-agent", "secmon-agent")
    named = (UNITS.parent / "sysusers.d" / "secmon-agent.conf").read_text("utf-8")
    assert "\nu secmon-agent " in named


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The service's state folder, as the package makes it."""
    made = tmp_path / "state"
    made.mkdir(mode=0o700)
    os.chown(made, USER, USER)
    return made


def owners(folder: Path) -> set[tuple[int, int]]:
    return {(path.lstat().st_uid, path.lstat().st_gid) for path in [folder, *folder.rglob("*")]}


def test_it_reports_as_the_service_after_root_enrolled_and_reported(folder: Path, collector: Collector) -> None:
    agent("enroll", "--state-dir", folder, collector.invitation())
    agent("once", "--state-dir", folder)
    agent("facts", "--section", "software", "--state-dir", folder)
    assert owners(folder) == {(USER, USER)}
    assert agent("once", "--state-dir", folder, rights=unit_rights()) == "1 delivered\n"
    assert agent("once", "--state-dir", folder) == "1 delivered\n"
    assert owners(folder) == {(USER, USER)}
    assert len(collector.received) == 3


def test_root_sees_no_less_when_it_becomes_the_service(folder: Path, collector: Collector) -> None:
    agent("enroll", "--state-dir", folder, collector.invitation())
    agent("once", "--state-dir", folder)
    assert [name for name, (status, _) in collector.sections.items() if status in ("denied", "failed")] == []


def test_it_follows_no_link_that_lies_in_the_services_folder(
    folder: Path, tmp_path: Path, collector: Collector
) -> None:
    """Whoever broke into the service waits for root to write where a link points."""
    target = tmp_path / "of-root"
    target.write_text("untouched")
    target.chmod(0o600)
    (folder / "lock").touch()
    os.chown(folder / "lock", USER, USER)
    for name in ("identity.json.tmp", "state.json.tmp", "agent.key.tmp"):
        (folder / name).symlink_to(target)
        os.chown(folder / name, USER, USER, follow_symlinks=False)
    agent("enroll", "--state-dir", folder, collector.invitation(), well=False)
    assert target.read_text() == "untouched"
    assert target.stat().st_uid == 0


def test_it_stays_root_over_a_folder_of_root(tmp_path: Path, collector: Collector) -> None:
    agent("enroll", "--state-dir", tmp_path / "state", collector.invitation())
    assert agent("once", "--state-dir", tmp_path / "state") == "1 delivered\n"
    assert owners(tmp_path / "state") == {(0, 0)}
