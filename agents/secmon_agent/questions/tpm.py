"""The trusted platform module. Only an administrator is told."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, Struct, UnsetType

from secmon_agent.questions import wmi

_STATES: Final = ("IsEnabled_InitialValue", "IsActivated_InitialValue", "IsOwned_InitialValue")


class Tpm(Struct, frozen=True, kw_only=True, omit_defaults=True):
    present: bool
    version: str | UnsetType = UNSET
    """SpecVersion: `2.0, 0, 1.59`."""
    states: tuple[bool, ...] = ()
    """Enabled, activated, owned; each only where Windows says."""


def answer() -> Tpm:
    """The class has an instance only where there is a TPM that the firmware shows to Windows."""
    rows = wmi.query(r"root\cimv2\Security\MicrosoftTpm", "Win32_Tpm", ["SpecVersion", *_STATES])
    if not rows:
        return Tpm(present=False)
    states = tuple(bool(rows[0][name]) for name in _STATES if name in rows[0])
    return Tpm(present=True, version=rows[0].get("SpecVersion", UNSET), states=states)
