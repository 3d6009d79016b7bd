"""A cycle as a whole: statuses, reasons, and that one probe never harms another."""

from __future__ import annotations

import os
import shutil
import subprocess  # noqa: TID251 - asks a process with fewer rights
import sys
from collections.abc import Callable

import pytest

from secmon_agent import collect, facts
from secmon_agent.host import AbsentError, DeniedError, Host, UnsupportedError
from secmon_agent.probes import probes_for

LINUX = sorted(probes_for("linux"))
WITHOUT_UPDATES = "ProbeError: Windows Update: error 0x80004001"
"""Of a Windows that has the Windows Update Agent in name only, as the testbed's."""
NEEDED = {
    "host": "/proc/sys/kernel/hostname",
    "os": "/etc/os-release",
    "patches": "/var/lib/apt/lists",
    "software": "/var/lib/dpkg/status",
    "ports": "/proc/net/tcp",
    "interfaces": "/sys/class/net",
    "accounts": "/etc/passwd",
    "password_policy": "/etc/pam.d",
    "screen_lock": "/usr/share/xsessions",
    "disk_encryption": "/proc/self/mountinfo",
    "removable_media": "/etc/modprobe.d",
    "services": "/etc/systemd/system",
    "audit_log": "/etc/rsyslog.d",
    "time_sync": "/etc/chrony/chrony.conf",
    "remote_access": "/etc/ssh/sshd_config",
    "boot": "/boot",
    "antimalware": "/var/lib/clamav/daily.cld",
    "hardening": "/etc/security/limits.conf",
}


@pytest.mark.parametrize("section", sorted(NEEDED))
def test_it_says_denied_where_somebody_with_more_rights_could_tell(
    section: str, changed_host: Callable[..., Host]
) -> None:
    host = changed_host("ubuntu-2204-server", denied=(NEEDED[section],))
    answer = collect.collect(host, [section])[section]
    assert (answer.status, NEEDED[section] in answer.reason) == ("denied", True)


def test_it_says_denied_of_the_firewall_without_root(changed_host: Callable[..., Host]) -> None:
    host = changed_host("ubuntu-2204-server", privileged=False)
    assert collect.collect(host, ["firewall"])["firewall"].status == "denied"


def test_every_probe_has_a_denied_case() -> None:
    assert sorted([*NEEDED, "firewall"]) == LINUX


def test_one_failing_probe_never_stops_the_others(changed_host: Callable[..., Host]) -> None:
    host = changed_host("ubuntu-2204-server", denied=("/etc/group",))
    sections = collect.collect(host)
    assert sorted(sections) == LINUX
    assert [name for name, it in sections.items() if it.status not in ("ok", "absent")] == ["accounts"]


def test_it_fails_on_a_file_over_its_limit(make_host: Callable[..., Host]) -> None:
    host = make_host({"/etc/passwd": "x" * ((1 << 20) + 1)})
    answer = collect.collect(host, ["accounts"])["accounts"]
    assert (answer.status, answer.reason) == ("failed", "TooLargeError: /etc/passwd has more than 1048576 bytes")


def test_it_fails_where_a_kernel_table_has_another_shape(make_host: Callable[..., Host]) -> None:
    table = "header\n 0: 00:0016 00000000:0000 0A 0:0 0:0 0 0 0 77 1\n"
    answer = collect.collect(make_host({"/proc/net/tcp": table}), ["ports"])["ports"]
    assert answer.status == "failed"


def test_it_refuses_a_section_that_it_does_not_have(make_host: Callable[..., Host]) -> None:
    with pytest.raises(KeyError):
        collect.collect(make_host(), ["devices"])


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (AbsentError("no such thing"), "absent", "no such thing"),
        (DeniedError("for root only"), "denied", "for root only"),
        (UnsupportedError("an old form"), "unsupported", "an old form"),
        (NotImplementedError("not here"), "unsupported", "NotImplementedError: not here"),
        (ValueError("invalid literal for int(): 'yamada taro'"), "failed", "ValueError: invalid literal for int(): …"),
        (KeyError("yamada"), "failed", "KeyError: …"),
        (RuntimeError("id 1234567"), "failed", "RuntimeError: id …"),
    ],
)
def test_it_tells_the_reason_without_what_was_read(error: Exception, status: str, reason: str) -> None:
    def broken(host: Host) -> facts.Section:
        raise error

    answer = collect.section(collect.live_host(None), broken)
    assert (answer.status, answer.reason) == (status, reason)


def test_it_names_the_file_of_a_system_error() -> None:
    error = PermissionError(13, "何かの理由", "/etc/shadow")
    assert collect.status_of(error) == "denied"
    expected = "PermissionError" if sys.platform == "win32" else "Permission denied"
    assert collect.reason_of(error) == f"{expected}: /etc/shadow"


def test_the_live_machine_answers_every_section() -> None:
    host = collect.live_host(None)
    sections = collect.collect(host)
    assert sorted(sections) == sorted(probes_for(host.family))
    failed = {name: it.reason for name, it in sections.items() if it.status == "failed"}
    assert failed == ({"patches": WITHOUT_UPDATES} if WITHOUT_UPDATES in failed.values() else {})


def test_a_reason_names_nobodys_home() -> None:
    answer = collect.reason_of(PermissionError(13, "Permission denied", "/home/hanako/sshd.conf"))
    assert "/home/*" in answer
    assert "hanako" not in answer


@pytest.mark.skipif(shutil.which("setpriv") is None or os.geteuid() != 0, reason="only root may give rights away")
@pytest.mark.parametrize(
    ("kept", "reads_all"), [("", "False"), (",+sys_ptrace", "False"), (",+dac_read_search,+sys_ptrace", "True")]
)
def test_it_counts_as_privileged_by_what_it_may_do(kept: str, reads_all: str) -> None:
    code = (
        "import sys; sys.path[:] = sys.argv[1].split(':'); from secmon_agent import collect as c; print(c._reads_all())"
    )
    python = [sys.executable, "-I", "-c", code, ":".join(filter(None, sys.path))]
    rights = [f"--{each}=-all{kept}" for each in ("bounding-set", "inh-caps")]
    done = subprocess.run(["setpriv", *rights, *python], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == reads_all
