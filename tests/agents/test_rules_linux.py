"""What shows the packet filter's rules is started again when the rules have changed, and only then."""

from __future__ import annotations

import shutil
import subprocess  # noqa: TID251 - the kernel's rules are changed by a real program
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from secmon_agent import rules_linux
from secmon_agent.command_result import CommandResult
from secmon_agent.memory import DictMemory, FileMemory, Memory

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the packet filter of Linux; not on Windows")
RULES = b'{"nftables": [{"rule": {"expr": [{"match": {"op": "==", "right": 22}}, {"accept": null}]}}]}'
SHOW = ("-j", "list", "ruleset")
CAN = (
    shutil.which("nft")
    and not subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode
)


class Machine:
    def __init__(self, folder: Path, memory: Memory | None = None) -> None:
        self.nft = folder / "nft"
        self.nft.write_text("one")
        self.mark: bytes | None = b"1"
        self.says, self.exit_code = RULES, 0
        self.started: list[tuple[str, ...]] = []
        self._run = rules_linux.remembering(self._start, memory or DictMemory(), lambda: self.mark)

    def run(self, *arguments: str, program: Path | None = None) -> CommandResult:
        return self._run([str(program or self.nft), *arguments], timeout_s=1.0, max_output_bytes=1000)

    def _start(self, argv: Sequence[str], *, timeout_s: float, max_output_bytes: int) -> CommandResult:
        self.started.append(tuple(argv))
        return CommandResult(exit_code=self.exit_code, stdout=self.says)


def test_it_says_the_same_again_while_the_rules_stay(tmp_path: Path) -> None:
    machine = Machine(tmp_path, FileMemory(tmp_path / "memory"))
    assert [machine.run(*SHOW) for _ in range(3)] == [CommandResult(exit_code=0, stdout=RULES)] * 3
    assert machine.started == [(str(machine.nft), *SHOW)]


def test_it_asks_again_when_the_rules_the_question_or_the_program_have_changed(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.run(*SHOW)
    machine.mark, machine.says = b"2", b"{}"
    assert machine.run(*SHOW).stdout == b"{}"
    machine.run("list", "ruleset")
    machine.nft.write_text("another one")
    machine.run("list", "ruleset")
    assert len(machine.started) == 4


@pytest.mark.parametrize(
    "element",
    [
        b'{"set": {"name": "s", "flags": ["timeout"], "timeout": 60}}',
        b'{"set": {"name": "s", "elem": [{"elem": {"val": "192.0.2.1", "expires": 9}}]}}',
        b'{"set": {"name": "s", "flags": ["dynamic"]}}',
        b'{"rule": {"expr": [{"set": {"op": "add", "elem": "192.0.2.1", "set": "@s"}}]}}',
        b'{"rule": {"expr": [{"meter": {"name": "m"}}]}}',
    ],
)
def test_it_does_not_keep_rules_that_change_by_themselves(tmp_path: Path, element: bytes) -> None:
    machine = Machine(tmp_path)
    machine.says = b'{"nftables": [' + element + b"]}"
    assert machine.run(*SHOW) == machine.run(*SHOW)
    assert len(machine.started) == 2


def test_it_keeps_no_failure_and_nothing_where_the_kernel_does_not_count(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.exit_code = 1
    machine.run(*SHOW)
    assert machine.run(*SHOW).exit_code == 1
    machine.mark, machine.exit_code = None, 0
    machine.run(*SHOW)
    machine.run(*SHOW)
    assert len(machine.started) == 4


def test_it_starts_every_other_program_each_time(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    save, legacy = tmp_path / "iptables-save", tmp_path / "xtables-legacy-multi"
    legacy.touch()
    save.symlink_to(legacy)
    for _ in range(2):
        machine.run(program=save)
    (tmp_path / "xtables-nft-multi").touch()
    save.unlink()
    save.symlink_to(tmp_path / "xtables-nft-multi")
    for _ in range(2):
        machine.run(program=save)
    assert len(machine.started) == 3


@pytest.mark.skipif(not CAN, reason="needs nft and the right to a network namespace")
def test_the_kernel_counts_every_change_of_its_rules() -> None:
    code = (
        "import subprocess, sys\nsys.path[:] = sys.argv[1].split('|')\nfrom secmon_agent import rules_linux\n"
        "def nft(what): subprocess.run(['nft', what], check=True, capture_output=True)\n"
        "said = [rules_linux.rules_mark()]\n"
        "for what in ('add table t', 'add set t s { type inet_service; }', 'add element t s { 22 }', 'list ruleset',\n"
        "             'add chain t c', 'flush ruleset'):\n    nft(what); said.append(rules_linux.rules_mark())\n"
        "print([one is not None and one != other for one, other in zip(said[1:], said)], len(set(said)))"
    )
    path = "|".join([str(Path(rules_linux.__file__).parents[1]), *sys.path])
    command = ["unshare", "--net", sys.executable, "-c", code, path]
    done = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert "None" not in done[0]
    assert done == ["[True, True, True, False, True, True] 6\n"] * 2


@pytest.mark.parametrize(
    "message", [b"", b"\0" * 19, b"\x24\0\0\0\x02\0" + b"\0" * 30, b"\x18\0\0\0\x0f\x0a" + b"\0" * 18]
)
def test_it_takes_no_other_answer_for_a_number(message: bytes) -> None:
    with pytest.raises(ValueError, match="no generation"):
        rules_linux.read_generation(message)
