"""Local accounts, the Administrators group and the rules for passwords, from netapi32."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, TypeVar

from msgspec import UNSET, Struct, UnsetType

from secmon_agent.questions.netapi_types import LocalUser, Modals0, Modals2, Modals3, NetError, sid_at

PRODUCT: Final = r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\ProductOptions"

T = TypeVar("T")


class Rules(Struct, frozen=True, kw_only=True):
    """USER_MODALS_INFO_0 and 3; 0xFFFFFFFF seconds mean for ever."""

    min_length: int
    max_age_s: int
    history: int
    lockout_threshold: int
    lockout_duration_s: int


class Fault(Struct, frozen=True, kw_only=True):
    function: str
    number: int


class LocalSecurity(Struct, frozen=True, kw_only=True):
    """What is UNSET has its fault in `faults`."""

    machine_sid: str | UnsetType = UNSET
    """`S-1-5-21-…`, before the RID of each local account; of the domain on a domain controller."""
    users: tuple[LocalUser, ...] | UnsetType = UNSET
    """UNSET without a fault on a domain controller, where it would be everybody of the domain."""
    administrators: tuple[str, ...] | UnsetType = UNSET
    """SIDs of the members of S-1-5-32-544."""
    rules: Rules | UnsetType = UNSET
    faults: dict[str, Fault] = {}
    """By the field that is missing."""


if sys.platform == "win32":
    from secmon_agent.questions import netapi
    from secmon_agent.registry import text
    from secmon_agent.registry_windows import WindowsRegistry

    def answer() -> LocalSecurity:
        faults: dict[str, Fault] = {}
        controller = text(WindowsRegistry().values(PRODUCT), "ProductType") == "LanmanNT"
        return LocalSecurity(
            machine_sid=_part("machine_sid", faults, _machine_sid),
            users=UNSET if controller else _part("users", faults, lambda: tuple(netapi.users())),
            administrators=_part("administrators", faults, lambda: tuple(netapi.administrators())),
            rules=_part("rules", faults, _rules),
            faults=faults,
        )

    def _part(name: str, faults: dict[str, Fault], find: Callable[[], T]) -> T | UnsetType:
        try:
            return find()
        except NetError as error:
            faults[name] = Fault(function=error.function, number=error.number)
            return UNSET

    def _machine_sid() -> str:
        return netapi.modals(2, Modals2, lambda found: sid_at(found.domain_id))

    def _rules() -> Rules:
        length, age, history = netapi.modals(
            0, Modals0, lambda found: (found.min_passwd_len, found.max_passwd_age, found.password_hist_len)
        )
        threshold, duration = netapi.modals(3, Modals3, lambda found: (found.lockout_threshold, found.lockout_duration))
        return Rules(
            min_length=length,
            max_age_s=age,
            history=history,
            lockout_threshold=threshold,
            lockout_duration_s=duration,
        )
