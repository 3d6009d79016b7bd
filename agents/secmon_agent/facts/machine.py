"""What a machine is, runs and is kept up to date with."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import UNSET, UnsetType

from secmon_agent.facts.base import Fact, Family


class Host(Fact, frozen=True, kw_only=True):
    """Section `host`: what the machine is."""

    hostname: str | UnsetType = UNSET
    """Name of the machine without its domain."""
    domain: str | UnsetType = UNSET
    """DNS or Windows domain; empty when the machine is in none."""
    manufacturer: str | UnsetType = UNSET
    """Maker of the machine, as the firmware says; placeholders are left out."""
    model: str | UnsetType = UNSET
    """Maker's name for the model, as the firmware says; placeholders are left out."""
    serial: str | UnsetType = UNSET
    """Serial number from the firmware; placeholders such as "To be filled by O.E.M." are left out."""
    chassis: Literal["desktop", "laptop", "server", "virtual", "container", "other"] | UnsetType = UNSET
    """What kind of case the firmware names; in a container or a virtual machine, that."""
    virtualization: str | UnsetType = UNSET
    """Hypervisor or container runtime as systemd-detect-virt would name it; `none` on bare metal."""
    firmware_version: str | UnsetType = UNSET
    """Version of the BIOS or UEFI, as its maker writes it."""
    memory_bytes: int | UnsetType = UNSET
    """Installed memory, bytes, rounded down to whole MiB."""
    cpu_model: str | UnsetType = UNSET
    """Name of the first processor."""
    cpu_count: int | UnsetType = UNSET
    """Logical processors."""


class Os(Fact, frozen=True, kw_only=True):
    """Section `os`: which operating system, precisely enough to look up its end of support."""

    family: Family | UnsetType = UNSET
    """Which table of probes answers."""
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
    """The version that it would replace."""
    candidate_version: str | UnsetType = UNSET
    """The version that is offered."""
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
    """An update that the history of Windows Update calls installed."""

    package: str
    """KB number, or the GUID of an update that has none."""
    installed_at: datetime
    """When it was installed."""
    security: bool | UnsetType = UNSET
    """Its category is Security Updates or Critical Updates; left out where the history does not classify it."""


class Patches(Fact, frozen=True, kw_only=True):
    """Section `patches`: absent where the machine has no package manager that the agent knows."""

    manager: Literal["apt", "dnf", "wua"] | UnsetType = UNSET
    """Whose updates these are."""
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
    """An installed program or package."""

    name: str
    """NFKC-normalised."""
    version: str | UnsetType = UNSET
    """As the source writes it."""
    architecture: str | UnsetType = UNSET
    """As the package manager names it: `amd64`, `x86_64`, `all`, …"""
    publisher: str | UnsetType = UNSET
    """Who made it, as the uninstaller says, NFKC-normalised; Linux: the vendor that rpm names."""
    source: Literal["dpkg", "rpm", "registry", "registry32", "registry-user"] | UnsetType = UNSET
    """Where it is listed: a package manager, or the 64-bit, 32-bit or per-person list of uninstallers."""
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
    """Its own setting or a policy lets it fetch updates."""


class Browser(Fact, frozen=True, kw_only=True):
    """A web browser as its own updater knows it."""

    name: Literal["edge", "chrome", "firefox"]
    """Which browser."""
    version: str
    """As its updater says; the list of programs may hold another number."""
    per_user: bool
    """Installed by and for one person, where nobody else updates it."""


class Software(Fact, frozen=True, kw_only=True):
    """Section `software`: what is installed."""

    packages: tuple[Package, ...] | UnsetType = UNSET
    """Everything that the sources list."""
    office: Office | UnsetType = UNSET
    """Windows; left out where there is no Click-to-Run."""
    browsers: tuple[Browser, ...] | UnsetType = UNSET
    """Windows."""


class Service(Fact, frozen=True, kw_only=True):
    """A service that the system's service manager knows."""

    name: str
    """systemd unit (`ssh.service`) or Windows service name (`LanmanServer`), never a display name."""
    start: Literal["auto", "manual", "disabled", "masked", "static"] | UnsetType = UNSET
    """What starts it: the system's start, a person or another program, nothing, nothing and nobody (masked), or another
    unit (static)."""
    running: bool | UnsetType = UNSET
    """Left out for one-shot and on-demand services, whose state is no setting."""
    delayed: bool | UnsetType = UNSET
    """Windows, for `auto`: started some minutes after the others."""
    triggered: bool | UnsetType = UNSET
    """Windows: something else than a person or a restart may start or stop it."""


class Services(Fact, frozen=True, kw_only=True):
    """Section `services`."""

    manager: Literal["systemd", "windows"] | UnsetType = UNSET
    """Who starts the services."""
    services: tuple[Service, ...] | UnsetType = UNSET
    """Installed services, running or not."""


class TimeSync(Fact, frozen=True, kw_only=True):
    """Section `time_sync`."""

    client: str | UnsetType = UNSET
    """`systemd-timesyncd`, `chrony`, `ntpsec`, `w32time`; `host` in a container without its own clock; `none`."""
    running: bool | UnsetType = UNSET
    """The client runs."""
    servers: tuple[str, ...] | UnsetType = UNSET
    """Configured sources."""
    method: Literal["domain", "servers", "both", "none"] | UnsetType = UNSET
    """Windows: where the time comes from by setting: the domain's controllers, the configured sources, either, or
    nowhere."""
    synchronized: bool | UnsetType = UNSET
    """The kernel says that its clock is disciplined (adjtimex without STA_UNSYNC)."""


class Boot(Fact, frozen=True, kw_only=True):
    """Section `boot`: how the machine starts, and whether a restart is due."""

    firmware: Literal["uefi", "bios"] | UnsetType = UNSET
    """What started the machine."""
    secure_boot: bool | UnsetType = UNSET
    """The firmware starts only what is signed."""
    reboot_pending: bool | UnsetType = UNSET
    """Something demands a restart."""
    reboot_pending_since: datetime | UnsetType = UNSET
    """When the oldest piece of evidence appeared; left out while none is pending."""
    reboot_evidence: tuple[str, ...] | UnsetType = UNSET
    """What demands it: `run/reboot-required`, `kernel 6.1.0-44 installed`, `package glibc` (installed since), or a
    registry key of Windows (`WindowsUpdate\\Auto Update\\RebootRequired`), …"""
    kernel_running: str | UnsetType = UNSET
    """Release of the running kernel (`uname -r`)."""
    kernel_newest: str | UnsetType = UNSET
    """Newest kernel release installed for booting."""
    secure_boot_2023: Literal["not-started", "in-progress", "updated"] | UnsetType = UNSET
    """Windows: UEFICA2023Status, how far Windows has brought the certificates of 2023 into the firmware, whose
    predecessors end in 2026. `not-started` is no proof that they are missing: new firmware brings them along."""
    tpm_present: bool | UnsetType = UNSET
    """Windows: the firmware shows a TPM to the system."""
    tpm_version: str | UnsetType = UNSET
    """`1.2` or `2.0`."""
    tpm_ready: bool | UnsetType = UNSET
    """Enabled, activated and owned when the system started."""
