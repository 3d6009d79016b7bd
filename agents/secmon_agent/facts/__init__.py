"""The vocabulary: what an agent can say about a machine, one frozen Struct per section.

Rules that hold for every field:

- A field that could not be determined stays `UNSET` and is left out of the encoding; it is never null, never a default.
- Facts are instants and settings, never ages or volatile values (uptime, free space, ephemeral ports).
- Lists are sets: they are sorted when a section is encoded, so their order carries no meaning.
- No user names of people, command lines or window titles; an account of a person is named by its uid or SID.
- A field never changes its meaning; a new meaning is a new name.
"""

from __future__ import annotations

from secmon_agent.facts.base import Fact, Family, Reach
from secmon_agent.facts.machine import (
    Boot,
    Browser,
    Host,
    InstalledUpdate,
    Office,
    Os,
    Package,
    Patches,
    PendingUpdate,
    Service,
    Services,
    Software,
    TimeSync,
)
from secmon_agent.facts.network import (
    Firewall,
    FirewallProduct,
    FirewallProfile,
    Interface,
    Interfaces,
    ListeningPort,
    Ports,
    Proxy,
    RemoteAccess,
    Smb,
    SshServer,
)
from secmon_agent.facts.protection import (
    Account,
    Accounts,
    AdminMember,
    Antimalware,
    AntimalwareProduct,
    AuditLog,
    AuditSetting,
    DiskEncryption,
    EventLog,
    FileRights,
    FolderMount,
    Hardening,
    KernelSettings,
    PasswordPolicy,
    RemovableDevice,
    RemovableMedia,
    RemovablePolicy,
    ScreenLock,
    Uac,
    Volume,
)

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

__all__ = [
    "SECTIONS",
    "Account",
    "Accounts",
    "AdminMember",
    "Antimalware",
    "AntimalwareProduct",
    "AuditLog",
    "AuditSetting",
    "Boot",
    "Browser",
    "DiskEncryption",
    "EventLog",
    "Fact",
    "Family",
    "FileRights",
    "Firewall",
    "FirewallProduct",
    "FirewallProfile",
    "FolderMount",
    "Hardening",
    "Host",
    "InstalledUpdate",
    "Interface",
    "Interfaces",
    "KernelSettings",
    "ListeningPort",
    "Office",
    "Os",
    "Package",
    "PasswordPolicy",
    "Patches",
    "PendingUpdate",
    "Ports",
    "Proxy",
    "Reach",
    "RemoteAccess",
    "RemovableDevice",
    "RemovableMedia",
    "RemovablePolicy",
    "ScreenLock",
    "Section",
    "Service",
    "Services",
    "Smb",
    "Software",
    "SshServer",
    "TimeSync",
    "Uac",
    "Volume",
]
