"""Pending updates: what apt would choose, and since when."""

from __future__ import annotations

import re
import shutil
import subprocess  # noqa: TID251 - apt-get is the witness
from collections.abc import Callable
from datetime import UTC, datetime
from typing import BinaryIO

import pytest
from msgspec import UNSET

from secmon_agent import collect
from secmon_agent.facts import Patches, PendingUpdate
from secmon_agent.host import Host
from secmon_agent.memory import DictMemory
from secmon_agent.probes import apt_conf, apt_lists, apt_policy
from secmon_agent.probes.apt_history import last_upgrade
from secmon_agent.probes.patches_apt import patches

BASE = f"{apt_lists.FOLDER}/archive.example.org_debian_dists_"
DPKG = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n"
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
LATER = datetime(2026, 11, 8, tzinfo=UTC)
LATEST = datetime(2026, 11, 15, tzinfo=UTC)


def installed(version: str, want: str = "install", name: str = "tool") -> str:
    return DPKG + f"Package: {name}\nStatus: {want} ok installed\nArchitecture: amd64\nVersion: {version}\n"


def archive(pocket: str, *versions: str, extra: str = "", name: str = "tool") -> dict[str, str]:
    packages = "\n".join(f"Package: {name}\nArchitecture: amd64\nVersion: {version}\n" for version in versions)
    release = f"Origin: Debian\nLabel: Debian\nSuite: {pocket}\nCodename: {pocket}\n{extra}SHA256:\n 00 1 x\n"
    return {f"{BASE}{pocket}_main_binary-amd64_Packages": packages, f"{BASE}{pocket}_InRelease": release}


def pending(found: Patches) -> list[PendingUpdate]:
    assert not isinstance(found.pending, type(UNSET))
    return list(found.pending)


def candidates(found: Patches) -> dict[str, str | object]:
    return {update.package: update.candidate_version for update in pending(found)}


@pytest.mark.parametrize(
    ("preferences", "settings", "expected"),
    [
        ("", "", {"tool": "3"}),
        ("Package: tool\nPin: release n=sid\nPin-Priority: -1\n", "", {"tool": "2"}),
        ("Package: tool\nPin: version 2*\nPin-Priority: 900\n", "", {"tool": "2"}),
        ("Package: t* other\nPin: origin archive.example.org\nPin-Priority: 50\n", "", {}),
        ("Package: *\nPin: release a=sid\nPin-Priority: 90\n", "", {"tool": "2"}),
        ("# nothing\nExplanation: x\nPackage: tool\nPin: version 1*\nPin-Priority: 1001\n", "", {}),
        ("Package: *\nPin: release l=Nobody\nPin-Priority: 1\n", "", {"tool": "3"}),
        ("", 'APT::Default-Release "stable";', {"tool": "2"}),
        ("", 'APT { Default-Release "sid"; };', {"tool": "3"}),
    ],
)
def test_it_chooses_as_apt_does(
    preferences: str, settings: str, expected: dict[str, str], make_host: Callable[..., Host]
) -> None:
    files = {"/var/lib/dpkg/status": installed("1"), **archive("stable", "1", "2"), **archive("sid", "3")}
    host = make_host(files | {"/etc/apt/preferences": preferences, "/etc/apt/apt.conf.d/50x": settings})
    assert candidates(patches(host)) == expected


@pytest.mark.parametrize(
    ("own", "extra", "expected"),
    [
        ("1", "NotAutomatic: yes\n", {}),
        ("1", "NotAutomatic: yes\nButAutomaticUpgrades: yes\n", {}),
        ("3~bpo1", "NotAutomatic: yes\nButAutomaticUpgrades: yes\n", {"tool": "3~bpo2"}),
    ],
)
def test_backports_are_offered_to_those_who_have_them(
    own: str, extra: str, expected: dict[str, str], make_host: Callable[..., Host]
) -> None:
    files = {"/var/lib/dpkg/status": installed(own), **archive("stable", "1")}
    assert candidates(patches(make_host(files | archive("backports", "3~bpo2", extra=extra)))) == expected


@pytest.mark.parametrize(
    "preferences",
    [
        "Package: /^lib/\nPin: release a=stable\nPin-Priority: 900\n",
        "Package: src:linux\nPin: version 6*\nPin-Priority: 900\n",
        "Package: tool\nPin: release q=1\nPin-Priority: 900\n",
        "Package: tool\nPin: phase of moon\nPin-Priority: 900\n",
        "Package: tool\nPin: version 2\n",
    ],
)
def test_a_pin_that_it_cannot_interpret_leaves_the_answer_open(
    preferences: str, make_host: Callable[..., Host]
) -> None:
    files = {"/var/lib/dpkg/status": installed("1"), **archive("stable", "2"), "/etc/apt/preferences": preferences}
    found = patches(make_host(files))
    assert (found.pending, found.security_archive) == (UNSET, False)


def test_without_lists_nothing_is_known(make_host: Callable[..., Host]) -> None:
    found = patches(make_host({"/var/lib/dpkg/status": installed("1"), f"{apt_lists.FOLDER}/lock": ""}))
    assert (found.pending, found.lists_updated_at, found.security_archive) == (UNSET, UNSET, UNSET)


def test_a_security_fix_is_not_hidden_by_a_newer_version_elsewhere(make_host: Callable[..., Host]) -> None:
    files = {"/var/lib/dpkg/status": installed("1"), **archive("stable-security", "2"), **archive("updates", "3")}
    found = pending(patches(make_host(files)))
    assert [(it.candidate_version, it.security) for it in found] == [("3", True)]


def test_a_history_that_may_not_be_read_is_left_out(make_host: Callable[..., Host]) -> None:
    files = {"/var/lib/dpkg/status": installed("1"), **archive("stable", "2"), "/var/log/apt/history.log": ""}
    found = patches(make_host(files, denied=["/var/log/apt"]))
    assert (found.last_installed_at, candidates(found)) == (UNSET, {"tool": "2"})


def test_a_held_package_stays_pending(make_host: Callable[..., Host]) -> None:
    found = patches(make_host({"/var/lib/dpkg/status": installed("1", "hold"), **archive("stable", "2")}))
    assert (candidates(found), found.held) == ({"tool": "2"}, ("tool",))


def test_it_remembers_since_when_an_update_is_pending(make_host: Callable[..., Host]) -> None:
    memory = DictMemory()
    files = {"/var/lib/dpkg/status": installed("1"), **archive("stable", "2")}
    first = patches(make_host(files, memory, mtimes={apt_lists.FOLDER: FIRST}))
    both = files | archive("sid", "5", name="dpkg")
    later = patches(make_host(both, memory, mtimes={apt_lists.FOLDER: LATER}))
    assert {it.package: it.pending_since for it in pending(first)} == {"tool": FIRST}
    assert {it.package: it.pending_since for it in pending(later)} == {"tool": FIRST, "dpkg": LATER}


def test_a_newer_candidate_does_not_start_the_time_anew_but_a_first_security_update_does(
    make_host: Callable[..., Host],
) -> None:
    memory = DictMemory()
    status = {"/var/lib/dpkg/status": installed("1")}
    steps = [
        (FIRST, archive("stable", "2")),
        (LATER, archive("stable", "2") | archive("stable-security", "3")),
        (LATEST, archive("stable", "2") | archive("stable-security", "40")),
    ]
    found = [
        pending(patches(make_host(status | offered, memory, mtimes={apt_lists.FOLDER: moment})))[0]
        for moment, offered in steps
    ]
    assert [(it.candidate_version, it.security, it.pending_since) for it in found] == [
        ("2", False, FIRST), ("3", True, LATER), ("40", True, LATER),
    ]  # fmt: skip


def test_lists_from_the_future_have_no_age(make_host: Callable[..., Host]) -> None:
    files = {"/var/lib/dpkg/status": installed("1"), **archive("stable", "2")}
    found = patches(make_host(files, mtimes={apt_lists.FOLDER: datetime(2031, 1, 1, tzinfo=UTC)}))
    assert (found.lists_updated_at, pending(found)[0].pending_since) == (UNSET, UNSET)


def test_an_update_is_not_pending_since_a_time_that_a_wrong_clock_showed(make_host: Callable[..., Host]) -> None:
    memory = DictMemory()
    files = {"/var/lib/dpkg/status": installed("1"), **archive("stable", "2")}
    patches(make_host(files, memory, mtimes={apt_lists.FOLDER: LATEST}))  # the clock was ahead
    found = patches(make_host(files, memory, mtimes={apt_lists.FOLDER: FIRST}))
    assert pending(found)[0].pending_since == FIRST


def test_it_forgets_what_is_no_longer_pending(make_host: Callable[..., Host]) -> None:
    memory = DictMemory()
    offered = archive("stable", "2")
    patches(make_host({"/var/lib/dpkg/status": installed("1"), **offered}, memory, mtimes={apt_lists.FOLDER: FIRST}))
    patches(make_host({"/var/lib/dpkg/status": installed("2  "), **offered}, memory))
    again = patches(
        make_host({"/var/lib/dpkg/status": installed("1"), **offered}, memory, mtimes={apt_lists.FOLDER: LATER})
    )
    assert [it.pending_since for it in pending(again)] == [LATER]


def test_unchanged_lists_are_not_read_again(make_host: Callable[..., Host], monkeypatch: pytest.MonkeyPatch) -> None:
    host = make_host({"/var/lib/dpkg/status": installed("1"), **archive("stable", "2")})
    opened: list[str] = []
    real = host.files.open

    def watched(name: str) -> BinaryIO:
        opened.append(name)
        return real(name)

    monkeypatch.setattr(host.files, "open", watched)
    first = collect.collect(host, ["patches", "software"])
    read = [name for name in opened if "Packages" in name or name.endswith("status")]
    opened.clear()
    assert collect.collect(host, ["patches", "software"]) == first
    assert (len(read), [name for name in opened if "Packages" in name or "Release" in name or "status" in name]) == (
        2,
        [],
    )


def test_a_damaged_list_fails_instead_of_saying_that_nothing_is_pending(make_host: Callable[..., Host]) -> None:
    files: dict[str, str | bytes] = {"/var/lib/dpkg/status": installed("1")}
    files[f"{BASE}stable_main_binary-amd64_Packages.xz"] = b"\xfd7zXZ\x00\x00\x04" + b"0" * 40
    answer = collect.collect(make_host(files), ["patches"])["patches"]
    assert answer.status == "failed"


def test_a_list_in_an_unknown_compression_is_unsupported(make_host: Callable[..., Host]) -> None:
    files = {"/var/lib/dpkg/status": installed("1"), f"{BASE}stable_main_binary-amd64_Packages.zz9": "x"}
    answer = collect.collect(make_host(files), ["patches"])["patches"]
    assert (answer.status, ".zz9" in answer.reason) == ("unsupported", True)


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt as witness")
def test_it_agrees_with_apt_on_this_machine() -> None:
    """Updates that are offered to some machines only, and those on hold, are apt's to leave out."""
    found = pending(patches(collect.live_host(None)))
    out = subprocess.run(["apt-get", "-s", "dist-upgrade"], capture_output=True, text=True, check=False)
    if out.returncode != 0:
        pytest.skip("apt-get cannot simulate on this machine")
    expected = {it[0]: it[1:] for it in re.findall(r"^Inst (\S+) \[([^]]+)\] \((\S+)", out.stdout, re.MULTILINE)}
    mine = {it.package: (it.installed_version, it.candidate_version) for it in found if it.phased_percent is UNSET}
    assert {name: versions for name, versions in mine.items() if name in expected} == expected
    kept = re.search(r"kept back:\n((?:  .*\n)+)", out.stdout)
    assert set(mine) - set(expected) <= set(kept[1].split() if kept else ())
    secure = set(re.findall(r"^Inst (\S+) \[[^]]+\] \(.*-security", out.stdout, re.MULTILINE | re.IGNORECASE))
    assert secure <= {it.package for it in found if it.security}


def test_apt_settings_are_read_as_apt_reads_them() -> None:
    text = 'A::B "1"; // A::B "2";\n/* A::B "3"; */ # A::B "4";\nC { D { E "x y"; }; F "off"; };\n'
    text += 'L { "one"; "two"; };\nA::b "5";'
    assert apt_conf.parse(text) == {"a::b": "5", "c::d::e": "x y", "c::f": "off"}


def test_a_file_that_apt_ignores_is_ignored(make_host: Callable[..., Host]) -> None:
    host = make_host({"/etc/apt/preferences.d/a.bak": "Package: /x/\n", "/etc/apt/apt.conf.d/10x.dpkg-old": 'A "1";'})
    assert (apt_policy.read_pins(host), apt_conf.read(host)) == ([], {})


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("", None),
        ("\nStart-Date: 2026-01-01  01:02:03\nInstall: a:amd64 (1)\nEnd-Date: 2026-01-01  01:02:04\n", None),
        (
            "\nStart-Date: 2026-01-01  01:02:03\nUpgrade: a:amd64 (1, 2)\nEnd-Date: 2026-01-01  01:02:04\n"
            "\nStart-Date: 2026-02-01  01:02:03\nUpgrade: a:amd64 (2, 3)\n",
            datetime(2026, 1, 1, 1, 2, 4),  # noqa: DTZ001 - as the file has it
        ),
    ],
)
def test_it_finds_the_last_finished_upgrade(history: str, expected: datetime | None) -> None:
    assert last_upgrade(history) == expected
