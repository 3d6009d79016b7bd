"""Recorded machines for the probes. `pytest tests/agents/probes --update-golden` writes the goldens anew."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings

from secmon_agent.host import Host
from secmon_agent.memory import Memory
from secmon_agent.recorded import Manifest, recorded_host

settings.register_profile("secmon", deadline=None)
settings.load_profile("secmon")

# What reads a Linux machine is proven on Linux; repeating it on the other side would cost minutes and show nothing.
LINUX = ["test_*_linux.py", "test_patches_apt.py", "test_dpkg.py", "test_deb_version.py"]
collect_ignore_glob = LINUX if sys.platform == "win32" else []

HOSTS = Path(__file__).parents[2] / "hosts"
NOW = datetime(2026, 11, 23, tzinfo=UTC)

MakeHost = Callable[..., Host]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the goldens of recorded machines anew")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden", default=False))


@pytest.fixture
def make_host(tmp_path: Path) -> MakeHost:
    """A recorded Linux machine with just these files."""

    def make(
        files: Mapping[str, str | bytes] | None = None,
        memory: Memory | None = None,
        outputs: Mapping[Sequence[str], str] | None = None,
        **manifest: object,
    ) -> Host:
        shutil.rmtree(tmp_path / "host", ignore_errors=True)
        folder = tmp_path / "host"
        (folder / "root").mkdir(parents=True)
        for name, content in (files or {}).items():
            path = folder / "root" / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        commands = []
        for number, (argv, output) in enumerate((outputs or {}).items()):
            (folder / f"output-{number}").write_text(output)
            commands.append({"argv": list(argv), "stdout": f"output-{number}"})
        plain = {"about": "made", "family": "linux", "now": NOW, "mtime": NOW, "commands": commands} | manifest
        (folder / "host.json").write_bytes(msgspec.json.encode(plain))
        return recorded_host(folder, memory)

    return make


@pytest.fixture
def changed_host(tmp_path: Path) -> Callable[..., Host]:
    """A recorded machine of tests/hosts with some lines of its manifest changed."""

    def change(name: str, **changes: object) -> Host:
        folder = tmp_path / name
        shutil.copytree(HOSTS / name, folder, dirs_exist_ok=True)
        manifest = msgspec.json.decode((folder / "host.json").read_bytes(), type=Manifest)
        (folder / "host.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, **changes)))
        return recorded_host(folder)

    return change
