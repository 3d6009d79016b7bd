"""Local accounts and who is an administrator. People are named by their SID alone, and no name is read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from msgspec import UNSET, UnsetType

from secmon_agent.facts import Account, Accounts, AdminMember
from secmon_agent.host import Host
from secmon_agent.probes.admin_policy_windows import laps, uac
from secmon_agent.probes.local_security_windows import FOR_EVER, error_of, local_security
from secmon_agent.questions.local_security import LocalSecurity
from secmon_agent.questions.netapi_types import LocalUser

Scope = Literal["local", "domain", "entra", "well_known"]

_DISABLED: Final = 0x2
_PASSWORD_NOT_REQUIRED: Final = 0x20
_PASSWORD_NEVER_EXPIRES: Final = 0x10000
_FIRST_PERSON: Final = 1000
_MACHINE_RIDS: Final = {
    500: "Administrator",
    501: "Guest",
    503: "DefaultAccount",
    504: "WDAGUtilityAccount",
}
_DOMAIN_RIDS: Final = {
    500: "Domain Administrator",
    512: "Domain Admins",
    513: "Domain Users",
    514: "Domain Guests",
    515: "Domain Computers",
    518: "Schema Admins",
    519: "Enterprise Admins",
}
_WELL_KNOWN: Final = {
    "S-1-1-0": "Everyone",
    "S-1-5-4": "Interactive",
    "S-1-5-11": "Authenticated Users",
    "S-1-5-18": "Local System",
    "S-1-5-19": "Local Service",
    "S-1-5-20": "Network Service",
    "S-1-5-113": "Local account",
    "S-1-5-114": "Local account and member of Administrators group",
    "S-1-5-32-545": "Users",
}


def accounts_windows(host: Host) -> Accounts:
    """Sources: NetUserEnum, NetLocalGroupGetMembers; registry, `Policies\\System` and LAPS. What the registry lacks is
    told only beside something that was read.

    Rights: none on the machine itself; what Windows refuses to tell is left out, or the section is denied where
    nothing is left.
    """
    found, prompts = _security(host), uac(host)
    error = found if isinstance(found, Exception) else None
    security = found if isinstance(found, LocalSecurity) else LocalSecurity()
    if isinstance(security.users, UnsetType) and isinstance(security.administrators, UnsetType) and prompts is UNSET:
        raise error or error_of(security, "users")
    return Accounts(
        accounts=accounts_of(security, host.now()), administrators=members_of(security), uac=prompts, laps=laps(host)
    )


def _security(host: Host) -> LocalSecurity | Exception:
    try:
        return local_security(host)
    except Exception as error:  # noqa: BLE001 - whatever becomes of the child process, the registry remains
        return error


def accounts_of(found: LocalSecurity, now: datetime) -> tuple[Account, ...] | UnsetType:
    if isinstance(found.users, UnsetType) or isinstance(found.machine_sid, UnsetType):
        return UNSET
    admins = found.administrators
    return tuple(_account(user, f"{found.machine_sid}-{user.rid}", admins, now) for user in found.users)


def _account(user: LocalUser, sid: str, admins: tuple[str, ...] | UnsetType, now: datetime) -> Account:
    changed = now - timedelta(seconds=user.password_age_s)
    return Account(
        label=sid if user.rid >= _FIRST_PERSON else _MACHINE_RIDS.get(user.rid, f"rid:{user.rid}"),
        enabled=not user.flags & _DISABLED and not _expired(user, now),
        admin=UNSET if isinstance(admins, UnsetType) else sid in admins,
        password_changed_on=changed.date().isoformat() if user.password_age_s else UNSET,
        password_required=not user.flags & _PASSWORD_NOT_REQUIRED,
        password_expires=not user.flags & _PASSWORD_NEVER_EXPIRES,
    )


def _expired(user: LocalUser, now: datetime) -> bool:
    return user.expires not in (0, FOR_EVER) and datetime.fromtimestamp(user.expires, UTC) <= now


def members_of(found: LocalSecurity) -> tuple[AdminMember, ...] | UnsetType:
    if isinstance(found.administrators, UnsetType):
        return UNSET
    return tuple(member(sid, found.machine_sid) for sid in found.administrators)


def member(sid: str, machine_sid: str | UnsetType) -> AdminMember:
    """A SID of unknown origin stays without scope: without the machine's own, local and domain cannot be told apart."""
    if sid in _WELL_KNOWN:
        return AdminMember(label=_WELL_KNOWN[sid], scope="well_known")
    if sid.startswith("S-1-12-1-"):
        return AdminMember(label=sid, scope="entra")
    found = re.fullmatch(r"(S-1-5-21-\d+-\d+-\d+)-(\d+)", sid)
    if found is None or isinstance(machine_sid, UnsetType):
        return AdminMember(label=sid)
    scope: Scope = "local" if found[1] == machine_sid else "domain"
    names = _MACHINE_RIDS if scope == "local" else _DOMAIN_RIDS
    return AdminMember(label=names.get(int(found[2]), sid), scope=scope)
