"""What the MSI is built from in tests: the testbed's Python in the shape of an embeddable one, and its wheels.

For tests only: an office takes the embeddable package of python.org.
"""

from __future__ import annotations

import os
import py_compile
import shutil
import sys
import zipfile
from pathlib import Path

TESTBED_ROOT = Path(os.environ.get("WINDOWS_TESTBED", "/var/tmp/windows-testbed")) / "root"  # noqa: S108 - where it builds
DRIVE_C = TESTBED_ROOT / "w" / "drive_c"
INSTALLED = DRIVE_C / "py311"
WHEELS = {"msgspec", "psutil", "pynacl", "cffi", "pywin32"}
_RUNTIME = ("python.exe", "pythonw.exe", "python3.dll", "python311.dll", "vcruntime140.dll", "vcruntime140_1.dll")
_NOT_EMBEDDED = {"tcl86t.dll", "tk86t.dll", "_tkinter.pyd"}
_NOT_ZIPPED = {
    *("site-packages", "test", "idlelib", "tkinter", "ensurepip", "lib2to3", "turtledemo", "__pycache__", "venv"),
    *("distutils", "pydoc_data"),
}


def python(into: Path) -> Path:
    """The folder `into` as python.org's embeddable package would fill it: libraries beside python.exe, Lib in a zip."""
    into.mkdir()
    for name in _RUNTIME:
        shutil.copy2(INSTALLED / name, into / name)
    for library in (INSTALLED / "DLLs").iterdir():
        if library.suffix in {".pyd", ".dll"} and library.name not in _NOT_EMBEDDED:
            shutil.copy2(library, into / library.name)
    library = INSTALLED / "Lib"
    with zipfile.ZipFile(into / "python311.zip", "w") as archive:
        for source in sorted(library.rglob("*.py")):
            inside = source.relative_to(library)
            if not _NOT_ZIPPED & set(inside.parts):
                _add(archive, source, inside, into / "compiled")
    (into / "compiled").unlink(missing_ok=True)
    return into


def _add(archive: zipfile.ZipFile, source: Path, inside: Path, scratch: Path) -> None:
    """Compiled where this Python is of the same version, as it is in the original."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if sys.version_info[:2] == (3, 11) and py_compile.compile(
        str(source), cfile=str(scratch), dfile=str(inside), invalidation_mode=mode, quiet=2
    ):
        archive.write(scratch, f"{inside}c")
    else:
        archive.write(source, str(inside))


def wheels(into: Path) -> Path:
    """What the testbed's pip unpacked, packed again; the agent's own wheel is the test's to add."""
    packages = INSTALLED / "Lib" / "site-packages"
    for info in packages.glob("*.dist-info"):
        if info.name.split("-")[0].lower() in WHEELS:
            tag = next(line for line in (info / "WHEEL").read_text("utf-8").splitlines() if line.startswith("Tag: "))
            with zipfile.ZipFile(into / f"{info.name.removesuffix('.dist-info')}-{tag[5:]}.whl", "w") as wheel:
                for line in (info / "RECORD").read_text("utf-8").splitlines():
                    name = line.split(",")[0]
                    if "__pycache__" not in name and (packages / name).is_file():
                        wheel.write(packages / name, name)
    return into
