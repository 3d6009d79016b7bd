"""What the installed folder holds: CPython as its makers ship it, the agent and its wheels beside it, a path file."""

from __future__ import annotations

import py_compile
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

NEEDED = {"secmon_agent", "msgspec", "psutil", "pynacl", "cffi", "pywin32"}
"""Wheels that the agent cannot do without on Windows; cffi for its `_cffi_backend`."""
LEFT_OUT = {
    *("pythonwin", "isapi", "adodbapi", "win32comext", "PyWin32.chm", "pycparser", "pythoncom.py"),
    *(
        "win32/Demos",
        "win32/test",
        "win32/scripts",
        "win32/pythonservice.exe",
        "win32/include",
        "win32/libs",
        "win32com/demos",
        "win32com/test",
    ),
    *("win32com/HTML", "win32com/makegw", "psutil/tests", "pywin32.pth"),
}
"""Of the wheels, what the agent never touches: less to install, to exclude and to explain."""
COMMAND = '@"%~dp0python.exe" -B -m secmon_agent %*\r\n'


class ContentsError(Exception):
    """What the builder was given makes no agent."""


def assemble(python: Path, wheels: Path, into: Path) -> None:
    """Fill the empty folder `into`. Raises ContentsError."""
    tag = _python_tag(python)
    shutil.copytree(python, into, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*._pth", "__pycache__"))
    packages = into / "site-packages"
    for wheel in _wheels(wheels, tag):
        _unpack(wheel, packages)
    for library in sorted((packages / "pywin32_system32").iterdir()):
        library.rename(into / library.name)
    (packages / "pywin32_system32").rmdir()
    (into / f"python{tag}._pth").write_text("\r\n".join(_search_path(into, tag)) + "\r\n", "ascii")
    (into / "secmon-agent.cmd").write_text(COMMAND, "ascii", newline="")
    _compile(packages, tag)


def _python_tag(python: Path) -> str:
    """`311` for CPython 3.11, by the library that stands beside its python.exe."""
    found = [
        match[1] for path in python.glob("python3*.dll") if (match := re.fullmatch(r"python(3\d+)\.dll", path.name))
    ]
    lacking = [name for name in ("python.exe", "pythonw.exe") if not (python / name).is_file()]
    if len(found) != 1 or lacking:
        raise ContentsError(f"{python} is no folder of an embeddable CPython for Windows (python.exe, python3NN.dll)")
    return found[0]


def _search_path(into: Path, tag: str) -> list[str]:
    """Lines of the path file: with it Python looks nowhere else, whatever the environment or the registry says."""
    standard = [name for name in (f"python{tag}.zip", "Lib", "DLLs") if (into / name).exists()]
    return [*standard, ".", "site-packages", r"site-packages\win32", r"site-packages\win32\lib"]


def _wheels(folder: Path, tag: str) -> list[Path]:
    found = sorted(folder.glob("*.whl"))
    names = {path.name.split("-")[0].lower() for path in found}
    if lacking := NEEDED - names:
        raise ContentsError(f"{folder} lacks the wheels of {', '.join(sorted(lacking))}")
    for path in found:
        if not _fits(path, tag):
            raise ContentsError(f"{path.name} is not made for CPython {tag[0]}.{tag[1:]} on 64-bit Windows")
    return found


def _fits(wheel: Path, tag: str) -> bool:
    python, abi, platform = wheel.stem.split("-")[-3:]
    return platform in ("any", "win_amd64") and (
        f"cp{tag}" in python.split(".") or "py3" in python.split(".") or "abi3" in abi.split(".")
    )


def _unpack(wheel: Path, into: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in _wanted(archive):
            archive.extract(name, into)


def _wanted(archive: zipfile.ZipFile) -> Iterator[str]:
    for name in archive.namelist():
        path = PurePosixPath(name)
        kept = not {str(path), *map(str, path.parents)} & LEFT_OUT
        if kept and not name.endswith("/") and not path.parts[0].endswith(".data"):
            yield name


def _compile(packages: Path, tag: str) -> None:
    """Python never writes there later: a folder that nobody changes is one that removal leaves empty."""
    if tag != f"{sys.version_info.major}{sys.version_info.minor}":
        sys.stderr.write(
            f"not compiled ahead: this builder runs on Python {sys.version_info.major}.{sys.version_info.minor}\n"
        )
        return
    for source in sorted(packages.rglob("*.py")):
        py_compile.compile(
            str(source),
            dfile=str(source.relative_to(packages.parent)),
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
