"""The vocabulary: what an agent can say about a machine, one frozen Struct per section.

Rules that hold for every field:

- A field that could not be determined stays `UNSET` and is left out of the encoding; it is never null, never a default.
- Facts are instants and settings, never ages or volatile values (uptime, free space, ephemeral ports).
- Lists are sets: they are sorted when a section is encoded, so their order carries no meaning.
- No user names of people, command lines or window titles; an account of a person is named by its uid or SID.
- A field never changes its meaning; a new meaning is a new name.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

Family = Literal["linux", "windows"]
Reach = Literal["loopback", "network"]


class Fact(Struct, frozen=True, kw_only=True):
    """Base of everything that travels inside a section."""


class Host(Fact, frozen=True, kw_only=True):
    """Section `host`: what the machine is."""

    hostname: str | UnsetType = UNSET
    """Name of the machine without its domain."""
    domain: str | UnsetType = UNSET
    """DNS or Windows domain; empty when the machine is in none."""
    manufacturer: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    serial: str | UnsetType = UNSET
    """Serial number from the firmware; placeholders such as "To be filled by O.E.M." are left out."""
    chassis: Literal["desktop", "laptop", "server", "virtual", "container", "other"] | UnsetType = UNSET
    virtualization: str | UnsetType = UNSET
    """Hypervisor or container runtime as systemd-detect-virt would name it; `none` on bare metal."""
    firmware_version: str | UnsetType = UNSET
    memory_bytes: int | UnsetType = UNSET
    """Installed memory, bytes, rounded down to whole MiB."""
    cpu_model: str | UnsetType = UNSET
    cpu_count: int | UnsetType = UNSET
    """Logical processors."""


class Os(Fact, frozen=True, kw_only=True):
    """Section `os`: which operating system, precisely enough to look up its end of support."""

    family: Family | UnsetType = UNSET
    id: str | UnsetType = UNSET
    """`ID` of os-release (`debian`, `ubuntu`, `rocky`) or `windows` / `windows-server`."""
    name: str | UnsetType = UNSET
    """Name for people, e.g. "Debian GNU/Linux 12 (bookworm)" or "Windows 11"."""
    version: str | UnsetType = UNSET
    """`VERSION_ID` of os-release ("12", "22.04") or the Windows release ("24H2", "2022")."""
    point_release: str | UnsetType = UNSET
    """Debian's /etc/debian_version ("12.5"), /etc/redhat-release ("9.4") or the like; absent where the system has
    none."""
    kernel: str | UnsetType = UNSET
    """Release of the running kernel (`uname -r`)."""
    architecture: str | UnsetType = UNSET
    """`x86_64`, `aarch64`, …"""
    build: int | UnsetType = UNSET
    """Windows: CurrentBuildNumber."""
    ubr: int | UnsetType = UNSET
    """Windows: update build revision."""
    edition: str | UnsetType = UNSET
    """Windows: EditionID (`Professional`, `EnterpriseS`, `ServerStandard`)."""
    installation: str | UnsetType = UNSET
    """Windows: InstallationType (`Client`, `Server`, `Server Core`)."""


class PendingUpdate(Fact, frozen=True, kw_only=True):
    """An update that is offered and not installed."""

    package: str
    """Package name (with `:arch` when it is a foreign architecture), or the KB number on Windows."""
    installed_version: str | UnsetType = UNSET
    candidate_version: str | UnsetType = UNSET
    security: bool | UnsetType = UNSET
    """A security archive (apt: Release label/suite) offers this version or one that it supersedes, a security advisory
    (dnf: updateinfo) names one of them, or security category (WUA). Left out where no repository of dnf has
    advisories."""
    origin: str | UnsetType = UNSET
    """The archive that offers it, e.g. "Debian-Security bookworm-security", or dnf's id of the repository."""
    pending_since: datetime | UnsetType = UNSET
    """When the package list had been fetched in which this agent first saw an update of this kind (security or not) for
    the installed version; a newer candidate does not start the time anew."""
    phased_percent: int | UnsetType = UNSET
    """Ubuntu: share of machines that are offered the update so far; left out where it is offered to all."""


class Patches(Fact, frozen=True, kw_only=True):
    """Section `patches`: absent where the machine has no package manager that the agent knows."""

    manager: Literal["apt", "dnf", "wua"] | UnsetType = UNSET
    lists_updated_at: datetime | UnsetType = UNSET
    """When the package lists were last fetched successfully; dnf: those of the repository fetched longest ago."""
    pending: tuple[PendingUpdate, ...] | UnsetType = UNSET
    held: tuple[str, ...] | UnsetType = UNSET
    """Packages that an administrator has put on hold (dnf: excluded, or locked to a version). They stand among the
    pending ones, too."""
    last_installed_at: datetime | UnsetType = UNSET
    """When an update was last installed, from the package manager's own history."""
    automatic: bool | UnsetType = UNSET
    """Updates are installed without anybody's doing (unattended-upgrades or dnf-automatic and its timer, or
    Automatic Updates)."""
    security_archive: bool | UnsetType = UNSET
    """A security archive is among the sources (dnf: a repository with advisories); without one, an empty list of
    pending updates proves nothing."""


class Package(Fact, frozen=True, kw_only=True):
    name: str
    """NFKC-normalised."""
    version: str | UnsetType = UNSET
    architecture: str | UnsetType = UNSET
    publisher: str | UnsetType = UNSET
    source: Literal["dpkg", "rpm", "registry", "registry32", "registry-user"] | UnsetType = UNSET
    installed_on: str | UnsetType = UNSET
    """Local date, ISO 8601, where the system records one."""


class Software(Fact, frozen=True, kw_only=True):
    """Section `software`: what is installed."""

    packages: tuple[Package, ...] | UnsetType = UNSET


class ListeningPort(Fact, frozen=True, kw_only=True):
    """A socket that waits for others: TCP in LISTEN, or UDP bound outside the ephemeral range."""

    protocol: Literal["tcp", "udp"]
    address: str
    """Bound address; `0.0.0.0` and `::` mean every interface."""
    port: int
    reach: Reach
    """`loopback`: only from this machine; `network`: bound to an address beyond it (a firewall may still block)."""
    process: str | UnsetType = UNSET
    """Name of the program; undetermined without the right to see other users' processes."""


class Ports(Fact, frozen=True, kw_only=True):
    """Section `ports`."""

    listening: tuple[ListeningPort, ...] | UnsetType = UNSET


class FirewallProfile(Fact, frozen=True, kw_only=True):
    name: Literal["domain", "private", "public"]
    enabled: bool | UnsetType = UNSET


class Firewall(Fact, frozen=True, kw_only=True):
    """Section `firewall`: the packet filter of this machine."""

    backend: Literal["nftables", "iptables", "windows", "none"] | UnsetType = UNSET
    """What filters packets; `none`: determined that there is no packet filter."""
    manager: Literal["ufw", "firewalld", "nftables", "iptables", "windows"] | UnsetType = UNSET
    """What keeps the rules across a restart."""
    filtering: bool | UnsetType = UNSET
    """Unsolicited traffic from the network is dropped or rejected unless a rule allows it."""
    persistent: bool | UnsetType = UNSET
    """The rules come back after a restart."""
    profiles: tuple[FirewallProfile, ...] | UnsetType = UNSET
    """Windows only."""


class Interface(Fact, frozen=True, kw_only=True):
    name: str
    kind: (
        Literal["ethernet", "wifi", "wwan", "bluetooth", "loopback", "tunnel", "bridge", "virtual", "other"] | UnsetType
    ) = UNSET
    mac: str | UnsetType = UNSET
    """Lower case, colons; left out for interfaces without one."""
    up: bool | UnsetType = UNSET
    addresses: tuple[str, ...] | UnsetType = UNSET
    """CIDR, e.g. "192.168.10.5/24"; link-local and temporary IPv6 addresses are left out."""
    gateways: tuple[str, ...] | UnsetType = UNSET
    """Next hops of the default routes through this interface."""


class Interfaces(Fact, frozen=True, kw_only=True):
    """Section `interfaces`: how the machine is connected."""

    interfaces: tuple[Interface, ...] | UnsetType = UNSET
    dns_servers: tuple[str, ...] | UnsetType = UNSET
    default_route: bool | UnsetType = UNSET
    forwarding: bool | UnsetType = UNSET
    """The machine passes IPv4 or IPv6 packets on between its interfaces."""


class Account(Fact, frozen=True, kw_only=True):
    """A local account that can hold a password."""

    label: str
    """Name of a system account (`root`, uid below 1000, RID below 1000); `uid:1001` or the SID for a person's."""
    uid: int | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    """Not expired and not locked."""
    login: bool | UnsetType = UNSET
    """Has a shell that lets somebody in."""
    admin: bool | UnsetType = UNSET
    """Root, or a member of sudo/wheel/admin, or of S-1-5-32-544."""
    password: Literal["set", "locked", "empty", "none"] | UnsetType = UNSET
    """State of the password field; needs the right to read the shadow file."""
    password_changed_on: str | UnsetType = UNSET
    """ISO 8601 date."""


class Accounts(Fact, frozen=True, kw_only=True):
    """Section `accounts`."""

    accounts: tuple[Account, ...] | UnsetType = UNSET
    sudo_without_password: bool | UnsetType = UNSET
    """A sudoers rule grants NOPASSWD for every command."""


class PasswordPolicy(Fact, frozen=True, kw_only=True):
    """Section `password_policy`: what the system demands of a new local password."""

    min_length: int | UnsetType = UNSET
    """Characters; what is enforced, not what is suggested."""
    min_classes: int | UnsetType = UNSET
    """Of lower, upper, digit, other; 0 when none is demanded."""
    history: int | UnsetType = UNSET
    max_age_days: int | UnsetType = UNSET
    """99999 or more means never."""
    lockout_threshold: int | UnsetType = UNSET
    """Failed tries until the account is locked; 0 means never."""
    lockout_duration_s: int | UnsetType = UNSET
    hash_algorithm: str | UnsetType = UNSET
    """How a new password is stored: `yescrypt`, `sha512`, `md5`, …"""


class ScreenLock(Fact, frozen=True, kw_only=True):
    """Section `screen_lock`: absent on a machine without a graphical session."""

    enabled: bool | UnsetType = UNSET
    timeout_s: int | UnsetType = UNSET
    """Seconds of idleness until the session is locked; 0 means never."""
    enforced: bool | UnsetType = UNSET
    """Set by policy, so that the person cannot change it."""


class Volume(Fact, frozen=True, kw_only=True):
    mount: str
    """Mount point or drive letter."""
    system: bool | UnsetType = UNSET
    """Holds the operating system."""
    removable: bool | UnsetType = UNSET
    encrypted: bool | UnsetType = UNSET
    suspended: bool | UnsetType = UNSET
    """Encrypted, but the key lies open (BitLocker suspended)."""
    method: str | UnsetType = UNSET
    """`luks2`, `bitlocker`, …"""


class DiskEncryption(Fact, frozen=True, kw_only=True):
    """Section `disk_encryption`: writable volumes on disks of this machine."""

    volumes: tuple[Volume, ...] | UnsetType = UNSET


class Service(Fact, frozen=True, kw_only=True):
    name: str
    """systemd unit (`ssh.service`) or Windows service name (`LanmanServer`), never a display name."""
    start: Literal["auto", "manual", "disabled", "masked", "static"] | UnsetType = UNSET
    running: bool | UnsetType = UNSET
    """Left out for one-shot and on-demand services, whose state is no setting."""


class Services(Fact, frozen=True, kw_only=True):
    """Section `services`."""

    manager: Literal["systemd", "windows"] | UnsetType = UNSET
    services: tuple[Service, ...] | UnsetType = UNSET


class AuditLog(Fact, frozen=True, kw_only=True):
    """Section `audit_log`: whether what happens here can be told afterwards."""

    journal_persistent: bool | UnsetType = UNSET
    """systemd-journald keeps its log across a restart."""
    syslog: str | UnsetType = UNSET
    """`rsyslog`, `syslog-ng`, or `none`."""
    auditd: Literal["running", "installed", "none"] | UnsetType = UNSET
    audit_rules: int | UnsetType = UNSET
    """Rules that auditd is started with (/etc/audit/audit.rules and rules.d); left out where it is not installed."""
    remote: bool | UnsetType = UNSET
    """Log records are also sent to another machine."""
    retention_days: int | UnsetType = UNSET
    """Days that rotated logs are kept, where a setting says so."""


class TimeSync(Fact, frozen=True, kw_only=True):
    """Section `time_sync`."""

    client: str | UnsetType = UNSET
    """`systemd-timesyncd`, `chrony`, `ntpsec`, `w32time`; `host` in a container without its own clock; `none`."""
    running: bool | UnsetType = UNSET
    servers: tuple[str, ...] | UnsetType = UNSET
    """Configured sources."""
    synchronized: bool | UnsetType = UNSET
    """The kernel says that its clock is disciplined (adjtimex without STA_UNSYNC)."""


class SshServer(Fact, frozen=True, kw_only=True):
    """Effective settings of sshd, as `sshd -T` would print them."""

    ports: tuple[int, ...] | UnsetType = UNSET
    running: bool | UnsetType = UNSET
    permit_root_login: Literal["yes", "no", "prohibit-password", "forced-commands-only"] | UnsetType = UNSET
    password_authentication: bool | UnsetType = UNSET
    permit_empty_passwords: bool | UnsetType = UNSET
    x11_forwarding: bool | UnsetType = UNSET
    max_auth_tries: int | UnsetType = UNSET


class RemoteAccess(Fact, frozen=True, kw_only=True):
    """Section `remote_access`."""

    ssh: SshServer | UnsetType = UNSET
    """Left out when no SSH server is installed; `ssh_installed` says which it is."""
    ssh_installed: bool | UnsetType = UNSET
    rdp_enabled: bool | UnsetType = UNSET
    rdp_nla: bool | UnsetType = UNSET


class Boot(Fact, frozen=True, kw_only=True):
    """Section `boot`: how the machine starts, and whether a restart is due."""

    firmware: Literal["uefi", "bios"] | UnsetType = UNSET
    secure_boot: bool | UnsetType = UNSET
    reboot_pending: bool | UnsetType = UNSET
    reboot_pending_since: datetime | UnsetType = UNSET
    """When the oldest piece of evidence appeared; left out while none is pending."""
    reboot_evidence: tuple[str, ...] | UnsetType = UNSET
    """What demands it: `run/reboot-required`, `kernel 6.1.0-44 installed`, `package glibc` (installed since), …"""
    kernel_running: str | UnsetType = UNSET
    kernel_newest: str | UnsetType = UNSET
    """Newest kernel release installed for booting."""


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
    fs_protected_symlinks: int | UnsetType = UNSET
    """0: a link that somebody else laid in /tmp is followed."""
    fs_protected_fifos: int | UnsetType = UNSET
    fs_protected_regular: int | UnsetType = UNSET
    net_ipv4_tcp_syncookies: int | UnsetType = UNSET
    """0: a flood of half-open connections locks others out."""
    net_ipv4_icmp_echo_ignore_broadcasts: int | UnsetType = UNSET
    net_ipv4_conf_all_rp_filter: int | UnsetType = UNSET
    """Packets from addresses that this interface does not lead to: 1 dropped, 2 dropped if none does, 0 taken."""
    net_ipv4_conf_all_accept_redirects: int | UnsetType = UNSET
    """1: a neighbour may change the routes of this machine."""
    net_ipv4_conf_all_secure_redirects: int | UnsetType = UNSET
    net_ipv4_conf_all_send_redirects: int | UnsetType = UNSET
    net_ipv4_conf_all_accept_source_route: int | UnsetType = UNSET
    """1: a sender may dictate the way of its packets."""
    net_ipv4_conf_all_log_martians: int | UnsetType = UNSET
    net_ipv6_conf_all_accept_redirects: int | UnsetType = UNSET
    net_ipv6_conf_all_accept_source_route: int | UnsetType = UNSET


class FolderMount(Fact, frozen=True, kw_only=True):
    """A folder that everybody may write to or that belongs to people, and the file system it lies on."""

    path: str
    separate: bool | UnsetType = UNSET
    """A file system of its own is mounted there."""
    nodev: bool | UnsetType = UNSET
    nosuid: bool | UnsetType = UNSET
    noexec: bool | UnsetType = UNSET


class FileRights(Fact, frozen=True, kw_only=True):
    path: str
    mode: str | UnsetType = UNSET
    """Four octal digits, e.g. "0640"."""
    uid: int | UnsetType = UNSET
    gid: int | UnsetType = UNSET


class Hardening(Fact, frozen=True, kw_only=True):
    """Section `hardening`: how hard the system makes it to raise one's rights. Linux only."""

    kernel_settings: KernelSettings | UnsetType = UNSET
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


Section = (
    Host | Os | Patches | Software | Ports | Firewall | Interfaces | Accounts | PasswordPolicy
    | ScreenLock | DiskEncryption | Services | AuditLog | TimeSync | RemoteAccess | Boot | Hardening
)  # fmt: skip

SECTIONS: dict[str, type[Section]] = {
    "host": Host,
    "os": Os,
    "patches": Patches,
    "software": Software,
    "ports": Ports,
    "firewall": Firewall,
    "interfaces": Interfaces,
    "accounts": Accounts,
    "password_policy": PasswordPolicy,
    "screen_lock": ScreenLock,
    "disk_encryption": DiskEncryption,
    "services": Services,
    "audit_log": AuditLog,
    "time_sync": TimeSync,
    "remote_access": RemoteAccess,
    "boot": Boot,
    "hardening": Hardening,
}
