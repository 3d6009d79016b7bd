"""Who may enter the state folder on Windows: SYSTEM and Administrators, whatever the folder above allows.

Everybody may create folders in %ProgramData%. One that somebody else made before the agent came is refused: its maker
could have laid a configuration there, and stays able to open it again.
"""

from __future__ import annotations

from pathlib import Path

import pywintypes
import win32api
import win32security

from secmon_agent.errors import StorageError

SYSTEM = "S-1-5-18"
ADMINISTRATORS = "S-1-5-32-544"
_CUT_OFF = win32security.DACL_SECURITY_INFORMATION | -0x80000000
"""PROTECTED_DACL_SECURITY_INFORMATION is the sign bit: pywin32 takes a signed number."""


def restrict(folder: Path) -> None:
    """Leave `folder` and what lies in it to SYSTEM and Administrators, and to this user where it is neither.

    Raises StorageError for a folder of somebody else, and where this user may not change it.
    """
    try:
        own, elevated = _user(), _is_administrator()
        owner, rights = _owner_and_rights(folder)
        if owner not in (SYSTEM, ADMINISTRATORS, own):
            raise StorageError(
                f"{folder} belongs to {owner} and not to the administrators; look what lies there, "
                "remove the folder, then try again"
            )
        wanted = _access(["SY", "BA"] if elevated else ["SY", "BA", own])
        if rights.replace("D:PAI", "D:P") != wanted:
            _set_rights(folder, wanted)
        if elevated and owner == own:
            _give_to_administrators(folder)
    except pywintypes.error as error:
        raise StorageError(f"cannot restrict access to {folder}: Windows error {error.winerror}") from None


def _access(who: list[str]) -> str:
    """Full access in the security descriptor language, for what is made in the folder later, too."""
    return "D:P" + "".join(f"(A;OICI;FA;;;{sid})" for sid in who)


def _user() -> str:
    token = win32security.OpenProcessToken(win32api.GetCurrentProcess(), win32security.TOKEN_QUERY)
    return str(
        win32security.ConvertSidToStringSid(win32security.GetTokenInformation(token, win32security.TokenUser)[0])
    )


def _is_administrator() -> bool:
    """Whether this process has the rights, not only the membership: without elevation it has not."""
    return bool(win32security.CheckTokenMembership(None, win32security.ConvertStringSidToSid(ADMINISTRATORS)))


def _owner_and_rights(folder: Path) -> tuple[str, str]:
    what = win32security.OWNER_SECURITY_INFORMATION | win32security.DACL_SECURITY_INFORMATION
    found = win32security.GetNamedSecurityInfo(str(folder), win32security.SE_FILE_OBJECT, what)
    rights = win32security.ConvertSecurityDescriptorToStringSecurityDescriptor(
        found, win32security.SDDL_REVISION_1, win32security.DACL_SECURITY_INFORMATION
    )
    return str(win32security.ConvertSidToStringSid(found.GetSecurityDescriptorOwner())), str(rights)


def _set_rights(folder: Path, rights: str) -> None:
    """The first call reaches what lies in the folder already; the second cuts off inheritance under Wine, too."""
    descriptor = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(
        rights, win32security.SDDL_REVISION_1
    )
    dacl = descriptor.GetSecurityDescriptorDacl()
    win32security.SetNamedSecurityInfo(str(folder), win32security.SE_FILE_OBJECT, _CUT_OFF, None, None, dacl, None)
    win32security.SetFileSecurity(str(folder), _CUT_OFF, descriptor)


def _give_to_administrators(folder: Path) -> None:
    win32security.SetNamedSecurityInfo(
        str(folder),
        win32security.SE_FILE_OBJECT,
        win32security.OWNER_SECURITY_INFORMATION,
        win32security.ConvertStringSidToSid(ADMINISTRATORS),
        None,
        None,
        None,
    )
