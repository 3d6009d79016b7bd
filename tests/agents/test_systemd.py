"""The systemd units: they verify, they confine, and they do not put the agent into a view of its own."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess  # noqa: TID251 - systemd's own checker
import sys
from pathlib import Path

import pytest

from secmon_agent import cli, config, identity, invited, limits, modesty

UNITS = Path(__file__).parents[2] / "agents" / "packaging" / "systemd"
SERVICES = ["secmon-agent.service", "secmon-agent-once.service"]
OWN_VIEW = {
    "PrivateTmp", "PrivateDevices", "PrivateNetwork", "PrivateUsers", "PrivateMounts", "ProtectHostname", "ProtectProc",
    "ProcSubset", "ProtectKernelModules", "ProtectClock", "InaccessiblePaths", "RootDirectory", "DynamicUser",
}  # fmt: skip
"""Directives under which facts would be those of the sandbox."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")


def directives(unit: str, part: str = "Service") -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / unit, "utf-8")
    return dict(parser[part])


def installed(folder: Path) -> list[Path]:
    """Copies whose program exists on any machine."""
    copies = []
    for unit in UNITS.iterdir():
        copies.append(folder / unit.name)
        copies[-1].write_text(unit.read_text("utf-8").replace("/usr/bin/secmon-agent", "/bin/true"), "utf-8")
    return copies


@needs_systemd
def test_it_has_units_that_systemd_accepts_without_a_word(tmp_path: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", *installed(tmp_path)], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "secmon" in line]
    assert (done.returncode, ours) == (0, [])


@needs_systemd
@pytest.mark.parametrize("service", SERVICES)
def test_it_confines_the_agent(service: str, tmp_path: Path) -> None:
    installed(tmp_path)
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=40", "--no-pager", str(tmp_path / service)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd cannot judge a unit offline")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_it_lets_the_agent_see_the_machine_as_it_is(service: str) -> None:
    found = directives(service)
    assert not OWN_VIEW & found.keys()
    assert found["ProtectHome"] == "read-only"
    assert found["StateDirectoryMode"] == "0700"


def test_it_hardens_both_services_alike() -> None:
    own = {"Type", "ExecStart", "Restart", "RestartSec", "RestartPreventExitStatus", "TimeoutStartSec"}
    resident, once = ({k: v for k, v in directives(service).items() if k not in own} for service in SERVICES)
    assert resident == once


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps the state elsewhere")
@pytest.mark.parametrize("service", SERVICES)
def test_it_starts_only_where_there_is_somebody_to_report_to(service: str) -> None:
    """Either file will do: `|` makes a condition one of several."""
    lines = (UNITS / service).read_text("utf-8").splitlines()
    conditions = {line.removeprefix("ConditionPathExists=") for line in lines if line.startswith("Condition")}
    folder = config.default_state_dir()
    assert conditions == {f"|{folder / name}" for name in (identity.IDENTITY_FILE, invited.INVITATION_FILE)}
    assert directives(service)["StateDirectory"] == folder.name


@pytest.mark.parametrize("service", SERVICES)
def test_it_stands_behind_whoever_works_there(service: str) -> None:
    found = directives(service)
    assert (int(found["Nice"]), found["IOSchedulingClass"]) == (modesty.NICENESS, "idle")
    assert int(found["CPUWeight"]) < 100


@pytest.mark.parametrize("service", SERVICES)
def test_it_loses_a_question_and_not_the_agent_when_memory_is_short(service: str) -> None:
    """What asks a dangerous question is a process of its own; the kernel may end it and the report still goes out."""
    found = directives(service)
    assert found["OOMPolicy"] == "continue"
    high, most = (int(found[name].removesuffix("M")) << 20 for name in ("MemoryHigh", "MemoryMax"))
    assert high < limits.MAX_TURN_MEMORY_BYTES < most


def test_it_reports_as_often_as_its_timer_says() -> None:
    timer = directives("secmon-agent-once.timer", "Timer")
    hours = re.fullmatch(r"(\d+)h", timer["OnUnitActiveSec"])
    command = directives("secmon-agent-once.service")["ExecStart"]
    assert hours is not None
    assert command == f"/usr/bin/secmon-agent once --interval {3600 * int(hours[1])}"


@pytest.mark.parametrize("service", SERVICES)
def test_it_starts_what_the_command_understands(service: str) -> None:
    program, *arguments = shlex.split(directives(service)["ExecStart"])
    assert program == "/usr/bin/secmon-agent"
    assert vars(cli.parser().parse_args(arguments))["command"] == arguments[0]
