"""What guards a machine: accounts, locks, encryption, antimalware, logs, hardening."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import UNSET, UnsetType

from secmon_agent.facts.base import Fact


class AntimalwareProduct(Fact, frozen=True, kw_only=True):
    """A program that looks for malware, as far as it or the system tells."""

    name: str
    """As it calls itself, NFKC-normalised; always `Microsoft Defender Antivirus` and `ClamAV` for these two."""
    enabled: bool | UnsetType = UNSET
    """It is on. Windows: as the product told the Security Center, or Defender itself; otherwise: its service runs."""
    real_time: bool | UnsetType = UNSET
    """Files are scanned when they are opened or written (Defender: RealTimeProtectionEnabled; ClamAV: clamonacc runs).
    Other makers' products say only whether they are on."""
    state: Literal["on", "off", "snoozed", "expired"] | UnsetType = UNSET
    """As told to the Security Center: `snoozed` by a person or the product, `expired` with its licence."""
    mode: Literal["normal", "passive", "edr_block", "not_running"] | UnsetType = UNSET
    """Defender's AMRunningMode; `passive`: it leaves the machine to another product."""
    up_to_date: bool | UnsetType = UNSET
    """The product's own opinion of its signatures, as told to the Security Center."""
    signatures_updated_at: datetime | UnsetType = UNSET
    """When newer signatures last arrived. Defender: AntivirusSignatureLastUpdated; ClamAV: time of the file `daily`."""
    signatures_version: str | UnsetType = UNSET
    """As its maker numbers them."""
    fetches_signatures: bool | UnsetType = UNSET
    """ClamAV: the service freshclam runs, which fetches them by itself."""
    tamper_protected: bool | UnsetType = UNSET
    """Defender: nobody can switch it off past the console of its administrator."""


class Antimalware(Fact, frozen=True, kw_only=True):
    """Section `antimalware`: absent where none of the products that this agent knows is installed."""

    products: tuple[AntimalwareProduct, ...] | UnsetType = UNSET
    """Products that were found, on or off."""
    listed_by: Literal["security_center", "known_products"] | UnsetType = UNSET
    """How complete `products` is. `security_center`: Windows clients; every product registers there, and may stay after
    it was removed. `known_products`: the products that this agent knows by their service; others may be there."""


class Account(Fact, frozen=True, kw_only=True):
    """A local account that can hold a password."""

    label: str
    """Name of a system account (`root`, uid below 1000, RID below 1000); `uid:1001` or the SID for a person's.
    Windows: `Administrator`, `Guest` and the like by their RID, however they were renamed."""
    uid: int | UnsetType = UNSET
    """Linux: number of the account."""
    enabled: bool | UnsetType = UNSET
    """Not expired and not locked. Windows: not disabled; the lockout after failed tries passes and is not counted."""
    login: bool | UnsetType = UNSET
    """Has a shell that lets somebody in."""
    admin: bool | UnsetType = UNSET
    """Root, or a member of sudo/wheel/admin, or of S-1-5-32-544."""
    password: Literal["set", "locked", "empty", "none"] | UnsetType = UNSET
    """State of the password field; needs the right to read the shadow file."""
    password_changed_on: str | UnsetType = UNSET
    """ISO 8601 date."""
    password_required: bool | UnsetType = UNSET
    """Windows: an empty password is refused (UF_PASSWD_NOTREQD is not set); of the present password nothing is told."""
    password_expires: bool | UnsetType = UNSET
    """Windows: the age limit of the password policy holds for it (UF_DONT_EXPIRE_PASSWD is not set)."""


class AdminMember(Fact, frozen=True, kw_only=True):
    """A direct member of the Administrators group S-1-5-32-544: a person's account or a group."""

    label: str
    """As `Account.label`; for groups that stand for many `Domain Admins`, `Domain Users`, `Everyone`,
    `Authenticated Users` and the like; otherwise the SID."""
    scope: Literal["local", "domain", "entra", "well_known"] | UnsetType = UNSET
    """Of this machine, of a Windows domain (or of anything that exists no longer, whose SID stays in the group), of
    Microsoft Entra ID, or the same on every machine."""


class Uac(Fact, frozen=True, kw_only=True):
    """Windows User Account Control."""

    enabled: bool | UnsetType = UNSET
    """EnableLUA."""
    admin_prompt: (
        Literal["none", "credentials_secure", "consent_secure", "credentials", "consent", "consent_foreign"] | UnsetType
    ) = UNSET
    """What an administrator sees before a program gets their rights (ConsentPromptBehaviorAdmin 0 to 5): nothing, a
    question for the password or for consent, on the secure desktop or not; `consent_foreign`: not for Windows' own
    programs, which is how Windows comes."""
    remote_unfiltered: bool | UnsetType = UNSET
    """LocalAccountTokenFilterPolicy: over the network, local administrators have all rights at once."""


class Accounts(Fact, frozen=True, kw_only=True):
    """Section `accounts`."""

    accounts: tuple[Account, ...] | UnsetType = UNSET
    """Left out on a domain controller, whose accounts are the domain's."""
    administrators: tuple[AdminMember, ...] | UnsetType = UNSET
    """Windows only."""
    uac: Uac | UnsetType = UNSET
    """Windows only."""
    laps: Literal["off", "entra", "ad", "legacy"] | UnsetType = UNSET
    """Windows: where a policy has the local administrator's password kept and changed (Windows LAPS BackupDirectory;
    `legacy`: AdmPwd). Whether it was, the registry does not tell."""
    sudo_without_password: bool | UnsetType = UNSET
    """A sudoers rule grants NOPASSWD for every command."""


class PasswordPolicy(Fact, frozen=True, kw_only=True):
    """Section `password_policy`: what the system demands of a new local password."""

    min_length: int | UnsetType = UNSET
    """Characters; what is enforced, not what is suggested."""
    min_classes: int | UnsetType = UNSET
    """Of lower, upper, digit, other; 0 when none is demanded."""
    history: int | UnsetType = UNSET
    """Earlier passwords that are refused."""
    max_age_days: int | UnsetType = UNSET
    """99999 or more means never."""
    lockout_threshold: int | UnsetType = UNSET
    """Failed tries until the account is locked; 0 means never."""
    lockout_duration_s: int | UnsetType = UNSET
    """0 means until an administrator unlocks it; of no meaning while `lockout_threshold` is 0."""
    hash_algorithm: str | UnsetType = UNSET
    """How a new password is stored: `yescrypt`, `sha512`, `md5`, …"""


class ScreenLock(Fact, frozen=True, kw_only=True):
    """Section `screen_lock`: absent on a machine without a graphical session. Windows: a limit for the whole machine,
    or else the worst of all profiles that are loaded; undetermined while nobody is logged on and no such limit is
    set."""

    enabled: bool | UnsetType = UNSET
    """An idle session is locked."""
    timeout_s: int | UnsetType = UNSET
    """Seconds of idleness until the session is locked; 0 means never."""
    enforced: bool | UnsetType = UNSET
    """Set by policy, so that the person cannot change it."""


class Volume(Fact, frozen=True, kw_only=True):
    """A writable volume."""

    mount: str
    """Mount point or drive letter."""
    system: bool | UnsetType = UNSET
    """Holds the operating system."""
    removable: bool | UnsetType = UNSET
    """The disk can be taken out while the machine runs, as it says itself."""
    encrypted: bool | UnsetType = UNSET
    """What is written lies encrypted on the disk, wholly."""
    suspended: bool | UnsetType = UNSET
    """Encrypted, but the key lies open (BitLocker suspended); Windows only."""
    method: str | UnsetType = UNSET
    """`luks2`, `bitlocker`, …; encryption by other makers' programs on Windows is not seen."""


class DiskEncryption(Fact, frozen=True, kw_only=True):
    """Section `disk_encryption`: writable volumes on disks of this machine. Windows: those with a drive letter."""

    volumes: tuple[Volume, ...] | UnsetType = UNSET
    """Where data can lie."""


class RemovableDevice(Fact, frozen=True, kw_only=True):
    """A USB storage device that was plugged in here at some time."""

    vendor: str | UnsetType = UNSET
    """Its maker, as the device says."""
    product: str | UnsetType = UNSET
    """Its model, as the device says."""
    kind: str | UnsetType = UNSET
    """As Windows calls its class: `Disk`, `CdRom`, …"""
    serial_hash: str | UnsetType = UNSET
    """First 16 hex digits of SHA-256 over `secmon removable serial v1`, a zero byte and the upper-case serial: the same
    stick has the same everywhere, and the serial stays here. Left out for a device that bears no serial."""
    first_seen_at: datetime | UnsetType = UNSET
    """When Windows first installed it (DEVPKEY_Device_FirstInstallDate)."""


class RemovablePolicy(Fact, frozen=True, kw_only=True):
    """What Windows' own policies for the machine say; one that nobody has set is `False`. A product that blocks by a
    driver of its own shows in none of these."""

    deny_all: bool | UnsetType = UNSET
    """Every access to all removable storage is denied."""
    deny_read: bool | UnsetType = UNSET
    """Reading from removable disks is denied."""
    deny_write: bool | UnsetType = UNSET
    """Writing to removable disks is denied."""
    deny_execute: bool | UnsetType = UNSET
    """Starting programs from removable disks is denied."""
    deny_phone_read: bool | UnsetType = UNSET
    """Reading from phones and cameras (Windows Portable Devices) is denied."""
    deny_phone_write: bool | UnsetType = UNSET
    """Writing to phones and cameras is denied."""
    deny_install: bool | UnsetType = UNSET
    """Removable devices that this machine has not met are not installed."""
    deny_write_unencrypted: bool | UnsetType = UNSET
    """Removable disks without BitLocker are read-only."""
    write_protect: bool | UnsetType = UNSET
    """`StorageDevicePolicies` makes USB disks read-only."""
    autoplay_off: tuple[str, ...] | UnsetType = UNSET
    """Kinds of drives without AutoPlay (NoDriveTypeAutoRun): `unknown`, `removable`, `fixed`, `network`, `optical`,
    `ramdisk`."""
    autorun_off: bool | UnsetType = UNSET
    """Commands of autorun.inf are not run (NoAutorun)."""


class RemovableMedia(Fact, frozen=True, kw_only=True):
    """Section `removable_media`: what a stick may do here. Absent in a container, which sees no stick."""

    usb_storage: bool | UnsetType = UNSET
    """The driver for USB storage (USBSTOR; usb-storage) starts for a stick that is plugged in."""
    uas: bool | UnsetType = UNSET
    """The driver for fast USB disks (UASPStor; uas), which use it instead of the other, starts for one."""
    automount: bool | UnsetType = UNSET
    """Linux: a session mounts a stick by itself; `False` where nothing is installed that could."""
    policy: RemovablePolicy | UnsetType = UNSET
    """Windows only."""
    devices_seen: tuple[RemovableDevice, ...] | UnsetType = UNSET
    """Windows: devices that were plugged in at some time."""


class AuditSetting(Fact, frozen=True, kw_only=True):
    """One line of Windows' audit policy."""

    subcategory: str
    """`logon`, `process-creation`, …: this agent's own word for its GUID; the GUID itself where it knows none."""
    success: bool
    """What succeeds is recorded."""
    failure: bool
    """What fails is recorded."""


class EventLog(Fact, frozen=True, kw_only=True):
    """One of Windows' classic event logs."""

    name: Literal["Application", "Security", "System"]
    """Which log."""
    max_bytes: int | UnsetType = UNSET
    """Largest size, bytes."""
    when_full: Literal["overwrite", "archive", "stop"] | UnsetType = UNSET
    """The oldest records are overwritten; the log is put aside and a new one begun; new records are lost."""


class AuditLog(Fact, frozen=True, kw_only=True):
    """Section `audit_log`: whether what happens here can be told afterwards."""

    journal_persistent: bool | UnsetType = UNSET
    """systemd-journald keeps its log across a restart."""
    syslog: str | UnsetType = UNSET
    """`rsyslog`, `syslog-ng`, or `none`."""
    auditd: Literal["running", "installed", "none"] | UnsetType = UNSET
    """The kernel's audit daemon."""
    audit_rules: int | UnsetType = UNSET
    """Rules that auditd is started with (/etc/audit/audit.rules and rules.d); left out where it is not installed."""
    remote: bool | UnsetType = UNSET
    """Log records are also sent to another machine. Never `False` on Windows, where any program may do it."""
    retention_days: int | UnsetType = UNSET
    """Days that rotated logs are kept, where a setting says so."""
    audit_policy: tuple[AuditSetting, ...] | UnsetType = UNSET
    """Windows: every subcategory, as it is in force."""
    event_logs: tuple[EventLog, ...] | UnsetType = UNSET
    """Windows only."""


class KernelSettings(Fact, frozen=True, kw_only=True):
    """Kernel parameters as they are now (/proc/sys), each under its own name with `_` for `.`: sysctl(8)."""

    kernel_randomize_va_space: int | UnsetType = UNSET
    """Addresses are drawn at random: 2 all, 1 without the heap, 0 not."""
    kernel_kptr_restrict: int | UnsetType = UNSET
    """Addresses in the kernel are hidden: 2 from all, 1 from all but administrators, 0 not."""
    kernel_dmesg_restrict: int | UnsetType = UNSET
    """1: only administrators read the kernel's messages."""
    kernel_perf_event_paranoid: int | UnsetType = UNSET
    """How little people may measure of the kernel; 2 and more: nothing."""
    kernel_unprivileged_bpf_disabled: int | UnsetType = UNSET
    """0: everybody may load BPF programs into the kernel."""
    kernel_yama_ptrace_scope: int | UnsetType = UNSET
    """0: a program may look into every other one of the same person."""
    kernel_kexec_load_disabled: int | UnsetType = UNSET
    """1: nobody can start another kernel from the running one."""
    kernel_sysrq: int | UnsetType = UNSET
    """Bits of what the keys at the console may do; 0 nothing, 1 all."""
    fs_suid_dumpable: int | UnsetType = UNSET
    """0: programs with raised rights leave no core dump."""
    fs_protected_hardlinks: int | UnsetType = UNSET
    """0: a hard link to a file of somebody else may be laid."""
    fs_protected_symlinks: int | UnsetType = UNSET
    """0: a link that somebody else laid in /tmp is followed."""
    fs_protected_fifos: int | UnsetType = UNSET
    """0: a named pipe that somebody else laid in /tmp is opened for writing."""
    fs_protected_regular: int | UnsetType = UNSET
    """0: a file that somebody else laid in /tmp is opened for writing."""
    net_ipv4_tcp_syncookies: int | UnsetType = UNSET
    """0: a flood of half-open connections locks others out."""
    net_ipv4_icmp_echo_ignore_broadcasts: int | UnsetType = UNSET
    """1: pings to everybody get no answer."""
    net_ipv4_conf_all_rp_filter: int | UnsetType = UNSET
    """Packets from addresses that this interface does not lead to: 1 dropped, 2 dropped if none does, 0 taken."""
    net_ipv4_conf_all_accept_redirects: int | UnsetType = UNSET
    """1: a neighbour may change the routes of this machine."""
    net_ipv4_conf_all_secure_redirects: int | UnsetType = UNSET
    """1: the gateways may change the routes of this machine."""
    net_ipv4_conf_all_send_redirects: int | UnsetType = UNSET
    """1: this machine tells its neighbours of better routes, as a router does."""
    net_ipv4_conf_all_accept_source_route: int | UnsetType = UNSET
    """1: a sender may dictate the way of its packets."""
    net_ipv4_conf_all_log_martians: int | UnsetType = UNSET
    """1: packets with impossible addresses are logged."""
    net_ipv6_conf_all_accept_redirects: int | UnsetType = UNSET
    """1: a neighbour may change the IPv6 routes of this machine."""
    net_ipv6_conf_all_accept_source_route: int | UnsetType = UNSET
    """0 or more: a sender may dictate the way of its IPv6 packets; kernels take it only for mobile IPv6."""


class FolderMount(Fact, frozen=True, kw_only=True):
    """A folder that everybody may write to or that belongs to people, and the file system it lies on."""

    path: str
    """The folder, by its usual name."""
    separate: bool | UnsetType = UNSET
    """A file system of its own is mounted there."""
    nodev: bool | UnsetType = UNSET
    """Devices in it do not work."""
    nosuid: bool | UnsetType = UNSET
    """Programs in it never raise rights."""
    noexec: bool | UnsetType = UNSET
    """Programs in it do not start."""


class FileRights(Fact, frozen=True, kw_only=True):
    """Who may read and change a file."""

    path: str
    """The file."""
    permissions: str | UnsetType = UNSET
    """Four octal digits, e.g. "0640"."""
    uid: int | UnsetType = UNSET
    """Owner."""
    gid: int | UnsetType = UNSET
    """Group."""


class Hardening(Fact, frozen=True, kw_only=True):
    """Section `hardening`: how hard the system makes it to raise one's rights. Linux only."""

    kernel_settings: KernelSettings | UnsetType = UNSET
    """As they are in the running kernel."""
    folder_mounts: tuple[FolderMount, ...] | UnsetType = UNSET
    """Of /tmp, /var/tmp, /dev/shm and /home, where they exist."""
    world_writable: tuple[str, ...] | UnsetType = UNSET
    """Files and folders (without sticky bit) in folders of programs and settings that everybody may change; the first
    200. Looked for at least once an hour."""
    file_rights: tuple[FileRights, ...] | UnsetType = UNSET
    """Of the files that say who may do what, and of what cron starts."""
    core_dump_handler: str | UnsetType = UNSET
    """`file`: next to the program; `none`; or the program that receives core dumps, e.g. `systemd-coredump`."""
    core_dumps_kept: bool | UnsetType = UNSET
    """systemd-coredump stores them; left out for other programs."""
    core_dumps_limited: bool | UnsetType = UNSET
    """The hard limit of their size is 0 for everybody who logs in (limits.conf)."""
