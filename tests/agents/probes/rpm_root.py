"""A root of Red Hat's family, made for the test by rpm, createrepo_c and dnf themselves: they are the witnesses."""

from __future__ import annotations

import os
import shutil
import subprocess  # noqa: TID251 - makes packages, and asks the witnesses
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from secmon_agent.command_result import CommandResult
from secmon_agent.files import LiveFiles
from secmon_agent.host import Host, Programs
from secmon_agent.memory import DictMemory, Memory
from secmon_agent.registry import NoRegistry
from secmon_agent.system import RecordedSystem, Recording

PROGRAMS = ("rpm", "rpmbuild", "dnf", "createrepo_c", "modifyrepo_c")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]

_SPEC = """Name: %{n}
Epoch: %{e}
Version: %{v}
Release: %{r}
Summary: made for a test
License: MIT
Vendor: Test Office
BuildArch: noarch
%description
Made for a test.
%files
"""


class Nevra(tuple[str, int, str, str]):
    """Name, epoch, version, release."""

    __slots__ = ()

    @property
    def file(self) -> str:
        return f"{self[0]}-{self[2]}-{self[3]}.noarch.rpm"


def nevra(text: str) -> Nevra:
    """Of `name-epoch:version-release`."""
    name, rest, release = text.rsplit("-", 2)
    epoch, _, version = rest.partition(":")
    return Nevra((name, int(epoch), version, release))


class RpmRoot:
    """`folder`/root is the machine, `folder`/rpms the packages, `folder`/repos the repositories."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = folder / "root"
        (self.root / "var/lib/rpm").mkdir(parents=True)
        (self.root / "etc/yum.repos.d").mkdir(parents=True)
        (self.root / "etc/dnf").mkdir(parents=True)
        (self.root / "var/log").mkdir(parents=True)
        (folder / ".rpmmacros").write_text("%_dbpath /var/lib/rpm\n")
        (folder / "any.spec").write_text(_SPEC)
        self.settings("")

    def copied(self, folder: Path) -> RpmRoot:
        """The same machine with the same repositories."""
        shutil.copytree(self._folder, folder)
        other = RpmRoot.__new__(RpmRoot)
        other._folder, other.root = folder, folder / "root"
        return other

    def settings(self, text: str) -> None:
        self.write("etc/dnf/dnf.conf", f"[main]\ngpgcheck=0\n{text}")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def hide_database(self) -> None:
        """Leave a database that only rpm can read; rpm reads the one it made before."""
        (self.root / "var/lib/rpm").rename(self.root / "var/lib/readable")
        (self._folder / ".rpmmacros").write_text("%_dbpath /var/lib/readable\n")
        self.write("var/lib/rpm/Packages", "Berkeley DB")

    def install(self, *packages: str) -> None:
        files = [str(self._package(text)) for text in packages]
        self._run("rpm", "--root", str(self.root), "-i", "--nodeps", "--force", *files)

    def repository(
        self, name: str, packages: Sequence[str], options: str = "", *, compression: str = "gz", **extra: str
    ) -> None:
        """`extra` are further lists by kind: `updateinfo`, `modules`. Known to dnf after `fetch`."""
        folder = self._folder / "repos" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for text in packages:
            package = self._package(text)
            (folder / package.name).hardlink_to(package)
        self._run("createrepo_c", "-q", "--general-compress-type", compression, str(folder))
        for kind, text in extra.items():
            (self._folder / f"{kind}.{'yaml' if kind == 'modules' else 'xml'}").write_text(text)
            source = str(self._folder / f"{kind}.{'yaml' if kind == 'modules' else 'xml'}")
            self._run("modifyrepo_c", "--mdtype", kind, source, str(folder / "repodata"))
        self.write(
            f"etc/yum.repos.d/{name}.repo", f"[{name}]\nname={name}\nbaseurl=file://{folder}\nenabled=1\n{options}"
        )

    def fetch(self) -> None:
        self.dnf("makecache")

    def dnf(self, *words: str) -> str:
        """What dnf prints; it sees nothing but the root."""
        root = f"--installroot={self.root}"
        return self._run("dnf", "-q", "-y", "--noplugins", "--releasever=9", root, *words)

    def rpm(self, *words: str) -> str:
        return self._run("rpm", "--root", str(self.root), *words)

    def host(self, memory: Memory | None = None) -> Host:
        """The root as an agent would see it that runs there."""

        def run(argv: Sequence[str], *, timeout_s: float, max_output_bytes: int) -> CommandResult:
            if argv[0] != "/usr/bin/rpm":
                raise FileNotFoundError(2, "not in this root", argv[0])
            return CommandResult(exit_code=0, stdout=self.rpm(*argv[1:]).encode())

        def ask(question: str, *, timeout_s: float) -> bytes:
            raise FileNotFoundError(2, "not in this root", question)

        return Host(
            family="linux",
            files=LiveFiles(str(self.root)),
            registry=NoRegistry(),
            system=RecordedSystem(Recording(architecture=os.uname().machine)),
            memory=memory if memory is not None else DictMemory(),
            clock=lambda: datetime.now(UTC),
            programs=Programs(run, ask),
            privileged=True,
        )

    def _package(self, text: str) -> Path:
        name, epoch, version, release = found = nevra(text)
        path = self._folder / "rpms" / "noarch" / found.file
        if not path.exists():
            macros = {
                "n": name, "e": str(epoch), "v": version, "r": release,
                "_topdir": str(self._folder / "build"), "_rpmdir": str(self._folder / "rpms"),
            }  # fmt: skip
            defined = [word for key, value in macros.items() for word in ("--define", f"{key} {value}")]
            self._run("rpmbuild", "-bb", "--quiet", *defined, str(self._folder / "any.spec"))
        return path

    def _run(self, *argv: str) -> str:
        environment = {"HOME": str(self._folder), "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, timeout=120)
        if done.returncode not in (0, 100):  # 100: dnf check-update found something
            raise AssertionError(f"{argv[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout
