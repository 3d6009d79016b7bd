"""The rollout guide for Windows, held against what it describes."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from secmon import cli
from secmon_agent import cli as agent_cli
from secmon_agent import journal

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "docs" / "windows-rollout.ja.md").read_text("utf-8")
PARSERS = {"secmon": cli.parser(), "secmon-agent": agent_cli.parser()}


def commands() -> list[list[str]]:
    """Commands of ours with their arguments, by the names of their programs."""
    blocks = re.findall(r"^```[a-z]+\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    lines = [re.sub(r'^".*\\(secmon-agent)\.cmd"', r"\1", line) for line in lines]
    spans = re.findall(r"`(secmon(?:-agent)? [^`]+)`", GUIDE)
    return [words for line in [*lines, *spans] if (words := shlex.split(line, posix=False))[:1] and words[0] in PARSERS]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_it_names_only_commands_that_are_understood(words: list[str]) -> None:
    bare = words[1:] == ["agent", "revoke"]
    assert understood(PARSERS[words[0]], [*words[1:], "--help"] if bare else words[1:])


def understood(parser: argparse.ArgumentParser, arguments: list[str]) -> bool:
    try:
        parser.parse_args(arguments)
    except SystemExit as end:
        return end.code == 0
    return True


def test_it_explains_every_event() -> None:
    listed = {int(number) for number in re.findall(r"^\| (\d) \|", GUIDE, re.MULTILINE)}
    known = {value for name, value in vars(journal).items() if name.isupper() and isinstance(value, int)}
    assert listed == known


def test_it_quotes_messages_as_the_agent_says_them() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "agents" / "secmon_agent").glob("*.py"))
    quoted = re.findall(r"「([a-z][a-z …]+)」", GUIDE)
    assert len(quoted) == 4
    for words in quoted:
        assert all(part.strip() in source for part in words.split("…")), words


def test_it_names_the_folders_and_the_property_of_the_installer() -> None:
    package = (ROOT / "agents" / "packaging" / "windows" / "package.py").read_text("utf-8")
    for name in ("ENROLLMENT", "enrollment.txt", "secmon-agent"):
        assert name in GUIDE
        assert name in package
