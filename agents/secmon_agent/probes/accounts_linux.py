"""Local accounts. People are named by their uid alone."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final, Literal

from msgspec import UNSET, Struct, UnsetType

from secmon_agent.facts import Account, Accounts
from secmon_agent.host import Host
from secmon_agent.probes.sudoers_linux import without_password

PasswordState = Literal["set", "locked", "empty", "none"]

_ADMIN_GROUPS: Final = {"sudo", "wheel", "admin"}
_NO_SHELLS: Final = {"nologin", "false", "sync", "halt", "shutdown", "true"}
_FIRST_PERSON: Final = 1000
_NOBODY: Final = 65534
_EPOCH: Final = date(1970, 1, 1)
_MAX_DAYS: Final = 1_000_000


class _Shadow(Struct, frozen=True, kw_only=True):
    password: str
    changed: str
    expires: str


def accounts(host: Host) -> Accounts:
    """Sources: /etc/passwd, /etc/group; with enough rights /etc/shadow and /etc/sudoers.

    Rights: root for the state and age of passwords, `enabled` and `sudo_without_password`, which others leave out.
    """
    rows = _rows(host.text("/etc/passwd"))
    admins, admin_gids = _admin_groups(host.text_if_any("/etc/group") or "")
    shadow = _shadow(host)
    today = host.now().date()
    return Accounts(
        accounts=tuple(
            _account(row, row[0] in admins or row[3] in admin_gids, shadow, today) for row in rows if row[2].isdecimal()
        ),
        sudo_without_password=without_password(host),
    )


def person_ids(host: Host) -> dict[str, int]:
    """Uid by login name of the people whose accounts lie here: what must not leave the machine, and what may."""
    rows = _rows(host.text_if_any("/etc/passwd") or "")
    return {row[0]: int(row[2]) for row in rows if row[2].isdecimal() and _is_person(int(row[2]))}


def _rows(passwd: str) -> list[list[str]]:
    return [row for line in passwd.splitlines() if len(row := line.split(":")) == 7]


def _is_person(uid: int) -> bool:
    return uid >= _FIRST_PERSON and uid != _NOBODY


def _account(row: list[str], admin: bool, shadow: dict[str, _Shadow] | None, today: date) -> Account:
    uid = int(row[2])
    entry = shadow.get(row[0]) if shadow is not None and row[1] == "x" else None
    field = entry.password if entry else (row[1] if row[1] != "x" else ("!" if shadow is not None else None))
    state = None if field is None else password_state(field)
    return Account(
        label=f"uid:{uid}" if _is_person(uid) else row[0],
        uid=uid,
        enabled=_enabled(state, entry, today),
        login=(row[6] or "/bin/sh").rpartition("/")[2] not in _NO_SHELLS,
        admin=uid == 0 or admin,
        password=state or UNSET,
        password_changed_on=_changed_on(entry),
    )


def password_state(field: str) -> PasswordState:
    """`locked`: there is a password, and somebody put a lock before it; `none`: no password can match."""
    if field == "":
        return "empty"
    if field.startswith("!"):
        return "locked" if field.lstrip("!") not in ("", "*") else "none"
    return "set" if len(field) > 2 and field[0] not in "*x" else "none"


def _enabled(state: PasswordState | None, entry: _Shadow | None, today: date) -> bool | UnsetType:
    if state is None:
        return UNSET
    expires = _day(entry.expires) if entry else None
    return state != "locked" and (expires is None or today < expires)


def _changed_on(entry: _Shadow | None) -> str | UnsetType:
    day = _day(entry.changed) if entry else None
    return day.isoformat() if day is not None and day > _EPOCH else UNSET


def _day(text: str) -> date | None:
    return _EPOCH + timedelta(days=int(text)) if text.isdecimal() and int(text) < _MAX_DAYS else None


def _admin_groups(text: str) -> tuple[set[str], set[str]]:
    """Members by name, and ids of the groups."""
    rows = [row for line in text.splitlines() if len(row := line.split(":")) == 4 and row[0] in _ADMIN_GROUPS]
    return {name for row in rows for name in row[3].split(",") if name}, {row[2] for row in rows}


def _shadow(host: Host) -> dict[str, _Shadow] | None:
    """None without the right to read it."""
    try:
        text = host.text_if_any("/etc/shadow")
    except PermissionError:
        return None
    rows = [row for line in (text or "").splitlines() if len(row := line.split(":")) >= 8]
    return {row[0]: _Shadow(password=row[1], changed=row[2], expires=row[7]) for row in rows}
