"""The README, held against what it describes."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess  # noqa: TID251 - asks make for its own help
from collections.abc import Iterator
from pathlib import Path

import pytest

from secmon import cli
from secmon_agent import cli as agent_cli

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PARSERS = {"secmon": cli.parser(), "secmon-agent": agent_cli.parser()}
FIRST_SCREEN_LINES = 30


def commands() -> list[str]:
    """Every command line of the README: in code blocks, and in running text where it begins with a program of ours."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [line.split(" #")[0].split(" > ")[0].strip() for block in blocks for line in block.splitlines()]
    spans = re.findall(r"`((?:secmon|secmon-agent|make) [^`]+)`", README)
    return [line for line in [*lines, *spans] if line]


def of_program(*names: str) -> list[list[str]]:
    return [words for line in commands() if (words := shlex.split(line))[0] in names]


def subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """(name, help) of each command, from the parser itself."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from ((choice.dest, choice.help or "") for choice in action._choices_actions)


def understood(parser: argparse.ArgumentParser, arguments: list[str]) -> bool:
    """Whether they parse, or are the bare name of a group of commands."""
    bare = not any(word.startswith("-") for word in arguments)
    for attempt in [arguments, *([[*arguments, "--help"]] if bare else [])]:
        try:
            parser.parse_args(attempt)
        except SystemExit as end:
            if end.code == 0:
                return True
        else:
            return True
    return False


@pytest.mark.parametrize("words", of_program("secmon", "secmon-agent"), ids=" ".join)
def test_it_names_only_commands_that_are_understood(words: list[str]) -> None:
    assert understood(PARSERS[words[0]], words[1:])


@pytest.mark.parametrize("program", PARSERS)
def test_it_lists_every_command_in_the_words_of_its_help(program: str) -> None:
    listed = re.findall(rf"^\| `{program} ([a-z-]+)` \| (.*) \|$", README, re.MULTILINE)
    assert listed == list(subcommands(PARSERS[program]))


def test_it_names_only_targets_that_make_has() -> None:
    offered = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = dict(re.findall(r"^make (\w+) +(.*)$", offered, re.MULTILINE))
    assert {words[1] for words in of_program("make")} == targets.keys()
    block = re.search(r"```sh\n(make up.*?)```", README, re.DOTALL)
    assert block
    for name, text in re.findall(r"^make (\w+) +# (.*)$", block[1], re.MULTILINE):
        assert targets[name] == text


def test_it_shows_how_to_start_on_the_first_screen() -> None:
    screen = README.splitlines()[:FIRST_SCREEN_LINES]
    assert any(line.startswith("make up") for line in screen)
    assert any(line.startswith("make test") for line in screen)


def test_it_points_only_to_files_that_are_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_it_installs_as_make_does() -> None:
    """The options that keep an installation to the pinned packages stand in both places."""
    environment = (ROOT / ".ci" / "environment").read_text(encoding="utf-8")
    for options in ("--require-hashes --only-binary :all:", "--no-index --no-deps --no-build-isolation"):
        assert options in README
        assert options in environment
