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
    edition_class: Literal["pro", "enterprise", "ltsc", "iot-ltsc", "server"] | UnsetType = UNSET
    """Windows: editions that share their ends of support; `pro` has Home too, `enterprise` has Education too."""
    installation: str | UnsetType = UNSET
    """Windows: InstallationType (`Client`, `Server`, `Server Core`)."""


class PendingUpdate(Fact, frozen=True, kw_only=True):
    """An update that is offered and not installed."""

    package: str
    """Package name (with `:arch` when it is a foreign architecture); on Windows the KB number ("KB5068861"), or the
    GUID of an update that has none."""
    installed_version: str | UnsetType = UNSET
    candidate_version: str | UnsetType = UNSET
    security: bool | UnsetType = UNSET
    """A security archive (apt: Release label/suite) offers this version or one that it supersedes, a security advisory
    (dnf: updateinfo) names one of them, or (Windows) its category is Security Updates or Critical Updates. Left out
    where no repository of dnf has advisories."""
    origin: str | UnsetType = UNSET
    """The archive that offers it, e.g. "Debian-Security bookworm-security", or dnf's id of the repository."""
    pending_since: datetime | UnsetType = UNSET
    """When the package list had been fetched in which this agent first saw an update of this kind (security or not) for
    the installed version; a newer candidate does not start the time anew. Windows: when Microsoft, or whoever approved
    it on the WSUS, last changed the offer (LastDeploymentChangeTime)."""
    phased_percent: int | UnsetType = UNSET
    """Ubuntu: share of machines that are offered the update so far; left out where it is offered to all."""


class InstalledUpdate(Fact, frozen=True, kw_only=True):
    package: str
    """KB number, or the GUID of an update that has none."""
    installed_at: datetime
    security: bool | UnsetType = UNSET
    """Its category is Security Updates or Critical Updates; left out where the history does not classify it."""


class Patches(Fact, frozen=True, kw_only=True):
    """Section `patches`: absent where the machine has no package manager that the agent knows."""

    manager: Literal["apt", "dnf", "wua"] | UnsetType = UNSET
    lists_updated_at: datetime | UnsetType = UNSET
    """When the package lists were last fetched successfully; dnf: those of the repository fetched longest ago;
    Windows: its last successful search."""
    pending: tuple[PendingUpdate, ...] | UnsetType = UNSET
    """Windows: as its last search found them, without drivers and without the definitions of antimalware."""
    held: tuple[str, ...] | UnsetType = UNSET
    """Packages that an administrator has put on hold (dnf: excluded, or locked to a version; Windows: hidden). They
    stand among the pending ones, too."""
    last_installed_at: datetime | UnsetType = UNSET
    """When an update was last installed, from the package manager's own history; definitions do not count."""
    automatic: bool | UnsetType = UNSET
    """Updates are installed without anybody's doing (unattended-upgrades or dnf-automatic and its timer, or
    Automatic Updates)."""
    security_archive: bool | UnsetType = UNSET
    """A security archive is among the sources (dnf: a repository with advisories); without one, an empty list of
    pending updates proves nothing."""
    installed: tuple[InstalledUpdate, ...] | UnsetType = UNSET
    """Windows: the newest successful installation of each update that its history still holds, at most 200, without
    definitions and without what was removed later."""
    cumulative_installed_at: datetime | UnsetType = UNSET
    """Windows: when the newest cumulative update of the system itself was installed, from component based servicing. A
    server that offers nothing proves nothing; this does."""
    definitions_pending: tuple[PendingUpdate, ...] | UnsetType = UNSET
    """Windows: definitions of antimalware that are offered; they change several times a day."""
    definitions_installed_at: datetime | UnsetType = UNSET
    """Windows: when Windows Update last installed definitions; what the antimalware fetches itself does not show."""
    update_source: Literal["wsus", "internet"] | UnsetType = UNSET
    """Windows: who answers a search, as policy has it."""
    update_server: str | UnsetType = UNSET
    """Windows: scheme, host and port of the WSUS that policy names, used or not; without user, password and path."""
    automatic_policy: (
        Literal["disabled", "notify-download", "notify-install", "scheduled", "local-choice", "notify-restart"]
        | UnsetType
    ) = UNSET
    """Windows: what policy says of automatic updates (NoAutoUpdate, AUOptions 2 to 7); left out without a policy."""
    esu_years: tuple[int, ...] | UnsetType = UNSET
    """Windows 10: years of Extended Security Updates (1 to 3) that are licensed by a key of a volume licence; empty
    where none is. Left out elsewhere, and where Windows knows no such licence."""


class Package(Fact, frozen=True, kw_only=True):
    name: str
    """NFKC-normalised."""
    version: str | UnsetType = UNSET
    architecture: str | UnsetType = UNSET
    publisher: str | UnsetType = UNSET
    source: Literal["dpkg", "rpm", "registry", "registry32", "registry-user"] | UnsetType = UNSET
    installed_on: str | UnsetType = UNSET
    """Local date, ISO 8601, where the system records one."""


class Office(Fact, frozen=True, kw_only=True):
    """Microsoft Office that Click-to-Run installed; one from an MSI is a package like others."""

    version: str | UnsetType = UNSET
    """VersionToReport: `16.0.19029.20208`."""
    channel: str | UnsetType = UNSET
    """Where its updates come from: `current`, `monthly-enterprise`, `semi-annual`, `ltsc-2021`, … or the GUID of a
    channel that this agent does not know."""
    products: tuple[str, ...] | UnsetType = UNSET
    """ProductReleaseIds: `O365BusinessRetail`, `VisioPro2021Volume`."""
    updates_enabled: bool | UnsetType = UNSET


class Browser(Fact, frozen=True, kw_only=True):
    name: Literal["edge", "chrome", "firefox"]
    version: str
    """As its updater says; the list of programs may hold another number."""
    per_user: bool
    """Installed by and for one person, where nobody else updates it."""


class Software(Fact, frozen=True, kw_only=True):
    """Section `software`: what is installed."""

    packages: tuple[Package, ...] | UnsetType = UNSET
    office: Office | UnsetType = UNSET
    """Windows; left out where there is no Click-to-Run."""
    browsers: tuple[Browser, ...] | UnsetType = UNSET
    """Windows."""


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
    services: tuple[str, ...] | UnsetType = UNSET
    """Windows: services that this very process hosts; one of them listens."""
    last_port: int | UnsetType = UNSET
    """Windows: the port is one of the dynamic range from `port` to this; RPC services take another at each start."""


class Ports(Fact, frozen=True, kw_only=True):
    """Section `ports`."""

    listening: tuple[ListeningPort, ...] | UnsetType = UNSET


class FirewallProfile(Fact, frozen=True, kw_only=True):
    """Windows: the settings for one kind of network, as policy and the machine's own settings together make them."""

    name: Literal["domain", "private", "public"]
    enabled: bool | UnsetType = UNSET
    inbound: Literal["block", "allow"] | UnsetType = UNSET
    """What becomes of unsolicited traffic that no rule mentions."""
    source: Literal["effective", "policy", "local"] | UnsetType = UNSET
    """Who says whether it is enabled: the running firewall; or, where that cannot be asked, a policy or the machine's
    own setting in the registry."""


class FirewallProduct(Fact, frozen=True, kw_only=True):
    """Windows: another maker's firewall that is registered with the Security Center."""

    name: str
    """As it calls itself, NFKC-normalised."""
    enabled: bool | UnsetType = UNSET
    """What it told the Security Center."""


class Firewall(Fact, frozen=True, kw_only=True):
    """Section `firewall`: the packet filter of this machine."""

    backend: Literal["nftables", "iptables", "windows", "none"] | UnsetType = UNSET
    """What filters packets; `none`: determined that there is no packet filter."""
    manager: Literal["ufw", "firewalld", "nftables", "iptables", "windows"] | UnsetType = UNSET
    """What keeps the rules across a restart."""
    filtering: bool | UnsetType = UNSET
    """Unsolicited traffic from the network is dropped or rejected unless a rule allows it. Windows: the service runs,
    and it holds in every profile, since the machine changes between them by itself; undetermined where Windows' own
    firewall does not do it and another maker's is registered."""
    persistent: bool | UnsetType = UNSET
    """The rules come back after a restart; Windows: the service starts by itself."""
    profiles: tuple[FirewallProfile, ...] | UnsetType = UNSET
    """Windows only."""
    products: tuple[FirewallProduct, ...] | UnsetType = UNSET
    """Windows clients only: firewalls of other makers; left out where there is no Security Center."""


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
    fetches_signatures: bool | UnsetType = UNSET
    """ClamAV: the service freshclam runs, which fetches them by itself."""
    tamper_protected: bool | UnsetType = UNSET
    """Defender: nobody can switch it off past the console of its administrator."""


class Antimalware(Fact, frozen=True, kw_only=True):
    """Section `antimalware`: absent where none of the products that this agent knows is installed."""

    products: tuple[AntimalwareProduct, ...] | UnsetType = UNSET
    listed_by: Literal["security_center", "known_products"] | UnsetType = UNSET
    """How complete `products` is. `security_center`: Windows clients; every product registers there, and may stay after
    it was removed. `known_products`: the products that this agent knows by their service; others may be there."""


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


class Proxy(Fact, frozen=True, kw_only=True):
    """Where programs are told to go first for the web."""

    source: Literal["winhttp", "machine", "user", "environment", "apt", "dnf"]
    """Who is told: Windows' services; everybody by policy; a person who was logged on; every session; the package
    manager."""
    addresses: tuple[str, ...] | UnsetType = UNSET
    """`host:port`; user names, passwords and paths are cut off."""
    auto_config: bool | UnsetType = UNSET
    """A script from some address decides."""
    auto_detect: bool | UnsetType = UNSET
    """The network is asked for such a script (WPAD)."""


class Interfaces(Fact, frozen=True, kw_only=True):
    """Section `interfaces`: how the machine is connected."""

    interfaces: tuple[Interface, ...] | UnsetType = UNSET
    dns_servers: tuple[str, ...] | UnsetType = UNSET
    default_route: bool | UnsetType = UNSET
    forwarding: bool | UnsetType = UNSET
    """The machine passes IPv4 or IPv6 packets on between its interfaces."""
    sharing: bool | UnsetType = UNSET
    """Windows: the service that lends this machine's connection to others runs (SharedAccess: Internet Connection
    Sharing, mobile hotspot, also the NAT of Hyper-V's default switch)."""
    proxies: tuple[Proxy, ...] | UnsetType = UNSET
    """Only what is configured; empty where nothing is."""


class Account(Fact, frozen=True, kw_only=True):
    """A local account that can hold a password."""

    label: str
    """Name of a system account (`root`, uid below 1000, RID below 1000); `uid:1001` or the SID for a person's.
    Windows: `Administrator`, `Guest` and the like by their RID, however they were renamed."""
    uid: int | UnsetType = UNSET
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
    """Encrypted, but the key lies open (BitLocker suspended); Windows only."""
    method: str | UnsetType = UNSET
    """`luks2`, `bitlocker`, …; encryption by other makers' programs on Windows is not seen."""


class DiskEncryption(Fact, frozen=True, kw_only=True):
    """Section `disk_encryption`: writable volumes on disks of this machine. Windows: those with a drive letter."""

    volumes: tuple[Volume, ...] | UnsetType = UNSET


class RemovableDevice(Fact, frozen=True, kw_only=True):
    """A USB storage device that was plugged in here at some time."""

    vendor: str | UnsetType = UNSET
    product: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    """As Windows calls its class: `Disk`, `CdRom`, …"""
    serial_hash: str | UnsetType = UNSET
    """First 16 hex digits of SHA-256 over `secmon removable serial v1`, a zero byte and the upper-case serial: the same
    stick has the same everywhere, and the serial stays here. Left out for a device that bears no serial."""
    first_seen_at: datetime | UnsetType = UNSET


class RemovablePolicy(Fact, frozen=True, kw_only=True):
    """What Windows' own policies for the machine say; one that nobody has set is `False`. A product that blocks by a
    driver of its own shows in none of these."""

    deny_all: bool | UnsetType = UNSET
    """Every access to all removable storage is denied."""
    deny_read: bool | UnsetType = UNSET
    """Reading from removable disks is denied."""
    deny_write: bool | UnsetType = UNSET
    deny_execute: bool | UnsetType = UNSET
    deny_phone_read: bool | UnsetType = UNSET
    """Reading from phones and cameras (Windows Portable Devices) is denied."""
    deny_phone_write: bool | UnsetType = UNSET
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


class Service(Fact, frozen=True, kw_only=True):
    name: str
    """systemd unit (`ssh.service`) or Windows service name (`LanmanServer`), never a display name."""
    start: Literal["auto", "manual", "disabled", "masked", "static"] | UnsetType = UNSET
    running: bool | UnsetType = UNSET
    """Left out for one-shot and on-demand services, whose state is no setting."""
    delayed: bool | UnsetType = UNSET
    """Windows, for `auto`: started some minutes after the others."""
    triggered: bool | UnsetType = UNSET
    """Windows: something else than a person or a restart may start or stop it."""


class Services(Fact, frozen=True, kw_only=True):
    """Section `services`."""

    manager: Literal["systemd", "windows"] | UnsetType = UNSET
    services: tuple[Service, ...] | UnsetType = UNSET


class AuditSetting(Fact, frozen=True, kw_only=True):
    """One line of Windows' audit policy."""

    subcategory: str
    """`logon`, `process-creation`, …: this agent's own word for its GUID; the GUID itself where it knows none."""
    success: bool
    failure: bool


class EventLog(Fact, frozen=True, kw_only=True):
    """One of Windows' classic event logs."""

    name: Literal["Application", "Security", "System"]
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


class TimeSync(Fact, frozen=True, kw_only=True):
    """Section `time_sync`."""

    client: str | UnsetType = UNSET
    """`systemd-timesyncd`, `chrony`, `ntpsec`, `w32time`; `host` in a container without its own clock; `none`."""
    running: bool | UnsetType = UNSET
    servers: tuple[str, ...] | UnsetType = UNSET
    """Configured sources."""
    method: Literal["domain", "servers", "both", "none"] | UnsetType = UNSET
    """Windows: where the time comes from by setting: the domain's controllers, the configured sources, either, or
    nowhere."""
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


class Smb(Fact, frozen=True, kw_only=True):
    """File sharing of Windows."""

    server_smb1: bool | UnsetType = UNSET
    """Others may come in by version 1 of the protocol."""
    client_smb1: bool | UnsetType = UNSET
    """This machine may go to others by version 1."""
    server_signing: bool | UnsetType = UNSET
    """Signatures are demanded of those who come in; undetermined where it is left to Windows' own default."""
    client_signing: bool | UnsetType = UNSET
    """Signatures are demanded of the machines this one goes to; undetermined likewise."""


class RemoteAccess(Fact, frozen=True, kw_only=True):
    """Section `remote_access`."""

    ssh: SshServer | UnsetType = UNSET
    """Left out when no SSH server is installed; `ssh_installed` says which it is."""
    ssh_installed: bool | UnsetType = UNSET
    rdp_enabled: bool | UnsetType = UNSET
    rdp_nla: bool | UnsetType = UNSET
    smb: Smb | UnsetType = UNSET
    """Windows only."""
    llmnr: bool | UnsetType = UNSET
    """Windows: asks the neighbours for names that DNS does not know (Link-Local Multicast Name Resolution)."""
    netbios: bool | UnsetType = UNSET
    """Windows: some network adapter speaks NetBIOS over TCP/IP."""
    winrm: bool | UnsetType = UNSET
    """Windows: the service for management from afar (WS-Management, PowerShell) runs."""
    remote_tools: tuple[str, ...] | UnsetType = UNSET
    """Products that let somebody see or steer this machine from afar and that ran at the time: `teamviewer`,
    `anydesk`, … Left out where processes are hidden from this agent and it sees none."""


class Boot(Fact, frozen=True, kw_only=True):
    """Section `boot`: how the machine starts, and whether a restart is due."""

    firmware: Literal["uefi", "bios"] | UnsetType = UNSET
    secure_boot: bool | UnsetType = UNSET
    reboot_pending: bool | UnsetType = UNSET
    reboot_pending_since: datetime | UnsetType = UNSET
    """When the oldest piece of evidence appeared; left out while none is pending."""
    reboot_evidence: tuple[str, ...] | UnsetType = UNSET
    """What demands it: `run/reboot-required`, `kernel 6.1.0-44 installed`, `package glibc` (installed since), or a
    registry key of Windows (`WindowsUpdate\\Auto Update\\RebootRequired`), …"""
    kernel_running: str | UnsetType = UNSET
    kernel_newest: str | UnsetType = UNSET
    """Newest kernel release installed for booting."""
    secure_boot_2023: Literal["not-started", "in-progress", "updated"] | UnsetType = UNSET
    """Windows: UEFICA2023Status, how far Windows has brought the certificates of 2023 into the firmware, whose
    predecessors end in 2026. `not-started` is no proof that they are missing: new firmware brings them along."""
    tpm_present: bool | UnsetType = UNSET
    tpm_version: str | UnsetType = UNSET
    """`1.2` or `2.0`."""
    tpm_ready: bool | UnsetType = UNSET
    """Enabled, activated and owned when the system started."""


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
    permissions: str | UnsetType = UNSET
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
    Host | Os | Patches | Software | Ports | Firewall | Antimalware | Interfaces | Accounts | PasswordPolicy
    | ScreenLock | DiskEncryption | RemovableMedia | Services | AuditLog | TimeSync | RemoteAccess | Boot | Hardening
)  # fmt: skip

SECTIONS: dict[str, type[Section]] = {
    "host": Host,
    "os": Os,
    "patches": Patches,
    "software": Software,
    "ports": Ports,
    "firewall": Firewall,
    "antimalware": Antimalware,
    "interfaces": Interfaces,
    "accounts": Accounts,
    "password_policy": PasswordPolicy,
    "screen_lock": ScreenLock,
    "disk_encryption": DiskEncryption,
    "removable_media": RemovableMedia,
    "services": Services,
    "audit_log": AuditLog,
    "time_sync": TimeSync,
    "remote_access": RemoteAccess,
    "boot": Boot,
    "hardening": Hardening,
}
