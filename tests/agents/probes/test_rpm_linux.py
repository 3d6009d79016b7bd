"""Packages and pending updates of Red Hat's family: rpm and dnf are the witnesses, inside a root made for the test."""

from __future__ import annotations

import os
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pytest
from msgspec import UNSET

from secmon_agent import collect
from secmon_agent.facts import PendingUpdate
from secmon_agent.host import Host
from secmon_agent.memory import DictMemory
from secmon_agent.probes import rpmdb
from secmon_agent.probes.packages_linux import patches, software
from tests.agents.probes.rpm_root import MISSING, RpmRoot

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {' '.join(MISSING)} as witness")

INSTALLED = (
    "tool-0:1.0-1.el9", "lib-2:1.0-1.el9", "same-0:1.0-1", "gone-0:3-1", "kept-0:1-1", "node-1:18.1-1.module_el9",
    "pri-0:1-1", "fresh-0:5-1", "third-0:1-1", "kernel-core-0:5.14.0-70.el9", "kernel-core-0:5.14.0-362.8.1.el9_3",
)  # fmt: skip
BASE = (
    "tool-0:1.0-2.el9", "tool-0:1.1-1.el9", "lib-2:1.0-1.el9_3", "same-0:1.0-1", "kept-0:2-1",
    "node-1:18.2-1.module_el9", "node-1:20.1-1.module_el9", "node-1:21-1.el9", "pri-0:2-1", "fresh-0:5~rc1-1",
    "kernel-core-0:5.14.0-362.el9", "kernel-core-0:5.14.0-427.el9_4", "third-0:3-1",
)  # fmt: skip
EXTRA = ("pri-0:1.5-1", "third-0:2-1", "other-0:1-1")


def _advisory(kind: str, *packages: str) -> str:
    rows = ""
    for text in packages:
        name, rest, release = text.rsplit("-", 2)
        epoch, _, version = rest.partition(":")
        rows += (
            f'<package name="{name}" version="{version}" release="{release}" epoch="{epoch}" arch="noarch" src="x">'
            f"<filename>{name}-{version}-{release}.noarch.rpm</filename></package>"
        )
    return (
        f'<update from="test" status="final" type="{kind}" version="1"><id>T-{kind}-{len(rows)}</id>'
        f'<title>t</title><issued date="2026-11-01 00:00:00"/><pkglist><collection short="c"><name>c</name>{rows}'
        "</collection></pkglist></update>\n"
    )


UPDATEINFO = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<updates>\n'
    + _advisory("security", "tool-0:1.0-2.el9", "kernel-core-0:5.14.0-362.el9")
    + _advisory("bugfix", "tool-0:1.1-1.el9", "lib-2:1.0-1.el9_3")
    + _advisory("security", "node-1:20.1-1.module_el9")
    + _advisory("enhancement", "kernel-core-0:5.14.0-427.el9_4")
    + "</updates>\n"
)


def _module(stream: str, package: str) -> str:
    return (
        f'---\ndocument: modulemd\nversion: 2\ndata:\n  name: node\n  stream: "{stream}"\n  version: 1\n'
        f"  context: c{stream}\n  arch: x86_64\n  summary: s\n  description: d\n  license:\n    module:\n    - MIT\n"
        f"  artifacts:\n    rpms:\n    - {package}.noarch\n...\n"
    )


MODULES = (
    _module("18", "node-1:18.2-1.module_el9")
    + _module("20", "node-1:20.1-1.module_el9")
    + '---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: node\n  stream: "18"\n...\n'
)


@pytest.fixture
def root(machine: RpmRoot, tmp_path: Path) -> RpmRoot:
    """A copy that a test may change."""
    return machine.copied(tmp_path / "copy")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> RpmRoot:
    made = RpmRoot(tmp_path_factory.mktemp("rpm"))
    made.settings("excludepkgs=kept\n  none*\n")
    made.install(*INSTALLED)
    made.repository("base", BASE, "excludepkgs=third\n", updateinfo=UPDATEINFO, modules=MODULES)
    made.repository("extra", EXTRA, "priority=10\n", compression="xz")
    made.fetch()
    return made


def _pending(machine: RpmRoot) -> dict[str, PendingUpdate]:
    found = patches(machine.host()).pending
    assert isinstance(found, tuple)
    return {it.package: it for it in found}


def _names(host: Host) -> set[str]:
    return {it.name for it in rpmdb.installed(host)}


def test_it_agrees_with_rpm(machine: RpmRoot) -> None:
    out = machine.rpm("-qa", "--qf", r"%{NAME} %{EPOCH}:%{VERSION}-%{RELEASE} %{ARCH} %{INSTALLTIME} %{VENDOR}\n")
    found = rpmdb.installed(machine.host())
    mine = {
        f"{it.name} {it.epoch}:{it.version}-{it.release} {it.architecture} {it.installed_at} {it.vendor}"
        for it in found
    }
    assert mine == set(out.splitlines())
    assert len(found) == len(INSTALLED)


def test_it_agrees_with_dnf_check_update(machine: RpmRoot) -> None:
    """Packages on hold are dnf's to leave out."""
    lines = [line.split() for line in machine.dnf("-C", "check-update").splitlines() if line.strip()]
    expected = {(name.removesuffix(".noarch"), version, origin) for name, version, origin in lines}
    found = {(it.package, it.candidate_version, it.origin) for it in _pending(machine).values()}
    assert expected
    assert found == expected | {("kept", "2-1", "base")}


def test_it_agrees_with_dnf_on_security(machine: RpmRoot) -> None:
    """dnf names advisories of packages that a module hides, too."""
    out = machine.dnf("-C", "check-update", "--security")
    expected = {line.split(".")[0] for line in out.splitlines() if line.strip()}
    assert {name for name, it in _pending(machine).items() if it.security} == expected == {"tool"}


def test_it_agrees_with_dnf_on_a_chosen_module_stream(root: RpmRoot) -> None:
    root.write("etc/dnf/modules.d/node.module", "[node]\nname=node\nstream=20\nprofiles=\nstate=enabled\n")
    assert "1:20.1-1.module_el9" in root.dnf("-C", "check-update")
    assert (_pending(root)["node"].candidate_version, _pending(root)["node"].security) == ("1:20.1-1.module_el9", True)


def test_without_an_active_stream_other_packages_of_that_name_count(root: RpmRoot) -> None:
    root.write("etc/dnf/modules.d/node.module", "[node]\nname=node\nstream=\nprofiles=\nstate=disabled\n")
    assert "1:21-1.el9" in root.dnf("-C", "check-update")
    assert _pending(root)["node"].candidate_version == "1:21-1.el9"


def test_packages_on_hold_are_named(root: RpmRoot) -> None:
    root.write("etc/dnf/plugins/versionlock.list", "# note\ntool-0:1.0-1.el9.*\n!lib-2:1.0-1.el9.*\n")
    assert patches(root.host()).held == ("kept", "tool")


def test_it_knows_when_dnf_upgraded_something(root: RpmRoot) -> None:
    assert patches(root.host()).last_installed_at is UNSET
    before = datetime.now(UTC).replace(microsecond=0)
    root.dnf("upgrade", "tool")
    found = patches(root.host())
    assert isinstance(found.last_installed_at, datetime)
    assert before <= found.last_installed_at <= datetime.now(UTC)
    assert "tool" not in _pending(root)


def test_the_lists_are_as_old_as_the_oldest_of_them(root: RpmRoot) -> None:
    index = next(root.root.glob("var/cache/dnf/extra-*/repodata/repomd.xml"))
    os.utime(index, (1_790_000_000, 1_790_000_000))
    found = patches(root.host())
    assert found.lists_updated_at == datetime.fromtimestamp(1_790_000_000, UTC)
    assert {it.pending_since for it in _pending(root).values()} == {found.lists_updated_at}


@pytest.mark.parametrize(("options", "complete"), [("", False), ("skip_if_unavailable=1\n", True)])
def test_a_repository_that_was_never_fetched_leaves_updates_undetermined(
    options: str, complete: bool, root: RpmRoot
) -> None:
    root.write("etc/yum.repos.d/far.repo", f"[far]\nbaseurl=https://far.example.org/\n{options}")
    root.write("etc/yum.repos.d/off.repo", "[off]\nbaseurl=https://off.example.org/\nenabled=0\n")
    found = patches(root.host())
    assert (found.pending is not UNSET, found.lists_updated_at is not UNSET) == (complete, complete)
    assert found.security_archive is True


def test_without_lists_nothing_is_known(root: RpmRoot) -> None:
    shutil.rmtree(root.root / "var/cache/dnf")
    found = patches(root.host())
    assert (found.pending, found.lists_updated_at, found.security_archive) == (UNSET, UNSET, UNSET)


def test_without_advisories_nobody_can_tell_what_is_for_security(root: RpmRoot) -> None:
    root.repository("base", BASE)
    root.fetch()
    found = patches(root.host())
    assert (found.security_archive, {it.security for it in _pending(root).values()}) == (False, {UNSET})


def test_a_damaged_list_fails_instead_of_saying_that_nothing_is_pending(root: RpmRoot) -> None:
    path = next(root.root.glob("var/cache/dnf/base-*/repodata/*primary.xml.gz"))
    path.write_bytes(path.read_bytes()[:-40])
    assert collect.collect(root.host(), ["patches"])["patches"].status == "failed"


def test_a_list_that_is_shorter_than_it_says_fails(root: RpmRoot) -> None:
    import gzip

    path = next(root.root.glob("var/cache/dnf/base-*/repodata/*primary.xml.gz"))
    text = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(text.replace(b"<name>tool</name>", b"")))
    answer = collect.collect(root.host(), ["patches"])["patches"]
    assert (answer.status, "as many packages" in answer.reason) == ("failed", True)


def test_unchanged_lists_are_not_read_again(machine: RpmRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = DictMemory()
    first = collect.collect(machine.host(memory), ["patches", "software"])
    host = machine.host(memory)
    opened: list[str] = []
    real = host.files.open

    def watched(name: str) -> BinaryIO:
        opened.append(name)
        return real(name)

    monkeypatch.setattr(host.files, "open", watched)
    monkeypatch.setattr("secmon_agent.probes.rpmdb.rows", None)
    again = collect.collect(host, ["patches", "software"])
    assert {name: it.digest for name, it in again.items()} == {name: it.digest for name, it in first.items()}
    assert [name for name in opened if "primary" in name or "updateinfo" in name or "modules" in name] == []


def test_it_sees_what_rpm_has_written_and_not_yet_merged(root: RpmRoot) -> None:
    connection = sqlite3.connect(root.root / "var/lib/rpm/rpmdb.sqlite", isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("DELETE FROM Packages WHERE hnum = (SELECT hnum FROM Name WHERE key = 'gone')")
        assert (root.root / "var/lib/rpm/rpmdb.sqlite-wal").stat().st_size > 0
        assert _names(root.host()) == {text.rsplit("-", 2)[0] for text in INSTALLED} - {"gone"}
    finally:
        connection.close()


def test_reading_leaves_the_database_as_it_was(root: RpmRoot) -> None:
    folder = root.root / "var/lib/rpm"
    before = {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.iterdir()}
    rpmdb.installed(root.host())
    assert {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.iterdir()} == before


def test_rpm_itself_is_asked_where_only_rpm_can_read_its_database(root: RpmRoot) -> None:
    expected = set(software(root.host()).packages or ())
    root.hide_database()
    assert set(software(root.host()).packages or ()) == expected
    assert {it.publisher for it in expected} == {"Test Office"}


def test_a_broken_database_fails(root: RpmRoot) -> None:
    path = root.root / "var/lib/rpm/rpmdb.sqlite"
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 8000)
    assert collect.collect(root.host(), ["software"])["software"].status == "failed"
