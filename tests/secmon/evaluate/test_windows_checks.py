"""The checks of Windows: recorded machines on which they fail, and that each can be unknown and leaves Linux alone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from secmon.evaluate.check import Check
from secmon.evaluate.judge import judge
from secmon.evaluate.model import Machine, SectionState
from secmon.evaluate.ruleset import load_examples
from secmon.evaluate.sections import builtins
from secmon_agent import facts

ROOT = Path(__file__).resolve().parents[3]
LOADED, EXAMPLES = load_examples(ROOT / "rules")
WINDOWS = [
    check for check in LOADED.checks.values() if check.id.partition(".")[2].startswith(("windows-", "defender-"))
]

FAILS: dict[str, tuple[str, str]] = {
    "access.windows-llmnr": ("windows-10-neglected-ja", "internet"),
    "access.windows-netbios": ("windows-10-neglected-ja", "internet"),
    "access.windows-rdp-on-pc": ("windows-10-neglected-ja", "internet"),
    "access.windows-remote-tools": ("windows-10-neglected-ja", "internet"),
    "access.windows-remote-tools-closed-zone": ("windows-10-neglected-ja", "mynumber"),
    "access.windows-smb-signing-client": ("windows-10-neglected-ja", "internet"),
    "access.windows-smb1-client": ("windows-10-neglected-ja", "internet"),
    "access.windows-smb1-server": ("windows-10-neglected-ja", "internet"),
    "access.windows-ssh-server-on-pc": ("windows-10-neglected-ja", "internet"),
    "access.windows-winrm-on-pc": ("windows-10-neglected-ja", "internet"),
    "accounts.windows-administrators": ("windows-10-neglected-ja", "internet"),
    "accounts.windows-broad-administrators": ("windows-10-neglected-ja", "internet"),
    "accounts.windows-builtin-administrator": ("windows-10-neglected-ja", "internet"),
    "accounts.windows-cloud-administrators": ("windows-10-neglected-ja", "mynumber"),
    "accounts.windows-default-accounts": ("windows-10-neglected-ja", "internet"),
    "accounts.windows-guest": ("windows-10-neglected-ja", "internet"),
    "accounts.windows-laps": ("windows-10-neglected-ja", "internet"),
    "accounts.windows-local-administrators": ("windows-10-neglected-ja", "internet"),
    "accounts.windows-password-required": ("windows-10-neglected-ja", "internet"),
    "accounts.windows-uac": ("windows-10-neglected-ja", "internet"),
    "accounts.windows-uac-remote": ("windows-10-neglected-ja", "internet"),
    "antimalware.defender-real-time": ("windows-10-neglected-ja", "internet"),
    "antimalware.defender-signatures": ("windows-10-neglected-ja", "internet"),
    "antimalware.defender-tamper-protection": ("windows-10-neglected-ja", "internet"),
    "antimalware.windows-definitions-offered": ("windows-10-neglected-ja", "internet"),
    "antimalware.windows-licence": ("windows-10-neglected-ja", "internet"),
    "antimalware.windows-paused": ("windows-10-neglected-ja", "internet"),
    "antimalware.windows-signatures": ("windows-10-neglected-ja", "internet"),
    "antimalware.windows-single": ("windows-10-neglected-ja", "internet"),
    "encryption.windows-data-volumes": ("windows-10-neglected-ja", "internet"),
    "encryption.windows-suspended": ("windows-10-neglected-ja", "internet"),
    "encryption.windows-system-volume": ("windows-10-neglected-ja", "internet"),
    "firewall.windows-inbound": ("windows-10-neglected-ja", "internet"),
    "firewall.windows-profiles": ("windows-10-neglected-ja", "internet"),
    "network.windows-mobile-line": ("windows-10-neglected-ja", "internet"),
    "network.windows-proxy-auto-detect": ("windows-10-neglected-ja", "internet"),
    "network.windows-proxy-in-mynumber": ("windows-10-neglected-ja", "mynumber"),
    "network.windows-sharing": ("windows-10-neglected-ja", "internet"),
    "password.windows-forced-change": ("windows-10-neglected-ja", "internet"),
    "password.windows-history": ("windows-10-neglected-ja", "internet"),
    "password.windows-lockout-duration": ("windows-10-neglected-ja", "internet"),
    "patch.windows-automatic": ("windows-10-neglected-ja", "internet"),
    "patch.windows-wsus-in-closed-zone": ("windows-10-neglected-ja", "mynumber"),
    "removable_media.windows-autoplay": ("windows-10-neglected-ja", "internet"),
    "removable_media.windows-autorun": ("windows-10-neglected-ja", "internet"),
    "removable_media.windows-execute": ("windows-10-neglected-ja", "internet"),
    "removable_media.windows-phones": ("windows-10-neglected-ja", "mynumber"),
    "removable_media.windows-storage-in-mynumber": ("windows-10-neglected-ja", "mynumber"),
    "removable_media.windows-unregistered-device": ("windows-10-neglected-ja", "mynumber"),
    "removable_media.windows-write": ("windows-10-neglected-ja", "internet"),
    "screen_lock.windows-enforced": ("windows-10-neglected-ja", "internet"),
}
"""Check: recorded machine, and the zone that it stands in."""


def recorded(name: str, zone: str) -> tuple[Machine, datetime]:
    """The machine as its golden tells of it, at the moment of its recording."""
    document = msgspec.json.decode((ROOT / "tests" / "golden" / f"{name}.json").read_bytes())
    now = datetime.fromisoformat(document["collected_at"])
    sections = {
        section: SectionState(status=it["status"], reason=it.get("reason", ""), facts=facts_of(section, it))
        for section, it in document["sections"].items()
    }
    return Machine(sections=sections, observed_at=now, zone=zone, attributes={"zone": zone}), now


def facts_of(section: str, it: dict[str, object]) -> dict[str, object] | None:
    return dict(builtins(msgspec.convert(it["facts"], facts.SECTIONS[section]))) if it["status"] == "ok" else None


@pytest.mark.parametrize("check", FAILS)
def test_a_recorded_machine_fails(check: str) -> None:
    machine, now = recorded(*FAILS[check])

    assert judge(LOADED.checks[check], machine, now, LOADED.lifecycle).status == "fail"


def test_most_windows_checks_have_a_recorded_machine_that_fails() -> None:
    assert len(FAILS) >= 40


@pytest.mark.parametrize("check", WINDOWS, ids=lambda check: check.id)
def test_it_can_be_unknown(check: Check) -> None:
    answers = {judge(check, it.machine, it.now, LOADED.lifecycle).status for it in EXAMPLES[check.id]}

    assert {"pass", "fail", "unknown"} <= answers


@pytest.mark.parametrize("check", WINDOWS, ids=lambda check: check.id)
@pytest.mark.parametrize("zone", ["internet", "mynumber"])
def test_it_never_speaks_of_linux(check: Check, zone: str) -> None:
    machine, now = recorded("debian-12", zone)

    assert judge(check, machine, now, LOADED.lifecycle).status == "not_applicable"
