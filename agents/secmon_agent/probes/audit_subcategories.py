"""This agent's words for the subcategories of Windows' audit policy, whose own names are in the system's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_SHORT: Final[Mapping[str, str]] = {
    "9210": "security-state-change", "9211": "security-system-extension", "9212": "system-integrity",
    "9213": "ipsec-driver", "9214": "other-system",
    "9215": "logon", "9216": "logoff", "9217": "account-lockout", "9218": "ipsec-main-mode",
    "9219": "ipsec-quick-mode", "921a": "ipsec-extended-mode", "921b": "special-logon", "921c": "other-logon",
    "9243": "network-policy-server", "9247": "user-claims", "9249": "group-membership",
    "921d": "file-system", "921e": "registry", "921f": "kernel-object", "9220": "sam",
    "9221": "certification-services", "9222": "application-generated", "9223": "handle-manipulation",
    "9224": "file-share", "9225": "packet-drop", "9226": "packet-connection", "9227": "other-object-access",
    "9244": "detailed-file-share", "9245": "removable-storage", "9246": "central-policy-staging",
    "9228": "sensitive-privilege", "9229": "non-sensitive-privilege", "922a": "other-privilege-use",
    "922b": "process-creation", "922c": "process-termination", "922d": "dpapi", "922e": "rpc",
    "9248": "plug-and-play", "924a": "token-right",
    "922f": "audit-policy-change", "9230": "authentication-policy-change", "9231": "authorization-policy-change",
    "9232": "firewall-rule-change", "9233": "filtering-policy-change", "9234": "other-policy-change",
    "9235": "user-account", "9236": "computer-account", "9237": "security-group", "9238": "distribution-group",
    "9239": "application-group", "923a": "other-account",
    "923b": "directory-access", "923c": "directory-change", "923d": "directory-replication",
    "923e": "detailed-directory-replication",
    "923f": "credential-validation", "9240": "kerberos-ticket", "9241": "other-account-logon",
    "9242": "kerberos-authentication",
}  # fmt: skip
"""By the part of the GUID that differs, as [MS-GPAC] lists them."""

NAMES: Final[Mapping[str, str]] = {f"0cce{part}-69ae-11d9-bed3-505054503030": name for part, name in _SHORT.items()}
"""By lower-case GUID."""
