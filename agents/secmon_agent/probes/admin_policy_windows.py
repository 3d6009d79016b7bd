"""What policies say of a local administrator's rights and password: UAC and LAPS."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET, UnsetType

from secmon_agent.facts import Uac
from secmon_agent.host import Host
from secmon_agent.probes.host_windows import values_if_any
from secmon_agent.probes.screen_lock_windows import SYSTEM_POLICIES
from secmon_agent.registry import HKLM, number

Laps = Literal["off", "entra", "ad", "legacy"]
Prompt = Literal["none", "credentials_secure", "consent_secure", "credentials", "consent", "consent_foreign"]

_ROOTS: Final = (
    HKLM + r"\SOFTWARE\Microsoft\Policies\LAPS",
    HKLM + r"\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\LAPS",
    HKLM + r"\SOFTWARE\Microsoft\Windows\CurrentVersion\LAPS\Config",
)
"""The first that holds any value decides alone."""
_LEGACY: Final = HKLM + r"\SOFTWARE\Policies\Microsoft Services\AdmPwd"
_BACKUP: Final[dict[int, Laps]] = {0: "off", 1: "entra", 2: "ad"}
_PROMPTS: Final[dict[int, Prompt]] = {
    0: "none",
    1: "credentials_secure",
    2: "consent_secure",
    3: "credentials",
    4: "consent",
    5: "consent_foreign",
}


def laps(host: Host) -> Laps | UnsetType:
    """Sources: registry, BackupDirectory of Windows LAPS (which is off where it is not given), AdmPwdEnabled. UNSET
    without the right to read one of them."""
    try:
        for root in _ROOTS:
            values = values_if_any(host, root)
            if values:
                return _BACKUP.get(number(values, "BackupDirectory") or 0, UNSET)
        return "legacy" if number(values_if_any(host, _LEGACY), "AdmPwdEnabled") == 1 else "off"
    except PermissionError:
        return UNSET


def uac(host: Host) -> Uac | UnsetType:
    """Source: registry, `Policies\\System`; UNSET where that says nothing of it."""
    values = values_if_any(host, SYSTEM_POLICIES)
    enabled, prompt = number(values, "EnableLUA"), number(values, "ConsentPromptBehaviorAdmin")
    if enabled is None and prompt is None:
        return UNSET
    return Uac(
        enabled=UNSET if enabled is None else enabled != 0,
        admin_prompt=UNSET if prompt is None else _PROMPTS.get(prompt, UNSET),
        remote_unfiltered=number(values, "LocalAccountTokenFilterPolicy") == 1,
    )
