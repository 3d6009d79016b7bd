"""The agent as an office installs it: with what it depends on and nothing else, its byte code compiled."""

from __future__ import annotations

import sys
from importlib.metadata import distribution
from pathlib import Path

DEPENDENCIES = ("msgspec", "psutil", "pynacl", "cffi", "pycparser")
AGENT = Path(__file__).parents[2] / "agents" / "secmon_agent"


def installed_agent(folder: Path) -> Path:
    """A folder with links to the agent and what it depends on; answers the program that starts it."""
    folder.mkdir()
    (folder / AGENT.name).symlink_to(AGENT)
    for name in DEPENDENCIES:
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or () if file.parts[0] != ".."}:
            (folder / top).symlink_to(Path(str(found.locate_file(top))))
    program = folder / "program"
    program.write_text(
        f"#!{_interpreter()} -IS\nimport sys\nsys.pycache_prefix = {str(folder / 'compiled')!r}\n"
        f"sys.path.append({str(folder)!r})\nfrom secmon_agent.__main__ import main\nmain()\n"
    )
    program.chmod(0o755)
    return program


def _interpreter() -> Path:
    """The system's of this version, as in the package for Debian; where there is none, the one that runs now."""
    system = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    return system if system.exists() else Path(sys.executable).resolve()
