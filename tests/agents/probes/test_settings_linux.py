"""Password rules, screen lock, disks, logs, clock and boot of machines that differ in one thing each."""

from __future__ import annotations

import subprocess  # noqa: TID251 - systemctl is the witness
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from msgspec import UNSET

from secmon_agent import collect
from secmon_agent.facts import DiskEncryption
from secmon_agent.host import Host
from secmon_agent.memory import DictMemory
from secmon_agent.probes.audit_log_linux import audit_log, span_s
from secmon_agent.probes.boot_linux import boot
from secmon_agent.probes.disk_encryption_linux import disk_encryption, parse_mountinfo
from secmon_agent.probes.host_linux import host_linux
from secmon_agent.probes.os_linux import os_linux
from secmon_agent.probes.password_policy_linux import password_policy
from secmon_agent.probes.placeholders import meaningful
from secmon_agent.probes.remote_access_linux import remote_access
from secmon_agent.probes.screen_lock_linux import screen_lock
from secmon_agent.probes.services_systemd import services
from secmon_agent.probes.time_sync_linux import time_sync
from secmon_agent.probes.virtualization_linux import container, hypervisor

linux = pytest.mark.skipif(sys.platform == "win32", reason="asks a running Linux")
Make = Callable[..., Host]
DMI = "/sys/class/dmi/id/"
AUTH = "auth [success=1 default=ignore] pam_unix.so nullok\n"


def _pam(password: str, auth: str = AUTH, **more: str) -> dict[str, str]:
    return {
        "/etc/pam.d/common-password": password,
        "/etc/pam.d/common-auth": auth,
        "/etc/debian_version": "12.1",
        **more,
    }


@pytest.mark.parametrize(
    ("password", "settings", "expected"),
    [
        ("password required pam_unix.so obscure yescrypt", "", (6, 0)),
        ("password required pam_unix.so minlen=9", "", (9, 0)),
        ("password requisite pam_pwquality.so retry=3", "", (8, 0)),
        ("password requisite pam_pwquality.so minlen=14", "minlen = 10\nminclass=2", (14, 2)),
        ("password requisite pam_pwquality.so", "minlen=4", (6, 0)),
        ("password requisite pam_pwquality.so", "minlen=12\nocredit=2", (10, 0)),
        ("password requisite pam_pwquality.so ucredit=-1 dcredit=-1", "minlen=12", (12, 2)),
        ("password requisite pam_pwquality.so\npassword required pam_unix.so", "minlen=12\nenforcing = 0", (6, 0)),
        ("password requisite pam_cracklib.so minlen=9", "", (UNSET, UNSET)),
        ("# password requisite pam_pwquality.so minlen=14\npassword required pam_unix.so", "minlen=12", (6, 0)),
    ],
)
def test_a_password_rule_counts_where_it_is_enforced(
    password: str, settings: str, expected: tuple[object, object], make_host: Make
) -> None:
    found = password_policy(make_host(_pam(password, **{"/etc/security/pwquality.conf": settings})))
    assert (found.min_length, found.min_classes) == expected


@pytest.mark.parametrize(
    ("auth", "settings", "expected"),
    [
        (AUTH, "deny = 3", (0, UNSET)),
        ("auth required pam_faillock.so preauth\n", "", (3, 600)),
        ("auth required pam_faillock.so preauth deny=5 unlock_time=0\n", "deny = 3", (5, 0)),
        ("auth required pam_faillock.so preauth\n", "deny = 4\nunlock_time = never", (4, UNSET)),
        ("auth required pam_tally2.so deny=6 unlock_time=300\n", "", (6, 300)),
        ("@include common-tally\n", "", (7, UNSET)),
    ],
)
def test_it_reads_the_lockout(auth: str, settings: str, expected: tuple[object, object], make_host: Make) -> None:
    files = _pam("password required pam_unix.so", auth)
    files |= {
        "/etc/security/faillock.conf": settings,
        "/etc/pam.d/common-tally": "auth required pam_tally2.so deny=7\n",
    }
    found = password_policy(make_host(files))
    assert (found.lockout_threshold, found.lockout_duration_s) == expected


def test_the_hash_of_the_module_wins_over_login_defs(make_host: Make) -> None:
    defs = {"/etc/login.defs": "ENCRYPT_METHOD MD5\nPASS_MAX_DAYS 90\n"}
    with_hash = password_policy(make_host(_pam("password required pam_unix.so sha512 remember=4", **defs)))
    without = password_policy(make_host(_pam("password required pam_unix.so", **defs)))
    assert (with_hash.hash_algorithm, with_hash.history, with_hash.max_age_days) == ("sha512", 4, 90)
    assert (without.hash_algorithm, without.history) == ("md5", 0)


def test_without_a_known_pam_stack_the_policy_is_unsupported(make_host: Make) -> None:
    assert collect.collect(make_host(), ["password_policy"])["password_policy"].status == "unsupported"


LOCKS = "/org/gnome/desktop/session/idle-delay\n/org/gnome/desktop/screensaver/lock-enabled\n"
LOCKED = LOCKS + "/org/gnome/desktop/screensaver/lock-delay\n"


@pytest.mark.parametrize(
    ("keys", "locks", "expected"),
    [
        ("", "", (True, 300, False)),
        ("[org/gnome/desktop/session]\nidle-delay=uint32 600\n", LOCKED, (True, 600, True)),
        ("[org/gnome/desktop/screensaver]\nlock-delay=uint32 60\n", LOCKS, (True, 360, False)),
        ("[org/gnome/desktop/screensaver]\nlock-enabled=false\n", LOCKED, (False, 0, True)),
        ("[org/gnome/desktop/session]\nidle-delay=uint32 0\n", LOCKED, (False, 0, True)),
    ],
)
def test_it_reads_the_screen_lock_of_gnome(
    keys: str, locks: str, expected: tuple[bool, int, bool], make_host: Make
) -> None:
    files = {
        "/usr/share/wayland-sessions/gnome.desktop": "",
        "/etc/dconf/profile/user": "user-db:user\nsystem-db:town\n",
    }
    found = screen_lock(make_host(files | {"/etc/dconf/db/town.d/00": keys, "/etc/dconf/db/town.d/locks/00": locks}))
    assert (found.enabled, found.timeout_s, found.enforced) == expected


def test_another_desktop_is_unsupported(make_host: Make) -> None:
    host = make_host({"/usr/share/xsessions/xfce.desktop": ""})
    assert collect.collect(host, ["screen_lock"])["screen_lock"].status == "unsupported"


def test_read_only_and_plugged_in_file_systems_are_left_out() -> None:
    text = (
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /usr ro - ext4 /dev/sda2 rw\n"
        "3 1 8:3 / /opt rw - ext4 /dev/sda3 ro\n"
        "4 1 8:1 /srv /var/bind rw - ext4 /dev/sda1 rw\n5 1 0:9 / /tmp rw - tmpfs tmpfs rw\nnonsense\n"
        "6 1 8:17 / /media/hanako/USB rw - vfat /dev/sdb1 rw\n7 1 8:4 / /a\\040b rw - ext4 /dev/sda4 rw\n"
    )
    assert parse_mountinfo(text) == [("/", "/dev/sda1"), ("/a b", "/dev/sda4")]


def test_a_volume_is_encrypted_only_where_all_below_it_is(make_host: Make) -> None:
    base = "/sys/class/block"
    files = {
        "/proc/self/mountinfo": "1 0 253:2 / / rw - ext4 /dev/mapper/vg-root rw\n"
        "2 1 8:1 / /home/hanako rw - ext4 /dev/dm-0 rw\n",
        f"{base}/dm-0/dm/uuid": "CRYPT-PLAIN-x\n",
        f"{base}/dm-0/dm/name": "c\n",
        f"{base}/dm-2/dm/uuid": "LVM-x\n",
        f"{base}/dm-2/dm/name": "vg-root\n",
        f"{base}/dm-2/slaves/dm-0/x": "",
        f"{base}/dm-2/slaves/sda3/x": "",
        f"{base}/sda3/x": "",
    }
    found = disk_encryption(make_host(files))
    assert _volumes(found) == {"/": (False, UNSET), "/home/*": (True, "dm-crypt")}


def test_a_confined_agent_tells_the_volumes_of_the_machine_and_not_its_own_view(make_host: Make) -> None:
    files = {
        "/proc/self/mountinfo": "1 0 8:1 / / ro - ext4 /dev/sda1 rw\n"
        "2 1 8:1 /var/lib/secmon-agent /var/lib/secmon-agent rw - ext4 /dev/sda1 rw\n",
        "/proc/1/mountinfo": "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n",
        "/sys/class/block/sda1/x": "",
    }
    assert _volumes(disk_encryption(make_host(files))) == {"/": (False, UNSET)}
    assert _volumes(disk_encryption(make_host(files, denied=["/proc/1"]))) == {"/var/lib/secmon-agent": (False, UNSET)}


def _volumes(found: DiskEncryption) -> dict[str, tuple[object, object]]:
    assert not isinstance(found.volumes, type(UNSET))
    return {it.mount: (it.encrypted, it.method) for it in found.volumes}


@pytest.mark.parametrize(
    ("storage", "folders", "expected"),
    [
        ("auto", ["/run/systemd/system", "/var/log/journal"], True),
        ("auto", ["/run/systemd/system"], False),
        ("persistent", ["/run/systemd/system"], True),
        ("volatile", ["/run/systemd/system", "/var/log/journal"], False),
        ("persistent", [], False),
    ],
)
def test_a_journal_is_persistent_where_it_is_kept(
    storage: str, folders: list[str], expected: bool, make_host: Make
) -> None:
    host = make_host({"/etc/systemd/journald.conf": f"[Journal]\nStorage={storage}\n"}, folders=folders)
    assert audit_log(host).journal_persistent is expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("*.* @@log.town.example.jp:514", True),
        ("*.* @192.168.10.9", True),
        ('action(type="omfwd" target="192.168.10.9")', True),
        ("#*.* @@log.town.example.jp", False),
        ("mail.* /var/log/mail@home.log", False),
        ("", False),
    ],
)
def test_it_sees_whether_records_are_sent_on(line: str, expected: bool, make_host: Make) -> None:
    assert audit_log(make_host({"/usr/sbin/rsyslogd": "", "/etc/rsyslog.conf": line + "\n"})).remote is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1year", 31557600), ("2d 1h", 176400), ("90 days", 7776000), ("", 0), ("soon", 0), ("3 moons", 0)],
)
def test_it_reads_spans_of_systemd(text: str, expected: int) -> None:
    assert span_s(text) == expected


@pytest.mark.parametrize(("pid", "running", "client"), [(1, False, "none"), (77, UNSET, UNSET)])
def test_where_processes_are_hidden_it_does_not_say_that_none_runs(
    pid: int, running: object, client: object, make_host: Make
) -> None:
    files = {f"/proc/{pid}/comm": "x\n", "/usr/sbin/sshd": "", "/etc/ssh/sshd_config": "", "/usr/sbin/auditd": ""}
    host = make_host(files)
    ssh = remote_access(host).ssh
    assert not isinstance(ssh, type(UNSET))
    assert (ssh.running, time_sync(host).client) == (running, client)
    assert audit_log(host).auditd == ("installed" if pid == 1 else UNSET)


def test_a_container_has_the_clock_of_its_host(make_host: Make) -> None:
    found = time_sync(make_host({"/run/systemd/container": "lxc\n"}))
    assert (found.client, found.running, found.synchronized) == ("host", UNSET, UNSET)


@linux
def test_the_kernel_says_whether_its_clock_is_disciplined() -> None:
    assert collect.live_host(None).system.clock_synchronized() in (True, False)


def test_no_restart_is_due_on_the_newest_kernel(make_host: Make) -> None:
    files = {
        "/proc/sys/kernel/osrelease": "6.1.0-44-amd64\n",
        "/boot/vmlinuz-6.1.0-9-amd64": "",
        "/boot/vmlinuz-6.1.0-44-amd64": "",
    }
    found = boot(make_host(files, system={"architecture": "x86_64"}))
    assert (found.reboot_pending, found.reboot_pending_since, found.kernel_newest) == (False, UNSET, "6.1.0-44-amd64")


def test_a_restart_is_due_since_the_oldest_evidence(make_host: Make) -> None:
    early, late = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC)
    files = {
        "/proc/sys/kernel/osrelease": "6.1.0-9-amd64\n",
        "/boot/vmlinuz-6.1.0-44-amd64": "",
        "/run/reboot-required": "",
    }
    files["/lib/modules/6.1.0-44-amd64/modules.dep"] = ""
    mtimes = {"/run/reboot-required": late, "/lib/modules/6.1.0-44-amd64/modules.dep": early}
    found = boot(make_host(files, system={"architecture": "x86_64"}, mtimes=mtimes))
    assert (found.reboot_pending_since, found.reboot_evidence) == (
        early, ("run/reboot-required", "kernel 6.1.0-44-amd64 installed"),
    )  # fmt: skip


RPM = "/usr/bin/rpm -qa --qf %{NAME}\\t%{EPOCH}\\t%{VERSION}\\t%{RELEASE}\\t%{ARCH}\\t%{INSTALLTIME}\\t%{VENDOR}\\n"


def test_red_hats_kernels_are_ordered_as_rpm_orders_them(make_host: Make) -> None:
    files = {
        "/proc/sys/kernel/osrelease": "4.18.0-553.5.1.el8_10.x86_64\n",
        "/boot/vmlinuz-4.18.0-553.el8_10.x86_64": "",
        "/boot/vmlinuz-4.18.0-553.5.1.el8_10.x86_64": "",
        "/boot/vmlinuz-0-rescue-0123456789abcdef0123456789abcdef": "",
        "/var/lib/rpm/Packages": "",
        "/proc/stat": "cpu 1 2\nbtime 1790000000\n",
    }
    rows = "tool\t(none)\t1\t1\tnoarch\t1790000500\t(none)\nglibc\t(none)\t2.28\t1\tx86_64\t{}\tRocky\n"
    system = {"architecture": "x86_64"}
    quiet = boot(make_host(files, outputs={tuple(RPM.split()): rows.format(1789999999)}, system=system))
    assert (quiet.kernel_newest, quiet.reboot_pending) == ("4.18.0-553.5.1.el8_10.x86_64", False)
    due = boot(make_host(files, outputs={tuple(RPM.split()): rows.format(1790000100)}, system=system))
    assert (due.reboot_evidence, due.reboot_pending_since) == (
        ("package glibc",), datetime.fromtimestamp(1790000100, UTC)
    )  # fmt: skip


def test_without_the_installed_packages_it_does_not_say_that_no_restart_is_due(make_host: Make) -> None:
    files = {
        "/proc/sys/kernel/osrelease": "4.18.0-5.el8.x86_64\n",
        "/boot/vmlinuz-4.18.0-5.el8.x86_64": "",
        "/var/lib/rpm/Packages": "",
        "/proc/stat": "btime 1790000000\n",
    }
    assert boot(make_host(files, system={"architecture": "x86_64"})).reboot_pending is UNSET
    found = boot(make_host(files | {"/boot/vmlinuz-4.18.0-6.el8.x86_64": ""}, system={"architecture": "x86_64"}))
    assert (found.reboot_pending, found.reboot_evidence) == (True, ("kernel 4.18.0-6.el8.x86_64 installed",))


@pytest.mark.parametrize(("version", "pending"), [("6.1.76-1", False), ("6.1.82-1", True)])
def test_a_restart_is_due_for_a_new_build_of_the_same_kernel_release(
    version: str, pending: bool, make_host: Make
) -> None:
    image = "Package: linux-image-6.1.0-18-amd64\nStatus: install ok installed\nArchitecture: amd64\nVersion: "
    files = {
        "/proc/sys/kernel/osrelease": "6.1.0-18-amd64\n",
        "/proc/version": "Linux version 6.1.0-18-amd64 (x@example.org) #1 SMP Debian 6.1.76-1 (2024-02-01)\n",
        "/boot/vmlinuz-6.1.0-18-amd64": "",
        "/var/lib/dpkg/status": f"{image}{version}\n",
        "/var/lib/dpkg/info/linux-image-6.1.0-18-amd64.list": "",
    }
    moment = datetime(2026, 11, 2, tzinfo=UTC)
    mtimes = {"/var/lib/dpkg/info/linux-image-6.1.0-18-amd64.list": moment}
    found = boot(make_host(files, system={"architecture": "x86_64"}, mtimes=mtimes))
    assert (found.reboot_pending, found.reboot_pending_since) == (pending, moment if pending else UNSET)
    assert found.reboot_evidence == (("kernel 6.1.0-18-amd64 in version 6.1.82-1 installed",) if pending else ())


@pytest.mark.parametrize(
    ("release", "text", "expected"),
    [
        (
            'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n',
            "Rocky Linux release 9.4 (Blue Onyx)\n",
            "9.4",
        ),
        ('ID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="8"\n', "CentOS Linux release 8.5.2111\n", "8.5.2111"),
        ('ID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="9"\n', "CentOS Stream release 9\n", UNSET),
        ("ID=fedora\nVERSION_ID=42\n", "", UNSET),
    ],
)
def test_it_reads_the_point_release_of_red_hats_family(
    release: str, text: str, expected: object, make_host: Make
) -> None:
    files = {"/etc/os-release": release, "/etc/redhat-release": text}
    assert os_linux(make_host(files, system={"architecture": "x86_64"})).point_release == expected


def test_a_restart_stays_due_since_its_first_reason_while_the_machine_keeps_running(make_host: Make) -> None:
    early, late = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC)
    memory = DictMemory()

    def since(boot_id: str, touched: datetime) -> object:
        files = {"/run/reboot-required": "", "/proc/sys/kernel/random/boot_id": boot_id}
        mtimes = {"/run/reboot-required": touched}
        host = make_host(files, memory, system={"architecture": "x86_64"}, mtimes=mtimes)
        return boot(host).reboot_pending_since

    assert [since("a", early), since("a", late), since("b", late)] == [early, early, late]


@pytest.mark.parametrize("suffix", ["timer", "path", "socket"])
def test_a_service_that_something_else_starts_has_no_lasting_state(suffix: str, make_host: Make) -> None:
    unit = "[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n"
    base = "/etc/systemd/system/multi-user.target.wants"
    files = {f"/usr/lib/systemd/system/{name}.service": unit for name in ("anacron", "cron")}
    files |= {f"{base}/{name}": "" for name in ("anacron.service", "cron.service", f"anacron.{suffix}")}
    found = services(make_host(files, folders=["/run/systemd/system"])).services
    assert not isinstance(found, type(UNSET))
    assert {it.name: it.running for it in found} == {"anacron.service": UNSET, "cron.service": False}


def test_a_unit_made_for_a_person_is_told_by_uid(make_host: Make) -> None:
    files = {
        "/etc/passwd": "root:x:0:0::/root:/bin/sh\nhanako:x:1001:1001::/home/hanako:/bin/sh\n",
        "/usr/lib/systemd/system/syncthing@.service": "[Service]\nExecStart=/x\n[Install]\nWantedBy=x.target\n",
        "/etc/systemd/system/x.target.wants/syncthing@hanako.service": "",
        "/etc/systemd/system/x.target.wants/syncthing@root.service": "",
    }
    found = services(make_host(files)).services
    assert not isinstance(found, type(UNSET))
    assert {it.name for it in found} == {"syncthing@uid:1001.service", "syncthing@root.service"}


def test_an_instance_with_a_dot_in_its_name_is_told_too(make_host: Make) -> None:
    files = {
        "/usr/lib/systemd/system/openvpn@.service": "[Service]\nExecStart=/x\n[Install]\nWantedBy=x.target\n",
        "/etc/systemd/system/x.target.wants/openvpn@town.office.service": "",
    }
    found = services(make_host(files)).services
    assert not isinstance(found, type(UNSET))
    assert [(it.name, it.start) for it in found] == [("openvpn@town.office.service", "auto")]


@pytest.mark.parametrize(("value", "expected"), [(1, True), (0, False)])
def test_it_reads_the_secure_boot_variable(value: int, expected: bool, make_host: Make) -> None:
    name = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    found = boot(make_host({name: bytes([6, 0, 0, 0, value])}, system={"architecture": "x86_64"}))
    assert (found.firmware, found.secure_boot) == ("uefi", expected)


@pytest.mark.parametrize(
    ("files", "inside", "outside"),
    [
        ({"/run/.containerenv": ""}, "podman", None),
        ({"/.dockerenv": ""}, "docker", None),
        ({"/proc/1/environ": "PATH=/bin\0container=lxc\0"}, "lxc", None),
        ({"/proc/cpuinfo": "flags : fpu hypervisor\n"}, "", "vm-other"),
        ({"/proc/cpuinfo": "flags : fpu vme\n"}, "", ""),
        ({DMI + "product_name": "Virtual Machine", DMI + "sys_vendor": "Microsoft Corporation"}, "", "microsoft"),
        ({DMI + "sys_vendor": "QEMU"}, "", "qemu"),
    ],
)  # fmt: skip
def test_it_names_what_the_machine_runs_in(
    files: dict[str, str], inside: str, outside: str | None, make_host: Make
) -> None:
    host = make_host(files)
    assert (container(host), hypervisor(host)) == (inside, outside)


@pytest.mark.parametrize(
    "text", ["To be filled by O.E.M.", "Default string", "0000000", " ", "None", "System Serial Number"]
)
def test_placeholders_in_firmware_say_nothing(text: str, make_host: Make) -> None:
    assert meaningful(text) is UNSET
    assert host_linux(make_host({"/sys/class/dmi/id/product_serial": text})).serial is UNSET


def test_a_serial_for_root_only_is_left_out(make_host: Make) -> None:
    name = "/sys/class/dmi/id/product_serial"
    assert host_linux(make_host({name: "S1"}, denied=[name])).serial is UNSET


@pytest.mark.parametrize(
    ("release", "version", "point"),
    [
        ("ID=debian\nVERSION_ID=\"12\"\n", "12.15\n", "12.15"),
        ("ID=debian\n", "trixie/sid\n", UNSET),
        ("ID=ubuntu\nVERSION_ID='24.04'\nVERSION=\"24.04.2 LTS (Noble Numbat)\"\n", "trixie/sid\n", "24.04.2"),
        ("ID=rocky\nVERSION_ID=\"9.4\"\nVERSION=\"9.4 (Blue Onyx)\"\n", "", UNSET),
    ],
)  # fmt: skip
def test_it_tells_the_point_release(release: str, version: str, point: object, make_host: Make) -> None:
    host = make_host({"/etc/os-release": release, "/etc/debian_version": version}, system={"architecture": "x86_64"})
    assert os_linux(host).point_release == point


def test_without_systemd_there_are_no_services_to_tell(make_host: Make) -> None:
    assert collect.collect(make_host(), ["services"])["services"].status == "absent"


@linux
def test_it_agrees_with_systemctl_about_what_starts() -> None:
    command = ["systemctl", "--root=/", "list-unit-files", "--type=service,socket", "--no-legend", "--plain"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs = {row[0]: row[1] for line in out.splitlines() if len(row := line.split()) > 1}
    said = {"auto": "enabled", "disabled": "disabled", "masked": "masked", "static": "static"}
    found = services(collect.live_host(None)).services
    assert not isinstance(found, type(UNSET))
    mine = {it.name: said[it.start] for it in found if it.start is not UNSET}
    plain = {name: state for name, state in theirs.items() if state in said.values() and "@." not in name}
    assert {name: mine.get(name) for name in plain} == plain
