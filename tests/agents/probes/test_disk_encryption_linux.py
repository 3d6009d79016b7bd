"""Volumes and what encrypts them: lsblk is the witness, on trees made for the test and on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess  # noqa: TID251 - lsblk is the witness
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from secmon_agent import collect
from secmon_agent.facts import DiskEncryption, Volume
from secmon_agent.files import LiveFiles
from secmon_agent.host import Host, Programs
from secmon_agent.memory import DictMemory
from secmon_agent.probes.disk_encryption_linux import disk_encryption
from secmon_agent.registry import NoRegistry
from secmon_agent.system import RecordedSystem, Recording

pytestmark = pytest.mark.skipif(shutil.which("lsblk") is None, reason="needs lsblk as witness")

LUKS1, LUKS2, PLAIN, LVM = "CRYPT-LUKS1-0a-x", "CRYPT-LUKS2-0b-x", "CRYPT-PLAIN-x", "LVM-0c"


class Disks:
    """/sys and /proc of a machine with block devices, as far as lsblk and the probe look at them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._numbers = 0
        self._mounts: list[str] = []
        for name in ("sys/class/block", "sys/block", "sys/dev/block", "proc/self", "proc/1"):
            (root / name).mkdir(parents=True)

    def disk(self, name: str, *, removable: bool = False) -> str:
        path = self._device(f"sys/devices/pci/block/{name}", name)
        (path / "removable").write_text(f"{removable:d}\n")
        self._link(self.root / "sys/block" / name, path)
        return name

    def partition(self, disk: str, number: int) -> str:
        name = f"{disk}{number}"
        path = self._device(f"sys/devices/pci/block/{disk}/{name}", name)
        (path / "partition").write_text(f"{number}\n")
        (path / "start").write_text("1\n")
        return name

    def mapping(self, name: str, uuid: str, *below: str) -> str:
        kernel = f"dm-{len(list((self.root / 'sys/block').glob('dm-*')))}"
        path = self._device(f"sys/devices/virtual/block/{kernel}", kernel)
        (path / "dm").mkdir()
        (path / "dm/name").write_text(f"{name}\n")
        (path / "dm/uuid").write_text(f"{uuid}\n")
        self._link(self.root / "sys/block" / kernel, path)
        for other in below:
            lower = (self.root / "sys/class/block" / other).resolve()
            self._link(path / "slaves" / other, lower)
            self._link(lower / "holders" / kernel, path)
        return kernel

    def mount(self, place: str, device: str, options: str = "rw") -> None:
        name = (self.root / f"sys/class/block/{device}/dm/name").resolve()
        source = f"/dev/mapper/{name.read_text().strip()}" if name.exists() else f"/dev/{device}"
        number = (self.root / f"sys/class/block/{device}/dev").read_text().strip()
        line = f"{30 + len(self._mounts)} 1 {number} / {place} {options},relatime - ext4 {source} {options}\n"
        self._mounts.append(line)
        for file in ("proc/self/mountinfo", "proc/1/mountinfo"):
            (self.root / file).write_text("".join(self._mounts))

    def host(self) -> Host:
        def run(*_: object, **__: object) -> object:
            raise FileNotFoundError(2, "no programs here")

        return Host(
            family="linux",
            files=LiveFiles(str(self.root)),
            registry=NoRegistry(),
            system=RecordedSystem(Recording()),
            memory=DictMemory(),
            clock=lambda: datetime.now(UTC),
            programs=Programs(run, run),  # type: ignore[arg-type]
            privileged=True,
        )

    def _device(self, place: str, name: str) -> Path:
        path = self.root / place
        for folder in ("slaves", "holders"):
            (path / folder).mkdir(parents=True)
        self._numbers += 1
        number = f"253:{self._numbers}"
        for file, text in {"dev": number, "size": "2048", "ro": "0", "uevent": ""}.items():
            (path / file).write_text(f"{text}\n")
        self._link(self.root / "sys/dev/block" / number, path)
        self._link(self.root / "sys/class/block" / name, path)
        return path

    def _link(self, path: Path, target: Path) -> None:
        path.symlink_to(os.path.relpath(target, path.parent))


Seen = dict[str, tuple[set[str], bool]]
"""By mount point: the kinds of what lies below it on any way, and whether it is removable."""


def witnessed(*arguments: str) -> Seen:
    command = ["lsblk", "--json", "-o", "NAME,TYPE,RM,RO,MOUNTPOINTS", *arguments]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    seen: Seen = {}
    for device in json.loads(out)["blockdevices"]:
        _gather(device, [], seen)
    return seen


def _gather(device: dict[str, object], above: list[dict[str, object]], seen: Seen) -> None:
    way = [*above, device]
    kinds = {"crypt"} if any(each["type"] == "crypt" for each in way) else {"plain"}
    if not {each["type"] for each in way} & {"loop", "rom"}:
        for mount in filter(None, device["mountpoints"]):  # type: ignore[call-overload]
            known = seen.setdefault(mount, (set(), bool(way[0]["rm"])))
            known[0].update(kinds)
    for child in device.get("children", ()):  # type: ignore[attr-defined]
        _gather(child, way, seen)


def volumes(found: DiskEncryption) -> Iterator[Volume]:
    assert isinstance(found.volumes, tuple)
    yield from found.volumes


def agree(found: DiskEncryption, seen: Seen) -> None:
    told = {it.mount: (it.encrypted, it.removable) for it in volumes(found)}
    assert told == {mount: (kinds == {"crypt"}, removable) for mount, (kinds, removable) in seen.items()}


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    made = Disks(tmp_path)
    disk = made.disk("sda")
    made.mount("/boot", made.partition(disk, 1))
    return made


def test_it_agrees_with_lsblk_on_luks_below_lvm(disks: Disks) -> None:
    below = disks.mapping("luks", LUKS2, disks.partition("sda", 2))
    disks.mount("/", disks.mapping("vg-root", LVM, below))
    disks.mount("/srv", disks.mapping("vg-srv", LVM, below))
    found = disk_encryption(disks.host())
    agree(found, witnessed("--sysroot", str(disks.root)))
    assert {it.mount: it.method for it in volumes(found) if it.encrypted} == {"/": "luks2", "/srv": "luks2"}


@pytest.mark.parametrize(("uuid", "method"), [(LUKS1, "luks1"), (LUKS2, "luks2"), (PLAIN, "dm-crypt")])
def test_it_agrees_with_lsblk_on_an_encrypted_volume_of_lvm(disks: Disks, uuid: str, method: str) -> None:
    disks.mount("/", disks.mapping("vg-root", LVM, disks.partition("sda", 2)))
    disks.mount("/home", disks.mapping("home", uuid, disks.mapping("vg-home", LVM, disks.partition("sda", 3))))
    found = disk_encryption(disks.host())
    agree(found, witnessed("--sysroot", str(disks.root)))
    assert {it.mount: it.method for it in volumes(found) if it.encrypted} == {"/home": method}


def test_it_agrees_with_lsblk_that_a_volume_half_of_which_is_open_is_not_encrypted(disks: Disks) -> None:
    closed = disks.mapping("luks", LUKS2, disks.partition("sda", 2))
    disks.mount("/", disks.mapping("vg-root", LVM, closed, disks.partition("sda", 3)))
    found = disk_encryption(disks.host())
    assert witnessed("--sysroot", str(disks.root))["/"][0] == {"crypt", "plain"}
    agree(found, witnessed("--sysroot", str(disks.root)))


def test_it_agrees_with_lsblk_on_what_can_be_removed(disks: Disks) -> None:
    stick = disks.disk("sdb", removable=True)
    disks.mount("/backup", disks.mapping("backup", LUKS2, disks.partition(stick, 1)))
    disks.mount("/", disks.partition("sda", 2))
    found = disk_encryption(disks.host())
    assert {it.mount: it.removable for it in volumes(found)} == {"/boot": False, "/backup": True, "/": False}
    told = {mount: kinds == {"crypt"} for mount, (kinds, _) in witnessed("--sysroot", str(disks.root)).items()}
    assert {it.mount: it.encrypted for it in volumes(found)} == told


def test_it_agrees_with_lsblk_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container is looked at, too: the disks below it are the witness's as well."""
    monkeypatch.setattr("secmon_agent.probes.disk_encryption_linux.container", lambda _: "")
    found = disk_encryption(collect.live_host(None))
    seen = witnessed()
    for volume in volumes(found):  # of several mounts of one device the probe tells the first
        kinds, removable = seen[volume.mount]
        assert (volume.encrypted, volume.removable) == (kinds == {"crypt"}, removable)
