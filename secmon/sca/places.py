"""Where SCA rules look: registry values, settings of sshd and of logins, kernel parameters, packages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from secmon.evaluate.kinds import section_kinds
from secmon.sca.policy import RuleError, SourceRule
from secmon.sca.targets import (
    LINUX,
    SSH,
    WINDOWS,
    Target,
    choice,
    firewall_profile,
    number,
    package,
    service,
)

_ON: Final[Mapping[str, bool]] = {"1": True, "0": False}
_OFF: Final[Mapping[str, bool]] = {"0": True, "1": False}
_SYSTEM = r"hklm\software\microsoft\windows\currentversion\policies\system"
_SET = r"hklm\system\currentcontrolset"
_POLICIES = r"hklm\software\policies\microsoft"
_PROMPT: Final = ("none", "credentials_secure", "consent_secure", "credentials", "consent", "consent_foreign")
_PROFILES: Final = {"domain": "domain", "private": "private", "standard": "private", "public": "public"}


def _flag(path: str, lines: Mapping[str, bool], area: str) -> Target:
    return choice(path, lines, area, WINDOWS)


REGISTRY: Final[Mapping[tuple[str, str], Target]] = {
    (_SYSTEM, "enablelua"): _flag("accounts.uac.enabled", _ON, "accounts"),
    (_SYSTEM, "consentpromptbehavioradmin"): choice(
        "accounts.uac.admin_prompt", {str(at): word for at, word in enumerate(_PROMPT)}, "accounts", WINDOWS
    ),
    (_SYSTEM, "localaccounttokenfilterpolicy"): _flag("accounts.uac.remote_unfiltered", _ON, "accounts"),
    (_SYSTEM, "inactivitytimeoutsecs"): number("screen_lock.timeout_s", str, "screen_lock", WINDOWS),
    (rf"{_SET}\services\lanmanserver\parameters", "smb1"): _flag("remote_access.smb.server_smb1", _ON, "access"),
    (rf"{_SET}\services\lanmanserver\parameters", "requiresecuritysignature"): _flag(
        "remote_access.smb.server_signing", _ON, "access"
    ),
    (rf"{_SET}\services\lanmanworkstation\parameters", "requiresecuritysignature"): _flag(
        "remote_access.smb.client_signing", _ON, "access"
    ),
    (rf"{_SET}\services\mrxsmb10", "start"): _flag(
        "remote_access.smb.client_smb1", {"4": False, "3": True, "2": True}, "access"
    ),
    (rf"{_POLICIES}\windows nt\dnsclient", "enablemulticast"): _flag("remote_access.llmnr", _ON, "network"),
    (rf"{_SET}\control\terminal server", "fdenytsconnections"): _flag("remote_access.rdp_enabled", _OFF, "access"),
    (rf"{_POLICIES}\windows nt\terminal services", "fdenytsconnections"): _flag(
        "remote_access.rdp_enabled", _OFF, "access"
    ),
    (rf"{_SET}\control\terminal server\winstations\rdp-tcp", "userauthentication"): _flag(
        "remote_access.rdp_nla", _ON, "access"
    ),
    (rf"{_POLICIES}\windows nt\terminal services", "userauthentication"): _flag(
        "remote_access.rdp_nla", _ON, "access"
    ),
    (rf"{_SET}\services\usbstor", "start"): _flag(
        "removable_media.usb_storage", {"4": False, "3": True}, "services"
    ),
    (rf"{_POLICIES}\windows\removablestoragedevices", "deny_all"): _flag(
        "removable_media.policy.deny_all", _ON, "services"
    ),
    (r"hklm\software\microsoft\windows\currentversion\policies\explorer", "noautorun"): _flag(
        "removable_media.policy.autorun_off", _ON, "services"
    ),
    (rf"{_SET}\control\secureboot\state", "uefisecurebootenabled"): _flag("boot.secure_boot", _ON, "boot"),
    **{
        (rf"{_POLICIES}\windowsfirewall\{folder}profile", "enablefirewall"): firewall_profile(name)
        for folder, name in _PROFILES.items()
    },
}  # fmt: skip
_SSH_FLAGS: Final = {
    "passwordauthentication": "password_authentication",
    "permitemptypasswords": "permit_empty_passwords",
    "x11forwarding": "x11_forwarding",
}
_ROOT_LOGIN: Final = ("yes", "no", "prohibit-password", "forced-commands-only")
_SSH_NAMES: Final = {
    "permitrootlogin": "PermitRootLogin",
    "passwordauthentication": "PasswordAuthentication",
    "permitemptypasswords": "PermitEmptyPasswords",
    "x11forwarding": "X11Forwarding",
    "maxauthtries": "MaxAuthTries",
}
_ACCOUNTS: Final[Mapping[str, tuple[str, int]]] = {
    "Minimum password length": ("min_length", 1),
    "Length of password history maintained": ("history", 1),
    "Maximum password age (days)": ("max_age_days", 1),
    "Lockout threshold": ("lockout_threshold", 1),
    "Lockout duration (minutes)": ("lockout_duration_s", 60),
}
"""Lines of `net accounts`, and the unit of the fact in theirs."""


def targets_of(rule: SourceRule) -> list[Target]:
    """Things that the rule may be about; a file or command shows several. Raises RuleError where no fact tells."""
    find: Callable[[SourceRule], list[Target]] | None = {"r": _registry, "f": _file, "c": _command}.get(rule.kind)
    if find is None:
        what = {"d": "folders", "p": "single processes"}[rule.kind]
        raise RuleError(f"facts tell nothing of {what}")
    return find(rule)


def registry_key(rule: SourceRule) -> str:
    key = rule.target.replace("/", "\\").rstrip("\\").casefold()
    return re.sub(r"^hkey_local_machine\\", r"hklm\\", key)


def _registry(rule: SourceRule) -> list[Target]:
    key, name = registry_key(rule), rule.parts[0].casefold() if rule.parts else ""
    if (key, name) in REGISTRY:
        return [REGISTRY[key, name]]
    inside = re.fullmatch(r"hklm\\system\\currentcontrolset\\services\\([^\\]+)", key)
    if inside is not None and name in ("", "start"):
        return [service(rule.target.replace("/", "\\").rstrip("\\").rpartition("\\")[2])]
    raise RuleError("no fact holds this registry value" if name else "no fact holds this registry key")


def _file(rule: SourceRule) -> list[Target]:
    files = {file.strip() for file in rule.target.split(",")}
    if any(file.endswith("/sshd_config") for file in files):
        return _ssh(str)
    if "/etc/login.defs" in files:
        return [number("password_policy.max_age_days", lambda days: f"PASS_MAX_DAYS {days}", "password", LINUX)]
    if "/etc/security/pwquality.conf" in files:
        return [
            number("password_policy.min_length", lambda chars: f"minlen = {chars}", "password", LINUX),
            number("password_policy.min_classes", lambda chars: f"minclass = {chars}", "password", LINUX),
        ]
    for file in files:
        if file.startswith("/proc/sys/"):
            return [_kernel(file.removeprefix("/proc/sys/").replace("/", "."), str)]
    raise RuleError("no fact holds what is in this file")


def _command(rule: SourceRule) -> list[Target]:
    """The command is only recognised, by its text; it is run nowhere."""
    words = rule.target.split()
    program = words[0].rpartition("/")[2].removesuffix(".exe") if words else ""
    if program == "sshd" and "-T" in words:
        return _ssh(str.casefold)
    if program == "sysctl" and len(words) == 2:
        return [_kernel(words[1], lambda value: f"{words[1]} = {value}")]
    if program == "net" and words[1:] == ["accounts"]:
        return [
            number(f"password_policy.{field}", _net_line(label), "password", WINDOWS, scale=scale)
            for label, (field, scale) in _ACCOUNTS.items()
        ]
    if len(words) == 3 and words[1] in ("-s", "-q") and re.fullmatch(r"[A-Za-z0-9.+_-]+", words[2]):
        if program in ("dpkg", "dpkg-query") and words[1] == "-s":
            return [package(words[2], "Status: install ok installed", f"package '{words[2]}' is not installed")]
        if program == "rpm" and words[1] == "-q":
            return [package(words[2], f"{words[2]}-1.0-1.x86_64", f"package {words[2]} is not installed")]
    raise RuleError("secmon runs no commands, and no fact holds what this one prints")


def _net_line(label: str) -> Callable[[int], str]:
    return lambda value: f"{label}: {value}"


def _ssh(written: Callable[[str], str]) -> list[Target]:
    ssh = "remote_access.ssh"
    found = [
        choice(
            f"{ssh}.permit_root_login",
            {f"{written(_SSH_NAMES['permitrootlogin'])} {value}": value for value in _ROOT_LOGIN},
            "access",
            SSH,
        )
    ]
    for name, field in _SSH_FLAGS.items():
        shown = written(_SSH_NAMES[name])
        found.append(choice(f"{ssh}.{field}", {f"{shown} yes": True, f"{shown} no": False}, "access", SSH))
    shown = written(_SSH_NAMES["maxauthtries"])
    return [*found, number(f"{ssh}.max_auth_tries", lambda tries: f"{shown} {tries}", "access", SSH)]


def _kernel(name: str, line: Callable[[int], str]) -> Target:
    field = name.replace(".", "_")
    if field not in section_kinds()["hardening"].fields["kernel_settings"].fields:
        raise RuleError("no fact holds this kernel parameter")
    return number(
        f"hardening.kernel_settings.{field}", line, "network" if field.startswith("net_") else "services", LINUX
    )
