"""Local accounts, without names of people."""

from __future__ import annotations

import shutil
import subprocess  # noqa: TID251 - getent is the witness
from collections.abc import Callable

import pytest
from msgspec import UNSET

from secmon_agent import collect
from secmon_agent.facts import Account
from secmon_agent.host import Host
from secmon_agent.probes.accounts_linux import accounts, password_state
from secmon_agent.probes.sudoers_linux import grants_all, without_password

PASSWD = "root:x:0:0::/root:/bin/bash\nhanako:x:1000:1000::/home/hanako:/bin/bash\nweb:x:33:33::/:/usr/sbin/nologin\n"


def _by_label(host: Host) -> dict[str, Account]:
    found = accounts(host).accounts
    assert not isinstance(found, type(UNSET))
    return {account.label: account for account in found}


@pytest.mark.parametrize(
    ("field", "state"),
    [
        ("", "empty"),
        ("*", "none"),
        ("!", "none"),
        ("!!", "none"),
        ("!*", "none"),
        ("x", "none"),
        ("$y$j9T$abc$def", "set"),
        ("!$y$j9T$abc$def", "locked"),
        ("aB3dE5gH7jK9m", "set"),
    ],
)
def test_it_tells_the_state_of_a_password(field: str, state: str) -> None:
    assert password_state(field) == state


def test_without_the_shadow_file_passwords_stay_undetermined(make_host: Callable[..., Host]) -> None:
    host = make_host({"/etc/passwd": PASSWD, "/etc/shadow": "root:*:1:::::\n"}, denied=["/etc/shadow"])
    found = _by_label(host)
    assert (found["root"].password, found["root"].enabled, found["root"].admin) == (UNSET, UNSET, True)


def test_a_person_is_named_by_uid_alone(make_host: Callable[..., Host]) -> None:
    assert sorted(_by_label(make_host({"/etc/passwd": PASSWD}))) == ["root", "uid:1000", "web"]


@pytest.mark.parametrize("group", ["sudo:x:27:hanako", "wheel:x:10:a,hanako", "admin:x:1000:"])
def test_members_of_administrators_groups_are_administrators(group: str, make_host: Callable[..., Host]) -> None:
    host = make_host({"/etc/passwd": PASSWD, "/etc/group": f"users:x:100:web\n{group}\n"})
    assert {label for label, it in _by_label(host).items() if it.admin} == {"root", "uid:1000"}


@pytest.mark.parametrize(("expires", "enabled"), [("20779", False), ("20780", False), ("20781", True), ("", True)])
def test_an_expired_account_is_not_enabled(expires: str, enabled: bool, make_host: Callable[..., Host]) -> None:
    """2026-11-23 is day 20780."""
    shadow = f"hanako:$6$a$b:20000:0:99999:7::{expires}:\n"
    assert _by_label(make_host({"/etc/passwd": PASSWD, "/etc/shadow": shadow}))["uid:1000"].enabled is enabled


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%sudo ALL=(ALL:ALL) NOPASSWD: ALL", True),
        ("%sudo ALL=(ALL:ALL) NOPASSWD:ALL", True),
        ("a ALL=(ALL) NOPASSWD: /bin/ls, PASSWD: ALL", False),
        ("a ALL=(ALL) NOPASSWD: /bin/ls, ALL", True),
        ("a ALL=(ALL) NOPASSWD: SETENV: ALL", True),
        ("a ALL=(ALL) ALL", False),
        ("a ALL=NOPASSWD: /usr/bin/apt update", False),
        ("Defaults !authenticate", True),
        ("Defaults env_reset, mail_badpass", False),
        ("Cmnd_Alias X = /bin/a NOPASSWD: ALL", False),
    ],
)
def test_it_finds_rules_that_ask_for_no_password(line: str, expected: bool) -> None:
    assert grants_all(line) is expected


def test_it_follows_included_sudoers(make_host: Callable[..., Host]) -> None:
    files = {"/etc/sudoers": "#includedir /etc/sudoers.d\n", "/etc/sudoers.d/a": "a ALL=(ALL) \\\n NOPASSWD: ALL\n"}
    assert without_password(make_host(files)) is True
    ignored = {"/etc/sudoers": "@includedir sudoers.d\n# a ALL=(ALL) NOPASSWD: ALL\n"}
    ignored["/etc/sudoers.d/a.bak"] = "a ALL=(ALL) NOPASSWD: ALL\n"
    assert without_password(make_host(ignored)) is False
    assert without_password(make_host(files, denied=["/etc/sudoers.d"])) is UNSET


@pytest.mark.skipif(shutil.which("getent") is None, reason="needs getent as witness")
def test_it_agrees_with_getent() -> None:
    out = subprocess.run(["getent", "-s", "files", "passwd"], capture_output=True, text=True, check=True).stdout
    found = accounts(collect.live_host(None)).accounts
    assert not isinstance(found, type(UNSET))
    assert sorted(int(line.split(":")[2]) for line in out.splitlines()) == sorted(it.uid for it in found)  # type: ignore[type-var]
