"""What netapi32 hands over: its structures, and what is made of them. Made from documentation of lmaccess.h."""

from __future__ import annotations

import ctypes

from msgspec import Struct

from secmon_agent.questions import sid

Dword = ctypes.c_uint32
Pointer = ctypes.c_void_p
"""Also for texts, which nobody here reads."""


class NetError(Exception):
    """`function` ended with `number`, an error of Windows or of NERR_BASE 2100."""

    def __init__(self, function: str, number: int) -> None:
        super().__init__(f"{function}: error {number}")
        self.function = function
        self.number = number


class Modals0(ctypes.Structure):
    """USER_MODALS_INFO_0; ages in seconds."""

    _fields_ = [
        ("min_passwd_len", Dword),
        ("max_passwd_age", Dword),
        ("min_passwd_age", Dword),
        ("force_logoff", Dword),
        ("password_hist_len", Dword),
    ]


class Modals2(ctypes.Structure):
    """USER_MODALS_INFO_2."""

    _fields_ = [("domain_name", Pointer), ("domain_id", Pointer)]


class Modals3(ctypes.Structure):
    """USER_MODALS_INFO_3; times in seconds."""

    _fields_ = [("lockout_duration", Dword), ("lockout_observation_window", Dword), ("lockout_threshold", Dword)]


class User3(ctypes.Structure):
    """USER_INFO_3."""

    _fields_ = [
        *[(name, Pointer) for name in ("name", "password")],
        *[(name, Dword) for name in ("password_age", "priv")],
        *[(name, Pointer) for name in ("home_dir", "comment")],
        ("flags", Dword),
        ("script_path", Pointer),
        ("auth_flags", Dword),
        *[(name, Pointer) for name in ("full_name", "usr_comment", "parms", "workstations")],
        *[(name, Dword) for name in ("last_logon", "last_logoff", "acct_expires", "max_storage", "units_per_week")],
        ("logon_hours", Pointer),
        *[(name, Dword) for name in ("bad_pw_count", "num_logons")],
        ("logon_server", Pointer),
        *[(name, Dword) for name in ("country_code", "code_page", "user_id", "primary_group_id")],
        *[(name, Pointer) for name in ("profile", "home_dir_drive")],
        ("password_expired", Dword),
    ]


class Member0(ctypes.Structure):
    """LOCALGROUP_MEMBERS_INFO_0: SIDs alone, so that no domain controller is asked and orphans do no harm."""

    _fields_ = [("sid", Pointer)]


class LocalUser(Struct, frozen=True, kw_only=True):
    rid: int
    flags: int
    """UF_…"""
    password_age_s: int
    expires: int
    """Seconds since 1970; 0xFFFFFFFF never."""


def sid_at(address: int | None) -> str:
    """ValueError where there is none."""
    if not address:
        raise ValueError("there is no SID")
    return sid.text(ctypes.string_at(address, sid.size(ctypes.string_at(address, 8))))


def local_user(entry: User3) -> LocalUser:
    return LocalUser(
        rid=entry.user_id, flags=entry.flags, password_age_s=entry.password_age, expires=entry.acct_expires
    )
