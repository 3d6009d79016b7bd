"""Kernel parameters, mounts, rights of files and core dumps of machines that differ in one thing each."""

from __future__ import annotations

import shutil
import subprocess  # noqa: TID251 - sysctl, findmnt and find are the witnesses
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import UNSET, structs

from secmon_agent import collect
from secmon_agent.facts import FileRights, FolderMount, KernelSettings
from secmon_agent.host import Host
from secmon_agent.memory import DictMemory
from secmon_agent.probes.audit_log_linux import audit_log
from secmon_agent.probes.file_rights_linux import SEARCHED, file_rights, world_writable
from secmon_agent.probes.hardening_linux import _SYSCTLS, hardening

Make = Callable[..., Host]
MOUNTS = (
    "1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n2 1 0:9 / /tmp rw,nosuid,nodev - tmpfs tmpfs rw\n"
    "3 1 0:7 / /dev rw,nosuid - devtmpfs dev rw\n4 3 0:8 / /dev/shm rw,nosuid,nodev,noexec - tmpfs tmpfs rw\n"
)
TMP, VAR_TMP, SHM = (f"/{name}" for name in ("tmp", "var/tmp", "dev/shm"))
PLAIN = {"/proc/1/mountinfo": MOUNTS}


def _made(make_host: Make, files: dict[str, str], **manifest: object) -> Host:
    return make_host(PLAIN | files, **{"owners": {}, **manifest})


def _run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def test_every_kernel_parameter_of_the_vocabulary_is_read() -> None:
    assert set(_SYSCTLS) == {field.name for field in structs.fields(KernelSettings)}
    assert {path.replace("/", "_") for path in _SYSCTLS.values()} == set(_SYSCTLS)


def test_a_parameter_that_the_kernel_does_not_have_or_show_is_left_out(make_host: Make) -> None:
    files = {"/proc/sys/kernel/kptr_restrict": "2\n", "/proc/sys/kernel/sysrq": "", "/proc/sys/fs/suid_dumpable": "1\n"}
    found = hardening(_made(make_host, files, denied=["/proc/sys/fs/suid_dumpable"])).kernel_settings
    assert found == KernelSettings(kernel_kptr_restrict=2)


def test_a_folder_has_the_options_of_the_file_system_it_lies_on(make_host: Make) -> None:
    found = hardening(_made(make_host, {}, folders=[TMP, "/var", SHM], links={VAR_TMP: f"{TMP}/x"}))
    assert set(found.folder_mounts or ()) == {
        FolderMount(path=TMP, separate=True, nodev=True, nosuid=True, noexec=False),
        FolderMount(path=SHM, separate=True, nodev=True, nosuid=True, noexec=True),
    }
    nested = hardening(_made(make_host, {f"{VAR_TMP}/x": "", "/home/x": ""}, links={}))
    assert {(it.path, it.separate, it.nosuid) for it in nested.folder_mounts or ()} == {
        (VAR_TMP, False, False), ("/home", False, False),
    }  # fmt: skip


def test_it_names_what_everybody_may_change(make_host: Make) -> None:
    files = {"/usr/bin/tool": "", "/etc/profile.d/a.sh": "", "/etc/cron.d/job": "", "/usr/bin/fine": "", f"{TMP}/x": ""}
    owners = {
        "/usr/bin/tool": {"mode": "0777"}, "/etc/profile.d": {"mode": "0777"}, "/etc/cron.d": {"mode": "1777"},
        f"{TMP}/x": {"mode": "0666"}, "/etc/cron.d/job": {"mode": "0664"},
    }  # fmt: skip
    links = {"/usr/local/bin/x": f"{TMP}/x", "/bin": "usr/bin", "/etc/systemd/system/off.service": "/dev/null"}
    found = world_writable(_made(make_host, files, owners=owners, links=links))
    assert found == ("/etc/profile.d", "/usr/bin/tool", "/usr/local/bin/x")


def test_where_it_may_not_look_it_does_not_say_that_nothing_is_open(make_host: Make) -> None:
    files = {"/etc/sudoers.d/x": "", "/etc/passwd": ""}
    assert world_writable(_made(make_host, files, denied=["/etc/sudoers.d"])) is UNSET
    assert world_writable(make_host(files)) is UNSET
    assert file_rights(make_host(files)) == (FileRights(path="/etc/passwd"),)


def test_a_change_of_rights_alone_is_seen_within_the_hour(make_host: Make) -> None:
    memory = DictMemory()

    def found(mode: str, hour: int) -> object:
        moment = datetime(2026, 11, 23, hour, 5, tzinfo=UTC)
        host = make_host({"/usr/bin/a": ""}, memory, owners={"/usr/bin/a": {"mode": mode}}, now=moment)
        return world_writable(host)

    assert [found("0755", 8), found("0757", 8), found("0757", 9)] == [(), (), ("/usr/bin/a",)]


def test_it_tells_the_rights_of_what_cron_starts_but_names_no_person(make_host: Make) -> None:
    files = {"/etc/crontab": "", "/etc/cron.daily/backup": "", "/var/spool/cron/crontabs/hanako": ""}
    owners = {"/etc/cron.daily/backup": {"mode": "0775", "uid": 1001, "gid": 50}}
    found = {it.path: (it.permissions, it.uid, it.gid) for it in file_rights(_made(make_host, files, owners=owners))}
    assert found == {
        "/etc/crontab": ("0644", 0, 0), "/etc/cron.daily": ("0755", 0, 0),
        "/etc/cron.daily/backup": ("0775", 1001, 50),
        "/var/spool/cron": ("0755", 0, 0), "/var/spool/cron/crontabs": ("0755", 0, 0),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "settings", "expected"),
    [
        ("core\n", "", ("file", UNSET)),
        ("|/bin/false\n", "", ("none", UNSET)),
        ("\n", "", ("none", UNSET)),
        ("|/usr/share/apport/apport -p%p\n", "", ("apport", UNSET)),
        ("|/usr/lib/systemd/systemd-coredump %P %u\n", "", ("systemd-coredump", True)),
        ("|/lib/systemd/systemd-coredump %P\n", "[Coredump]\nStorage=none\n", ("systemd-coredump", False)),
        (None, "", (UNSET, UNSET)),
    ],
)
def test_it_knows_what_becomes_of_core_dumps(
    pattern: str | None, settings: str, expected: tuple[object, object], make_host: Make
) -> None:
    files = {"/etc/systemd/coredump.conf": settings}
    files |= {} if pattern is None else {"/proc/sys/kernel/core_pattern": pattern}
    found = hardening(_made(make_host, files))
    assert (found.core_dump_handler, found.core_dumps_kept) == expected


@pytest.mark.parametrize(
    ("text", "more", "expected"),
    [
        ("* hard core 0\n", "", True),
        ("* - core 0 # all\n", "", True),
        ("#* hard core 0\n* soft core 0\nroot hard core 0\n", "", False),
        ("* hard core 0\n", "* hard core unlimited\n", False),
    ],
)
def test_it_reads_the_limit_of_core_dumps(text: str, more: str, expected: bool, make_host: Make) -> None:
    files = {"/etc/security/limits.conf": text, "/etc/security/limits.d/50-x.conf": more}
    assert hardening(_made(make_host, files)).core_dumps_limited is expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/etc/audit/audit.rules": "-D\n-b 8192\n-w /etc/passwd -p wa\n"}, 1),
        ({"/etc/audit/audit.rules": "-w /a\n", "/etc/audit/rules.d/10.rules": "-a always,exit\n-w /x\n# -w /y\n"}, 2),
        ({}, 0),
    ],
)
def test_it_counts_the_rules_of_auditd(files: dict[str, str], expected: int, make_host: Make) -> None:
    assert audit_log(make_host(files | {"/usr/sbin/auditd": ""})).audit_rules == expected
    assert audit_log(make_host(files)).audit_rules is UNSET
    hidden = make_host(files | {"/usr/sbin/auditd": ""}, denied=["/etc/audit"])
    assert audit_log(hidden).audit_rules is UNSET


@pytest.mark.skipif(shutil.which("sysctl") is None, reason="needs sysctl as witness")
def test_it_agrees_with_sysctl() -> None:
    found = structs.asdict(hardening(collect.live_host(None)).kernel_settings or KernelSettings())
    expected = {
        name: int(text)
        for name, path in _SYSCTLS.items()
        if (text := _run("sysctl", "-n", path.replace("/", ".")).strip())
    }
    assert len(expected) > 10
    assert {name: value for name, value in found.items() if value is not UNSET} == expected


@pytest.mark.skipif(shutil.which("findmnt") is None, reason="needs findmnt as witness")
def test_it_agrees_with_findmnt() -> None:
    for it in hardening(collect.live_host(None)).folder_mounts or ():
        out = _run("findmnt", "-n", "-o", "TARGET,VFS-OPTIONS", "-T", it.path)
        target, words = out.splitlines()[-1].split()
        given = set(words.split(","))
        assert it == FolderMount(
            path=it.path, separate=target == it.path, nodev="nodev" in given, nosuid="nosuid" in given,
            noexec="noexec" in given,
        )  # fmt: skip


@pytest.mark.skipif(shutil.which("find") is None, reason="needs find as witness")
def test_it_agrees_with_find(tmp_path: Path) -> None:
    folders = [name for name in SEARCHED if Path(name).is_dir() and not Path(name).is_symlink()]
    out = _run("find", "-L", *folders, "-maxdepth", "1", "-perm", "-0002", "(", "-type", "f", "-o", "-type", "d", ")",
               "!", "(", "-type", "d", "-perm", "-1000", ")")  # fmt: skip
    assert world_writable(collect.live_host(tmp_path)) == tuple(sorted(set(out.split())))
