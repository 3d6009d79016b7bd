"""What the system demands of a new local password. A setting counts only where the module that enforces it is in the
stack."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec import UNSET, UnsetType

from secmon_agent.facts import PasswordPolicy
from secmon_agent.host import Host, UnsupportedError
from secmon_agent.probes.pam_linux import Module, stack
from secmon_agent.probes.settings_files import number, words

_HASHES: Final = ("yescrypt", "gost_yescrypt", "sha512", "sha256", "blowfish", "bigcrypt", "md5")
_CREDITS: Final = ("dcredit", "ucredit", "lcredit", "ocredit")
_PWQUALITY: Final = "/etc/security/pwquality.conf"
_PWQUALITY_MIN: Final = 6
"""libpwquality accepts no smaller minlen."""
_NEVER_DAYS: Final = 99999


def password_policy(host: Host) -> PasswordPolicy:
    """Sources: /etc/pam.d, /etc/security/{pwquality,faillock,pwhistory}.conf, /etc/login.defs.

    Rights: none.
    """
    passwords, tries = stack(host, "password"), stack(host, "auth")
    if passwords is None or tries is None:
        raise UnsupportedError("no PAM stack that this agent knows")
    defaults = {found[0]: found[1] for found in words(host.text_if_any("/etc/login.defs") or "") if len(found) > 1}
    length, classes = _quality(host, passwords)
    threshold, duration = _lockout(host, tries)
    days = number([defaults.get("PASS_MAX_DAYS", "")])
    return PasswordPolicy(
        min_length=length,
        min_classes=classes,
        history=_history(host, passwords),
        max_age_days=_NEVER_DAYS if days is None or days < 0 else days,
        lockout_threshold=threshold,
        lockout_duration_s=duration,
        hash_algorithm=_hash(passwords, defaults.get("ENCRYPT_METHOD", "")),
    )


def _find(modules: Sequence[Module], *names: str) -> Module | None:
    return next((module for module in modules if module.name in names), None)


def _quality(host: Host, modules: Sequence[Module]) -> tuple[int | UnsetType, int | UnsetType]:
    """Length and classes. pam_cracklib and pam_passwdqc have rules of their own, which this version does not read."""
    if _find(modules, "pam_cracklib", "pam_passwdqc"):
        return UNSET, UNSET
    quality = _find(modules, "pam_pwquality")
    settings = _pwquality(host, quality) if quality else {}
    if quality is None or settings.get("enforcing", 1) == 0:
        return _unix_length(host, modules), 0
    credit = [settings.get(name, 0) for name in _CREDITS]
    length = max(settings.get("minlen", 8), _PWQUALITY_MIN) - sum(value for value in credit if value > 0)
    return length, max(settings.get("minclass", 0), sum(value < 0 for value in credit))


def _pwquality(host: Host, module: Module) -> dict[str, int]:
    """Settings file, drop-ins, then the module's arguments; the last one wins."""
    folder = f"{_PWQUALITY}.d"
    names = [_PWQUALITY, *(f"{folder}/{name}" for name in host.listdir(folder) if name.endswith(".conf"))]
    texts = [host.text_if_any(name) or "" for name in names] + ["\n".join(module.arguments)]
    pairs = [found for text in texts for found in words(text) if len(found) == 2]
    return {name: int(value) for name, value in pairs if re.fullmatch(r"-?\d{1,6}", value)}


def _unix_length(host: Host, modules: Sequence[Module]) -> int | UnsetType:
    """pam_unix alone demands `minlen`; Debian's has the default 6, others say nothing in their manual."""
    unix = _find(modules, "pam_unix")
    if unix is None:
        return UNSET
    given = number([unix.option("minlen") or ""])
    if given is not None:
        return given
    return 6 if host.exists("/etc/debian_version") else UNSET


def _history(host: Host, modules: Sequence[Module]) -> int | UnsetType:
    history, unix = _find(modules, "pam_pwhistory"), _find(modules, "pam_unix")
    if history is not None:
        return _setting(host, history, "/etc/security/pwhistory.conf", "remember", 10)
    return number([(unix.option("remember") if unix else None) or ""]) or 0


def _lockout(host: Host, modules: Sequence[Module]) -> tuple[int | UnsetType, int | UnsetType]:
    faillock = _find(modules, "pam_faillock")
    if faillock is not None:
        path = "/etc/security/faillock.conf"
        return _setting(host, faillock, path, "deny", 3), _setting(host, faillock, path, "unlock_time", 600)
    tally = _find(modules, "pam_tally2", "pam_tally")
    if tally is not None:
        duration = number([tally.option("unlock_time") or ""])
        return number([tally.option("deny") or ""]) or 0, UNSET if duration is None else duration
    return 0, UNSET


def _setting(host: Host, module: Module, path: str, name: str, default: int) -> int | UnsetType:
    """Argument of the module, else its settings file, else the module's own default; UNSET where the value is no
    number."""
    lines = [found[1] for found in words(host.text_if_any(path) or "") if len(found) == 2 and found[0] == name]
    text = module.option(name) or (lines[-1] if lines else str(default))
    found = number([text])
    return UNSET if found is None else found


def _hash(modules: Sequence[Module], method: str) -> str | UnsetType:
    unix = _find(modules, "pam_unix")
    given = [name for name in (unix.arguments if unix else ()) if name in _HASHES]
    return given[-1] if given else (method.lower() or UNSET)
