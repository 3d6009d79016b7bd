"""Builds the MSI of the agent on Debian, with wixl, from an embeddable CPython and wheels that the builder names.

    build_msi.py --python DIR --wheels DIR --version 1.2.3 --out secmon-agent.msi

Prints the SHA-256 of every file that gets installed, and of the package; the same list lies beside it.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess  # noqa: TID251 - wixl is a program
import sys
import tempfile
from pathlib import Path

from amend import amendments
from contents import ContentsError, assemble
from package import describe, file_id


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the MSI of the secmon agent.")
    parser.add_argument("--python", required=True, type=Path, metavar="DIR", help="an unpacked embeddable CPython")
    parser.add_argument(
        "--wheels", required=True, type=Path, metavar="DIR", help="wheels for it, the agent's among them"
    )
    parser.add_argument("--version", required=True, type=_version, help="three numbers, as 1.2.3")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="the package to write")
    options = parser.parse_args()
    try:
        build(options.python, options.wheels, options.version, options.out)
    except (ContentsError, OSError) as error:
        sys.exit(f"build_msi: {error}")


def _version(text: str) -> str:
    if not re.fullmatch(r"\d{1,3}\.\d{1,3}\.\d{1,5}", text):
        raise argparse.ArgumentTypeError("Windows Installer compares three numbers, as 1.2.3")
    return text


def build(python: Path, wheels: Path, version: str, out: Path) -> None:
    """Raises ContentsError, and OSError for what cannot be read or written."""
    with tempfile.TemporaryDirectory() as name:
        contents, source = Path(name, "contents"), Path(name, "agent.wxs")
        assemble(python, wheels, contents)
        describe(contents, version).write(source, "utf-8", xml_declaration=True)
        files = {path.relative_to(contents).as_posix(): path for path in sorted(contents.rglob("*")) if path.is_file()}
        package = Path(name, "agent.msi")
        _run("wixl", "-a", "x64", "-o", package, source, folder=source.parent)
        queries = amendments({file_id(relative): path for relative, path in files.items()})
        _run("msibuild", package, "-q", *queries, folder=source.parent)
        shutil.copyfile(package, out)
        text = "".join(f"{_sha256(path)}  {name}\n" for name, path in {out.name: out, **files}.items())
    out.with_name(out.name + ".sha256.txt").write_text(text, "utf-8")
    sys.stdout.write(text)


def _run(name: str, *arguments: str | Path, folder: Path) -> None:
    program = shutil.which(name)
    if program is None:
        raise ContentsError(f"{name} is missing; on Debian: apt-get install wixl msitools")
    done = subprocess.run(  # noqa: S603 - the program is named here
        [program, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=folder
    )
    if done.returncode:
        raise ContentsError(f"{name}: {done.stderr.strip() or done.stdout.strip()}")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
