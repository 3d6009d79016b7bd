"""The MSI that wixl builds: what it installs, and what Windows Installer is told to do with it."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess  # noqa: TID251 - the builder and the tools that look into a package are programs
import sys
import zipfile
from pathlib import Path

import pytest

from tests.packaging.room import ROOT, build

BUILDER = ROOT / "agents" / "packaging" / "windows" / "build_msi.py"
NEEDED = ("wixl", "msibuild", "msiinfo", "msiextract")
pytestmark = pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason="no wixl and msitools: no MSI is built")

MADE_UP = {
    "msgspec": ["msgspec/__init__.py"],
    "psutil": ["psutil/__init__.py", "psutil/tests/test_all.py"],
    "pynacl": ["nacl/__init__.py"],
    "cffi": ["cffi/__init__.py", "_cffi_backend.pyd"],
    "pywin32": [
        *("win32/win32evtlog.pyd", "win32/lib/pywintypes.py", "pywin32_system32/pywintypes311.dll"),
        *("pywin32.pth", "pythonwin/Pythonwin.exe", "win32/pythonservice.exe", "pywin32-1.data/scripts/x.py"),
    ],
}
VERSIONED = b"MZ...\xbd\x04\xef\xfe\x00\x00\x01\x00" + bytes([11, 0, 3, 0, 4, 0, 5, 0])
"""A program of version 3.11.5.4."""


def python(into: Path) -> Path:
    into.mkdir()
    for name in ("python.exe", "pythonw.exe", "python3.dll", "python311.dll"):
        (into / name).write_bytes(VERSIONED)
    (into / "LICENSE.txt").write_text("the licence")
    (into / "python311.zip").write_bytes(b"PK")
    (into / "python311._pth").write_text("python311.zip\n.\n")
    return into


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder in the shape of a CPython, and wheels."""
    folder = tmp_path_factory.mktemp("materials")
    wheels = folder / "wheels"
    wheels.mkdir()
    build(ROOT / "agents", wheels)
    for name, files in MADE_UP.items():
        with zipfile.ZipFile(wheels / f"{name}-1-cp311-cp311-win_amd64.whl", "w") as wheel:
            for file in files:
                wheel.writestr(file, "x = 1\n")
    return python(folder / "python"), wheels


def built(materials: tuple[Path, Path], out: Path, version: str = "1.2.3") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BUILDER), "--python", str(materials[0]), "--wheels", str(materials[1])]
    return subprocess.run(
        [*command, "--version", version, "--out", str(out)], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, materials: tuple[Path, Path]) -> Path:
    path = tmp_path_factory.mktemp("package") / "agent.msi"
    done = built(materials, path)
    assert done.returncode == 0, done.stderr
    return path


def table(package: Path, name: str) -> list[list[str]]:
    """Rows of a table of the package."""
    done = subprocess.run(["msiinfo", "export", package, name], capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()[3:]]


def extracted(package: Path, into: Path) -> Path:
    subprocess.run(["msiextract", "-C", into, package], capture_output=True, check=True)
    return next(into.rglob("secmon-agent"))


def test_it_carries_python_as_it_is_and_the_agent_beside_it(
    package: Path, materials: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = extracted(package, tmp_path)
    for original in materials[0].iterdir():
        if original.suffix != "._pth":
            assert (folder / original.name).read_bytes() == original.read_bytes()
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert {"site-packages/secmon_agent/__main__.py", "site-packages/nacl/__init__.py", "pywintypes311.dll"} <= names
    assert {name for name in names if name.endswith(".exe")} == {"python.exe", "pythonw.exe"}
    assert not {name for name in names if "tests" in name or name.endswith(".pth") or ".data" in name}


def test_it_lets_python_look_nowhere_else(package: Path, tmp_path: Path) -> None:
    lines = (extracted(package, tmp_path) / "python311._pth").read_text("ascii").split()
    assert lines == ["python311.zip", ".", "site-packages", r"site-packages\win32", r"site-packages\win32\lib"]


def test_it_installs_starts_stops_and_removes_the_service(package: Path) -> None:
    (service,) = table(package, "ServiceInstall")
    assert service[1] == "secmon-agent"
    assert service[3:5] == ["16", "2"]
    assert service[8:11] == ["", "", "-B -m secmon_agent service run"]
    (control,) = table(package, "ServiceControl")
    start, stop_before, stop_at_removal, delete = 0x1, 0x2, 0x20, 0x80
    assert int(control[2]) == start | stop_before | stop_at_removal | delete


def test_it_keeps_the_enrollment_string_out_of_logs_and_registry(package: Path) -> None:
    properties = dict(row[:2] for row in table(package, "Property"))
    assert properties["MsiHiddenProperties"] == "ENROLLMENT"
    assert "ENROLLMENT" in properties["SecureCustomProperties"].split(";")
    hidden = 0x2000
    for name, kind, *rest in table(package, "CustomAction"):
        assert "ENROLLMENT" not in "".join(rest) or int(kind) & hidden, name
    assert "ENROLLMENT" not in str(table(package, "Registry"))


def test_it_enrolls_after_the_files_are_there_and_before_the_service_starts(package: Path) -> None:
    order = {row[0]: int(row[2]) for row in table(package, "InstallExecuteSequence")}
    for action in ("EnrollByProperty", "EnrollByFile"):
        assert order["InstallFiles"] < order[action] < order["StartServices"]
    assert order["ResolveSource"] < order["EnrollByFile"]
    deferred_as_system = 0x400 | 0x800
    assert all(int(row[1]) & deferred_as_system == deferred_as_system for row in table(package, "CustomAction"))


def test_it_replaces_an_older_version_within_one_transaction_and_refuses_to_go_back(package: Path) -> None:
    order = {row[0]: int(row[2]) for row in table(package, "InstallExecuteSequence")}
    assert order["InstallInitialize"] < order["RemoveExistingProducts"] < order["ProcessComponents"]
    assert "NOT WIX_DOWNGRADE_DETECTED" in {row[0] for row in table(package, "LaunchCondition")}
    found = {row[-1]: row for row in table(package, "Upgrade")}
    assert found["WIX_UPGRADE_DETECTED"][2] == "1.2.3"
    assert found["WIX_DOWNGRADE_DETECTED"][1] == "1.2.3"


def test_it_names_the_version_of_every_program_for_the_upgrade(package: Path) -> None:
    versions = {row[2]: row[4] for row in table(package, "File")}
    assert versions["python311.dll"] == "3.11.5.4"
    assert versions["LICENSE.txt"] == ""


def test_it_keeps_ids_from_version_to_version(package: Path, materials: tuple[Path, Path], tmp_path: Path) -> None:
    assert built(materials, tmp_path / "next.msi", "1.3.0").returncode == 0
    ids = [{row[0]: row[1] for row in table(path, "Component")} for path in (package, tmp_path / "next.msi")]
    assert ids[0] == ids[1]
    codes = [dict(row[:2] for row in table(path, "Property")) for path in (package, tmp_path / "next.msi")]
    assert codes[0]["UpgradeCode"] == codes[1]["UpgradeCode"]
    assert codes[0]["ProductCode"] != codes[1]["ProductCode"]


def test_it_lists_the_hash_of_everything_that_is_installed(package: Path, tmp_path: Path) -> None:
    listed = package.with_name("agent.msi.sha256.txt").read_text("utf-8").splitlines()
    hashes = {line.split("  ", 1)[1]: line.split("  ", 1)[0] for line in listed}
    assert hashes.pop("agent.msi") == hashlib.sha256(package.read_bytes()).hexdigest()
    folder = extracted(package, tmp_path)
    assert hashes == {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("python.exe", "is no folder of an embeddable CPython"),
        ("msgspec", "lacks the wheels of msgspec"),
        ("linux", "is not made for CPython 3.11"),
        ("version", "three numbers"),
    ],
)
def test_it_says_what_is_missing(change: str, message: str, materials: tuple[Path, Path], tmp_path: Path) -> None:
    own = tuple(Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in materials)
    for wheel in own[1].glob("msgspec-*"):
        if change == "msgspec":
            wheel.unlink()
        elif change == "linux":
            wheel.rename(wheel.with_name("msgspec-1-cp311-cp311-manylinux_2_28_x86_64.whl"))
    if change == "python.exe":
        (own[0] / "python.exe").unlink()
    done = built((own[0], own[1]), tmp_path / "agent.msi", "new" if change == "version" else "1.2.3")
    assert done.returncode != 0
    assert re.search(message, done.stderr)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "agent.msi").exists()
