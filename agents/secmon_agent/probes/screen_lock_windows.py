"""Whether an unattended session locks itself: a limit for the whole machine, and what each loaded profile has set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from secmon_agent.facts import ScreenLock
from secmon_agent.host import Host
from secmon_agent.probes.host_windows import subkeys_if_any, values_if_any
from secmon_agent.registry import HKLM, HKU, Value, lookup, number

SYSTEM_POLICIES: Final = HKLM + r"\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System"
_WINLOGON: Final = HKLM + r"\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon"
_POLICY: Final = r"Software\Policies\Microsoft\Windows\Control Panel\Desktop"
_OWN: Final = r"Control Panel\Desktop"
_SETTINGS: Final = ("ScreenSaveActive", "ScreenSaverIsSecure", "ScreenSaveTimeOut", "SCRNSAVE.EXE")
_PERSON: Final = re.compile(r"S-1-(?:5-21|12-1)(?:-\d+)+")
"""Accounts of a machine, a domain or Entra ID; not services, and not the `_Classes` beside each."""
_USUAL_GRACE_S: Final = 5


class _Lock(Struct, frozen=True, kw_only=True):
    """Of one profile; 0 means never, None undetermined."""

    timeout_s: int | None
    enforced: bool = False


def screen_lock_windows(host: Host) -> ScreenLock:
    """Sources: registry, InactivityTimeoutSecs; for each loaded profile the screen saver of the policy, else its own.

    Rights: LocalSystem or Administrator for the profiles of others who are logged on; undetermined without, unless
    a limit for the whole machine is set.
    """
    limit = number(values_if_any(host, SYSTEM_POLICIES), "InactivityTimeoutSecs") or 0
    grace = _seconds(lookup(values_if_any(host, _WINLOGON), "ScreenSaverGracePeriod")) or 0
    people = [sid for sid in subkeys_if_any(host, HKU) if _PERSON.fullmatch(sid)]
    return judged(limit, [_profile(host, sid, max(grace - _USUAL_GRACE_S, 0)) for sid in people])


def judged(limit_s: int, profiles: list[_Lock]) -> ScreenLock:
    """The worst of the profiles, none later than the machine's own limit where that is not 0."""
    if limit_s > 0:
        worst = max((min(it.timeout_s or limit_s, limit_s) for it in profiles), default=limit_s)
        return ScreenLock(enabled=True, timeout_s=worst, enforced=True)
    if any(it.timeout_s == 0 for it in profiles):
        return ScreenLock(enabled=False, timeout_s=0, enforced=False)
    times = [it.timeout_s for it in profiles if it.timeout_s is not None]
    if not times or len(times) < len(profiles):
        return ScreenLock()
    return ScreenLock(enabled=True, timeout_s=max(times), enforced=all(it.enforced for it in profiles))


def _profile(host: Host, sid: str, grace_s: int) -> _Lock:
    """A profile that this agent may not read, or that is unloaded meanwhile, is undetermined."""
    try:
        policy = values_if_any(host, rf"{HKU}\{sid}\{_POLICY}")
        own = host.registry.values(rf"{HKU}\{sid}\{_OWN}")
    except (FileNotFoundError, PermissionError):
        return _Lock(timeout_s=None)
    return lock_of(policy, own, grace_s)


def lock_of(policy: Mapping[str, Value], own: Mapping[str, Value], grace_s: int = 0) -> _Lock:
    """A value of the policy hides the profile's own. Without a program or a password the screen saver locks nothing;
    Windows writes ScreenSaveActive into every profile, so one without it is none that this agent knows."""
    values = {name: lookup(own, name) if (it := lookup(policy, name)) is None else it for name in _SETTINGS}
    active, secure = values["ScreenSaveActive"], values["ScreenSaverIsSecure"]
    timeout = _seconds(values["ScreenSaveTimeOut"])
    if active is None:
        return _Lock(timeout_s=None)
    if str(active) != "1" or str(secure) != "1" or not values["SCRNSAVE.EXE"] or timeout == 0:
        return _Lock(timeout_s=0)
    enforced = all(lookup(policy, name) is not None for name in _SETTINGS)
    return _Lock(timeout_s=None if timeout is None else timeout + grace_s, enforced=enforced)


def _seconds(value: Value | None) -> int | None:
    """Written as text, by some tools as a number."""
    text = str(value).strip()
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None
