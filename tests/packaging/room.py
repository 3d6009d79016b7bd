"""An empty environment outside the checkout, with built wheels and nothing but what they declare."""

from __future__ import annotations

import subprocess  # noqa: TID251 - wheels are built and installed by the real programs
import sys
import venv
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
OURS = {"secmon", "secmon-agent"}


def build(project: Path, into: Path) -> Path:
    """The wheel of the project, built as `pip wheel` would."""
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)], cwd=project)
    return max(into.glob("*.whl"), key=lambda path: path.stat().st_mtime_ns)


class Room:
    """A virtual environment that sees the given wheels and the closure of their declared dependencies.

    The dependencies are links to those of the running environment: the very same files, without a download.
    """

    def __init__(self, folder: Path, *wheels: Path) -> None:
        self.folder = folder
        venv.create(folder, symlinks=True)
        self.site = Path(self.run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        install = ["install", "-q", "--no-index", "--no-deps", "--no-compile", *map(str, wheels)]
        run(
            [
                sys.executable,
                "-m",
                "pip",
                "--disable-pip-version-check",
                "--python",
                str(folder / "bin" / "python"),
                *install,
            ]
        )
        for name in closure({wheel.name.split("-")[0].replace("_", "-") for wheel in wheels}, self.site):
            self._link(name)

    def run(self, program: str, *arguments: str, check: bool = True) -> str:
        """Standard output of one of the environment's programs: `python`, `secmon`, `secmon-agent`."""
        return run([str(self.folder / "bin" / program), *arguments], cwd=self.folder, check=check)

    def _link(self, name: str) -> None:
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            link = self.site / top
            if not link.exists():
                link.symlink_to(Path(str(distribution.locate_file(top))))


def closure(roots: set[str], site: Path) -> set[str]:
    """Names of everything that the installed wheels `roots` need, directly or not, themselves left out."""
    found = {name: distribution.requires or [] for name, distribution in _installed(site).items() if name in roots}
    waiting = [text for requires in found.values() for text in requires]
    needed: set[str] = set()
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if name in needed | OURS or not _holds(requirement):
            continue
        needed.add(name)
        waiting += _with_extras(metadata.requires(name) or [], requirement.extras)
    return needed


def _installed(site: Path) -> dict[str, metadata.Distribution]:
    return {canonicalize_name(each.metadata["Name"]): each for each in metadata.distributions(path=[str(site)])}


def _holds(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _with_extras(requires: list[str], extras: set[str]) -> list[str]:
    """Those of `requires` that hold with the extras, markers settled."""
    settled = []
    for text in requires:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            requirement.marker = None
            settled.append(str(requirement))
    return settled


def run(command: list[str], cwd: Path | None = None, *, check: bool = True) -> str:
    """Standard output of the program, in an environment that does not point back to the checkout."""
    done = subprocess.run(
        command,
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
