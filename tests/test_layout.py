"""What the layout promises: who may import what, how large things may grow, what no file may hold."""

from __future__ import annotations

import ast
import re
import subprocess  # noqa: TID251 - asks git which files are tracked
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
AGENT = ROOT / "agents" / "secmon_agent"
COLLECTOR = ROOT / "secmon"
TOP_LEVEL = {
    *(".ci", ".gitignore", "agents", "dashboards", "docs", "rules", "secmon", "tests"),
    *("CHANGELOG.md", "LICENSE", "Makefile", "README.md", "pyproject.toml", "requirements.txt"),
}
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 80
MEDIAN_FILE_LINES = 160
MIGRATIONS = ROOT / "secmon" / "store" / "migrations" / "versions"
"""A migration is a list of statements, written once and never read as code again."""
SUBPROCESS = {"agents/secmon_agent/command.py", "agents/packaging/windows/build_msi.py"}
"""The second is a builder's tool and no part of what gets installed."""

# Put together here so that this file does not hold them itself.
REGISTRY_HOSTS = ["py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "crates" + ".io", "proxy.go" + "lang.org"]
MACHINE_PATHS = ["/" + "work/", "/" + "tmp/venv", "/" + "opt/wheels", "/" + "root/.pyenv"]
LEFT_OVER = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]


@cache
def tracked() -> tuple[Path, ...]:
    """Files of this commit; of the folder where there is no git, as in an unpacked archive."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = [name for name in listed.stdout.split("\0") if name]
    if not names:
        pytest.skip("not a git checkout")
    return tuple(path for name in names if (path := ROOT / name).is_file())


def python_files() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Every module that the file imports, wherever in the file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_packages(folder: Path) -> set[str]:
    files = [path for path in python_files() if folder in path.parents]
    return {name.split(".")[0] for path in files for name in imports(path)} - set(sys.stdlib_module_names)


def declared(project: Path) -> set[str]:
    """Import names of what the project declares as its dependencies."""
    with (project / "pyproject.toml").open("rb") as file:
        names = {Requirement(text).name.lower() for text in tomllib.load(file)["project"]["dependencies"]}
    by_import = metadata.packages_distributions()
    known = {module for module, owners in by_import.items() if names & {owner.lower() for owner in owners}}
    return known | {name.replace("-", "_") for name in names} | WINDOWS_ONLY


WINDOWS_ONLY = {
    *("pythoncom", "pywintypes", "servicemanager", "win32api", "win32com", "win32con", "win32crypt", "win32event"),
    *("win32evtlog", "win32file", "win32security", "win32service", "winerror", "winreg"),
}
"""Of pywin32, which is declared for Windows and so not installed elsewhere."""


def test_it_keeps_the_top_level_as_the_design_says() -> None:
    assert {name_of(path).split("/")[0] for path in tracked()} <= TOP_LEVEL


def test_it_never_lets_the_agent_import_the_collector() -> None:
    assert not imported_packages(AGENT) & {"secmon", "tests"}


def test_it_never_lets_the_product_import_its_tests() -> None:
    assert "tests" not in imported_packages(COLLECTOR)


@pytest.mark.parametrize("project", [ROOT, ROOT / "agents"], ids=["secmon", "secmon-agent"])
def test_it_imports_only_what_it_declares(project: Path) -> None:
    package = COLLECTOR if project == ROOT else AGENT
    assert imported_packages(package) <= declared(project) | {package.name}


WIRE = ["wire.py", "skim.py", *(f"facts/{path.name}" for path in sorted((AGENT / "facts").glob("*.py")))]


@pytest.mark.parametrize("module", WIRE)
def test_it_keeps_the_wire_free_of_everything_but_msgspec_and_pynacl(module: str) -> None:
    assert {name.split(".")[0] for name in imports(AGENT / module)} <= {
        *sys.stdlib_module_names,
        *("msgspec", "nacl", "secmon_agent"),
    }


def test_it_starts_programs_in_one_module_only() -> None:
    starting = {name_of(path) for path in python_files() if "subprocess" in set(imports(path))}
    assert {name for name in starting if not name.startswith("tests/")} <= SUBPROCESS


def test_it_reads_arguments_and_environment_in_few_places() -> None:
    readers = {
        name_of(path)
        for path in python_files()
        if COLLECTOR in path.parents
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and f"{getattr(node.value, 'id', '')}.{node.attr}" in ("sys.argv", "os.environ")
    }
    shows_its_own_name = {"secmon/up.py"}
    assert readers <= {"secmon/cli.py", "secmon/config.py", "secmon/app.py"} | shows_its_own_name


def test_it_judges_without_clock_file_or_socket() -> None:
    pure = [COLLECTOR / "evaluate" / name for name in ("judge.py", "model.py", "condition.py", "versions.py")]
    forbidden = {"time", "socket", "pathlib", "os", "io", "urllib", "http", "random", "sqlalchemy"}
    found = {name_of(path): set(imports(path)) & forbidden for path in pure if path.is_file()}
    assert found
    assert not {name: bad for name, bad in found.items() if bad}


def test_it_keeps_files_small() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    assert not {name: length for name, length in lengths.items() if length > MAX_FILE_LINES}
    assert sorted(lengths.values())[len(lengths) // 2] <= MEDIAN_FILE_LINES


def test_it_keeps_functions_small() -> None:
    long = {
        f"{name_of(path)}:{node.lineno} {node.name}": size
        for path in python_files()
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and MIGRATIONS not in path.parents
        and (size := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert not long


@pytest.mark.parametrize("words", [REGISTRY_HOSTS, MACHINE_PATHS], ids=["registry hosts", "machine paths"])
def test_it_holds_no_address_that_is_true_in_one_place_only(words: list[str]) -> None:
    assert not list(_mentions(re.compile("|".join(map(re.escape, words)))))


def test_it_leaves_nothing_for_later() -> None:
    assert not list(_mentions(re.compile(rf"\b({'|'.join(LEFT_OVER)})\b")))


def _mentions(pattern: re.Pattern[str]) -> Iterator[str]:
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.search(line):
                yield f"{name_of(path)}:{number}: {line.strip()[:100]}"


def test_it_gives_the_agent_the_licence_of_the_whole() -> None:
    assert (ROOT / "agents" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_it_gives_both_distributions_one_version() -> None:
    versions = set()
    for project in (ROOT, ROOT / "agents"):
        with (project / "pyproject.toml").open("rb") as file:
            versions.add(tomllib.load(file)["project"]["version"])
    for package in (COLLECTOR, AGENT):
        found = re.search(r'__version__ = "([^"]+)"', (package / "__init__.py").read_text(encoding="utf-8"))
        versions.add(found and found[1])
    assert len(versions) == 1


def test_it_pins_what_both_distributions_declare_and_nothing_without_a_hash() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="ascii")
    pinned = {
        line.split("==")[0]: line.split("==")[1].split()[0] for line in text.splitlines() if re.match(r"[a-z0-9]", line)
    }
    for block in re.split(r"\n(?=[a-z0-9])", text.strip()):
        assert re.search(r"^    --hash=sha256:[0-9a-f]{64}", block, re.MULTILINE), block.splitlines()[0]
    assert "--index" not in text
    assert "://" not in text
    for project in (ROOT, ROOT / "agents"):
        with (project / "pyproject.toml").open("rb") as file:
            document = tomllib.load(file)["project"]
        extras = document.get("optional-dependencies", {}).values()
        for line in [*document["dependencies"], *(line for extra in extras for line in extra)]:
            wanted = Requirement(line)
            if wanted.name != "secmon-agent":
                assert wanted.specifier.contains(pinned[wanted.name.lower()]), line
