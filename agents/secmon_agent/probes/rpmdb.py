"""What rpm says is installed. Shared by the probes of software, patches and boot; imported only where rpm is.

The sqlite database is read as it lies there. Older machines (el8) keep a Berkeley database that only rpm itself can
read: there the program is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from secmon_agent.host import Host, ProbeError, TooLargeError
from secmon_agent.probes import rpm_header
from secmon_agent.probes.rpm_version import Key, evr_key, evr_text
from secmon_agent.probes.sqlite_files import rows

FOLDERS: Final = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
_SQLITE: Final = "rpmdb.sqlite"
_OLDER: Final = ("Packages", "Packages.db")
"""Berkeley DB, and the database format of SUSE."""
_RPM: Final = "/usr/bin/rpm"
_FORMAT: Final = r"%{NAME}\t%{EPOCH}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t%{INSTALLTIME}\t%{VENDOR}\n"
ASK: Final = (_RPM, "-qa", "--qf", _FORMAT)
_TIMEOUT_S: Final = 60.0
_KEY: Final = "gpg-pubkey"
"""rpm keeps the keys that it trusts as if they were packages."""
_MAX_PACKAGES: Final = 20_000
_TAGS: Final = (
    rpm_header.NAME, rpm_header.VERSION, rpm_header.RELEASE, rpm_header.EPOCH, rpm_header.INSTALL_TIME,
    rpm_header.VENDOR, rpm_header.ARCHITECTURE,
)  # fmt: skip


class Installed(Struct, frozen=True, array_like=True):
    name: str
    epoch: int
    version: str
    release: str
    architecture: str
    vendor: str
    """Empty where the package names none."""
    installed_at: int
    """Seconds since 1970; 0 where the database does not say."""

    @property
    def evr(self) -> str:
        return evr_text(self.epoch, self.version, self.release)

    @property
    def key(self) -> Key:
        return evr_key(self.epoch, self.version, self.release)


def database(host: Host) -> str | None:
    """File of rpm's database; None where there is none."""
    names = (f"{folder}/{name}" for name in (_SQLITE, *_OLDER) for folder in FOLDERS)
    return next((name for name in names if host.exists(name)), None)


def marks(host: Host) -> list[tuple[str, int, int, int]]:
    """What changes when a package is installed or removed."""
    name = database(host)
    return host.marks(name, f"{name}-wal") if name else []


def installed(host: Host) -> list[Installed]:
    return host.once("rpm", lambda: host.remembered("rpm.installed", marks(host), list[Installed], lambda: _read(host)))


def _read(host: Host) -> list[Installed]:
    name = database(host)
    found = _from_sqlite(host, name) if name and name.endswith(_SQLITE) else _from_program(host)
    packages = [package for package in found if package.name != _KEY]
    if not packages:
        raise ProbeError("the rpm database names no package")
    return packages


def _from_sqlite(host: Host, name: str) -> Iterator[Installed]:
    for count, (blob,) in enumerate(rows(host, name, "SELECT blob FROM Packages")):
        if count >= _MAX_PACKAGES:
            raise TooLargeError(f"more than {_MAX_PACKAGES} packages")
        if not isinstance(blob, bytes):
            raise ProbeError("a row of the rpm database holds no header")
        yield read_header(blob)


def read_header(blob: bytes) -> Installed:
    """ValueError where it is no header of a package."""
    found = rpm_header.values(blob, _TAGS)

    def text(tag: int) -> str:
        return str(found.get(tag, ""))

    def number(tag: int) -> int:
        value = found.get(tag, 0)
        return value if isinstance(value, int) else 0

    if not (text(rpm_header.NAME) and text(rpm_header.VERSION)):
        raise ValueError("a header of the rpm database has no name or version")
    return Installed(
        text(rpm_header.NAME), number(rpm_header.EPOCH), text(rpm_header.VERSION), text(rpm_header.RELEASE),
        text(rpm_header.ARCHITECTURE), text(rpm_header.VENDOR), number(rpm_header.INSTALL_TIME),
    )  # fmt: skip


def _from_program(host: Host) -> list[Installed]:
    result = host.run(ASK, timeout_s=_TIMEOUT_S)
    if result.exit_code != 0:
        raise ProbeError(f"rpm ended with status {result.exit_code}")
    return [_read_line(line) for line in result.stdout.decode("utf-8", "replace").splitlines() if line]


def _read_line(line: str) -> Installed:
    fields = line.split("\t")
    if len(fields) != 7:
        raise ValueError("a line of rpm's answer has not seven fields")
    name, epoch, version, release, architecture, installed_at, vendor = (
        "" if field == "(none)" else field for field in fields
    )
    return Installed(name, int(epoch or 0), version, release, architecture, vendor, int(installed_at or 0))
